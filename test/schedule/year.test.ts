import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import { dueMinutes, oracleExpression } from "../support/cron-oracle.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

/*
 * Schedules in three zones under two daemons whose clocks differ, are stepped forth and back, and that are down now and then. What they
 * fire, on a real database, is compared with what follows from the ticks and from looking at every single minute (cron-oracle.ts).
 * HES_LONG_TESTS=1: a whole year; else the weeks in which clocks are changed, with months of downtime between.
 */

const ZONES = ["Asia/Kolkata", "Europe/Berlin", "America/New_York"];
const EXPRESSIONS = ["*/30 * * * *", "30 2 * * *", "0 0 * * *", "5 */6 * * *", "15 1 * * 0", "0 0 1 * *"];
const MINUTE = 60_000;
const utc = (day: string) => Date.parse(`${day}T00:00Z`);
const SPANS = process.env["HES_LONG_TESTS"]
  ? [["2026-01-01", "2027-01-01"]]
  : [
      ["2026-03-07", "2026-03-09"],
      ["2026-03-28", "2026-03-30"],
      ["2026-10-24", "2026-10-26"],
      ["2026-10-31", "2026-11-02"],
    ];

const SEED = Number(process.env["HES_TEST_SEED"] ?? 20260724);

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Tick {
  readonly daemon: 0 | 1;
  /** What that daemon's clock shows. */
  readonly now: number;
  /** The daemon has been started again since its last tick. */
  readonly restarted: boolean;
  /** Both tick at the same time. */
  readonly together: boolean;
}

/** A path through time: mostly a tick every few minutes, sometimes an hour or two of downtime, sometimes a clock that is wrong. */
function* ticks(random: () => number): Generator<Tick> {
  for (const [first, last] of SPANS) {
    let wrong = 0;
    for (let at = utc(first!); at < utc(last!); ) {
      const chance = random();
      if (chance < 0.002) wrong = Math.round((random() - 0.5) * 10 * 60 * MINUTE);
      else if (chance < 0.03) wrong = 0;
      const down = random() < 0.004 ? random() * 180 * MINUTE : 0;
      at += (3 + random() * 10) * MINUTE + down;
      const daemon = random() < 0.5 ? 0 : 1;
      // The second daemon's clock is some seconds late.
      const now = Math.round(at + wrong - daemon * 20_000);
      yield { daemon, now, restarted: down > 0 || random() < 0.01, together: random() < 0.2 };
    }
  }
}

/** What must be fired for one schedule, by the rule and the minutes at which it is due. */
function expectedFirings(due: readonly number[], path: readonly Tick[], start: number): string[] {
  const fired = new Map<number, number>();
  let until = start;
  for (const { now } of path) {
    if (until > now + MINUTE) until = now;
    if (until >= now) continue;
    const passed = between(due, until, now);
    const latest = passed.at(-1);
    if (latest !== undefined && !fired.has(latest)) fired.set(latest, passed.length - 1);
    if (latest !== undefined) until = now;
  }
  return [...fired]
    .sort(([a], [b]) => a - b)
    .map(([at, missed]) => `${new Date(at).toISOString()} +${missed}`);
}

function between(sorted: readonly number[], after: number, until: number): readonly number[] {
  let low = 0;
  for (let high = sorted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= after) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < sorted.length && sorted[end]! <= until) end++;
  return sorted.slice(low, end);
}

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

const START = utc(SPANS[0]![0]!);

async function makeSchedules(): Promise<{ id: number; zone: string; expression: string }[]> {
  const { database } = test;
  await database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('A', 'D1'), ('B', 'D1')",
  );
  const made = [];
  for (const zone of ZONES) {
    for (const expression of EXPRESSIONS) {
      const [row] = await database.query(
        `INSERT INTO push_schedules (name, kind, cron, time_zone) VALUES ($1, 'poll', $2, $3) RETURNING id`,
        [`${expression} ${zone}`, expression, zone],
      );
      made.push({ id: row!["id"] as number, zone, expression });
    }
  }
  await database.query(
    `INSERT INTO schedule_entries (push_schedule_id, push_object_id)
     SELECT s.id, o.id FROM push_schedules s,
       LATERAL (SELECT min(id) AS id FROM push_objects WHERE category = 'D1' AND kind = 'poll') o`,
  );
  await database.query("UPDATE schedule_marks SET fired_until = to_timestamp($1 / 1000.0)", [START]);
  return made;
}

describe("schedules over changes of the clock, restarts and two daemons", () => {
  it(`fire what an independent calculation says, once (seed ${SEED})`, async () => {
    const { database } = test;
    const schedules = await makeSchedules();
    const seen = { setBack: 0, unusable: 0 };
    const observer = {
      lagSeconds: () => {},
      fired: () => {},
      unusable: () => void seen.unusable++,
      setBack: () => void seen.setBack++,
    };
    const start = () => new Scheduler(database, "Asia/Kolkata", observer);
    const daemons = [start(), start()];
    const path: Tick[] = [];
    for (const tick of ticks(generator(SEED))) {
      path.push(tick);
      if (tick.restarted) daemons[tick.daemon] = start();
      const mine = daemons[tick.daemon]!.tick(tick.now);
      // The other one at the same instant: it must find everything fired, or fire it, and never both.
      await (tick.together ? Promise.all([mine, daemons[1 - tick.daemon]!.tick(tick.now)]) : mine);
    }
    const end = path.reduce((latest, { now }) => Math.max(latest, now), 0);
    const firings = await database.query(
      `SELECT push_schedule_id AS id, due_at AS due, missed, polls FROM schedule_firings ORDER BY due_at`,
    );
    for (const zone of ZONES) {
      const due = dueMinutes(EXPRESSIONS.map(oracleExpression), zone, START, end + MINUTE);
      EXPRESSIONS.forEach((expression, index) => {
        const { id } = schedules.find((s) => s.zone === zone && s.expression === expression)!;
        const found = firings
          .filter((row) => row["id"] === id)
          .map((row) => `${new Date(row["due"]).toISOString()} +${row["missed"]}`);
        expect(found, `${expression} in ${zone}`).toEqual(expectedFirings(due[index]!, path, START));
      });
    }
    // Each firing has queued a poll of either meter, once.
    const [tasks] = await database.query("SELECT count(*) AS n FROM poll_tasks");
    expect(tasks!["n"]).toBe(2 * firings.length);
    expect(firings.every((row) => row["polls"] === 2)).toBe(true);
    expect(seen.unusable).toBe(0);
    expect(seen.setBack).toBeGreaterThan(0);
    console.info(`${path.length} ticks, ${firings.length} firings, the clock set back ${seen.setBack} times`);
  }, 1_800_000);
});
