import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import type { Database } from "../../src/storage/database.ts";
import { openPartitions, type Partitions } from "../../src/storage/partitions.ts";
import { type ClaimedPoll, openPollTasks, type PollTasks } from "../../src/storage/poll-tasks.ts";
import { dueMinutes, oracleExpression } from "../support/cron-oracle.ts";
import {
  createEngineDatabase,
  type EngineDatabase,
  POSTGRESQL,
  TIMESCALEDB,
  warnOfMissing,
} from "../support/engines.ts";

/*
 * Schedules in three zones under two daemons whose clocks differ, are stepped forth and back, and that are down now and then. What they
 * fire, on a real database, is compared with what follows from the ticks and from looking at every single minute (cron-oracle.ts). Both claim
 * the polls that were queued, and die with some of them: each is made once in the end.
 * HES_LONG_TESTS=1: a whole year; else the nights in which clocks are changed, with months of downtime between.
 */

const ZONES = ["Asia/Kolkata", "Europe/Berlin", "America/New_York"];
const LONG = Boolean(process.env["HES_LONG_TESTS"]);
/** The first is due in every hour, skipped and repeated ones too. */
const EXPRESSIONS = [
  LONG ? "*/30 * * * *" : "40 * * * *",
  "30 2 * * *",
  "0 0 * * *",
  "5 */6 * * *",
  "15 1 * * 0",
  "0 0 1 * *",
];
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const utc = (time: string) => Date.parse(`${time}Z`);
/** From the Saturday evening to the Sunday noon of UTC: in it all three zones have their midnight and their 02:30. */
const SPANS = LONG
  ? [["2026-01-01T00:00", "2027-01-01T00:00"]]
  : [
      ["2026-03-07T18:00", "2026-03-08T12:00"],
      ["2026-03-28T18:00", "2026-03-29T12:00"],
      ["2026-10-24T18:00", "2026-10-25T12:00"],
      ["2026-10-31T18:00", "2026-11-01T12:00"],
    ];

/** So many ticks from one look at the queue to the next. */
const CLAIM_EVERY = 3;

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

const START = utc(SPANS[0]![0]!);

async function makeSchedules(
  database: Database,
): Promise<{ id: number; zone: string; expression: string }[]> {
  await database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('A', 'D1'), ('B', 'D1')",
  );
  await database.query(
    "INSERT INTO meter_associations (meter_id, client_sap) SELECT id, 32 FROM public.meters",
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

/** Polls that two daemons take off one queue; a daemon that starts again has died with what it had claimed. */
class Claims {
  private readonly database: Database;
  private readonly partitions: Partitions;
  private readonly tasks: [PollTasks, PollTasks];
  private ids = [randomUUID(), randomUUID()];
  private readonly held: [ClaimedPoll[], ClaimedPoll[]] = [[], []];
  died = 0;

  constructor(database: Database, partitions: Partitions) {
    this.database = database;
    this.partitions = partitions;
    this.tasks = [this.open(0), this.open(1)];
  }

  /** Makes what was claimed at the last tick, and claims what is due by this daemon's clock. */
  async tick(daemon: 0 | 1, nowMs: number): Promise<number> {
    const tasks = this.tasks[daemon];
    const outcome = { verdict: "applied", values: 0, rows: 0, octets: 0, error: null };
    await Promise.all(this.held[daemon].map((poll) => tasks.close(poll, outcome, null)));
    this.held[daemon] = await tasks.claim({ nowMs, pollsMax: 40, gapsMax: 1, clientSap: 32 });
    return this.held[daemon].length;
  }

  /** Its leases end at once here, instead of two minutes later. */
  async die(daemon: 0 | 1): Promise<void> {
    this.died += this.held[daemon].length;
    this.held[daemon] = [];
    await this.database.query(
      "UPDATE poll_tasks SET leased_until = clock_timestamp() - interval '1 s' WHERE leased_by = $1",
      [this.ids[daemon]],
    );
    this.ids[daemon] = randomUUID();
    this.tasks[daemon] = this.open(daemon);
  }

  private open(daemon: 0 | 1): PollTasks {
    return openPollTasks(this.database, this.partitions, this.ids[daemon]!);
  }
}

warnOfMissing([TIMESCALEDB]);
const ENGINES = [POSTGRESQL, TIMESCALEDB].filter(({ available }) => available);

describe.each(ENGINES)(
  "schedules over changes of the clock, restarts and two daemons, on $name",
  (engine) => {
    let test: EngineDatabase;
    beforeAll(async () => {
      test = await createEngineDatabase(engine);
    }, 120_000);
    afterAll(() => test.drop());

    it(`fire what an independent calculation says, once (seed ${SEED})`, async () => {
      const { database } = test;
      const schedules = await makeSchedules(database);
      const claims = new Claims(database, await openPartitions(database));
      const seen = { setBack: 0, unusable: 0 };
      const observer = {
        lagSeconds: () => {},
        fired: () => {},
        unusable: () => void seen.unusable++,
        setBack: () => void seen.setBack++,
      };
      const start = () => new Scheduler(database, { zone: "Asia/Kolkata", clientSap: 32 }, observer);
      const daemons = [start(), start()];
      const path: Tick[] = [];
      for (const tick of ticks(generator(SEED))) {
        path.push(tick);
        if (tick.restarted) {
          daemons[tick.daemon] = start();
          await claims.die(tick.daemon);
        }
        const mine = daemons[tick.daemon]!.tick(tick.now);
        // The other one at the same instant: it must find everything fired, or fire it, and never both.
        await (tick.together ? Promise.all([mine, daemons[1 - tick.daemon]!.tick(tick.now)]) : mine);
        if (path.length % CLAIM_EVERY !== 0) continue;
        await (tick.together
          ? Promise.all([claims.tick(0, tick.now), claims.tick(1, tick.now)])
          : claims.tick(tick.daemon, tick.now));
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
      // Each firing has queued a poll of either meter, and each of these was made once, whoever died with it before.
      expect(firings.every((row) => row["polls"] === 2)).toBe(true);
      while ((await claims.tick(0, end + DAY)) + (await claims.tick(1, end + DAY)) > 0);
      expect(await database.query("SELECT * FROM poll_tasks")).toEqual([]);
      const made = await database.query(
        `SELECT verdict, count(*) AS n, count(DISTINCT (push_schedule_id, due_at, meter_id)) AS polls FROM push_history
        GROUP BY verdict ORDER BY verdict`,
      );
      expect(made).toEqual([
        { verdict: "abandoned", n: claims.died, polls: expect.any(Number) },
        { verdict: "applied", n: 2 * firings.length, polls: 2 * firings.length },
      ]);
      expect(seen.unusable).toBe(0);
      expect(seen.setBack).toBeGreaterThan(0);
      console.info(
        `${path.length} ticks, ${firings.length} firings, the clock set back ${seen.setBack} times, ${claims.died} polls died with a daemon`,
      );
    }, 7_200_000);
  },
);
