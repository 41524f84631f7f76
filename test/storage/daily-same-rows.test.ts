import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cell, ENERGY_MEASUREMENTS, type Row } from "../../src/mapping/rows.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import type { Database, QueryRow } from "../../src/storage/database.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { createEngineDatabase, ENGINES, type EngineDatabase, warnOfMissing } from "../support/engines.ts";
import { push, row, voltages } from "../support/pushes.ts";

/*
 * The daily load profile is a table that the daemon writes on one engine and a view over continuous aggregates on the other. The same
 * rows go into both, in the same order, and the same days have to come out; and they have to be right.
 */

const QUARTER = 900_000;
const HOUR = 4 * QUARTER;
const METERS = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"];

interface Day {
  readonly title: string;
  readonly zone: string;
  /** 00:00 of the day and of the next one, hand-computed from the zone's rules. */
  readonly from: number;
  readonly to: number;
  readonly day: string;
  readonly hours: number;
}

const DAYS: readonly Day[] = [
  {
    title: "India",
    zone: "Asia/Kolkata",
    from: Date.UTC(2026, 2, 28, 18, 30),
    to: Date.UTC(2026, 2, 29, 18, 30),
    day: "2026-03-29",
    hours: 24,
  },
  {
    title: "Berlin, clocks forward",
    zone: "Europe/Berlin",
    from: Date.UTC(2026, 2, 28, 23),
    to: Date.UTC(2026, 2, 29, 22),
    day: "2026-03-29",
    hours: 23,
  },
  {
    title: "Berlin, clocks back",
    zone: "Europe/Berlin",
    from: Date.UTC(2026, 9, 24, 22),
    to: Date.UTC(2026, 9, 25, 23),
    day: "2026-10-25",
    hours: 25,
  },
  {
    title: "New York, clocks forward",
    zone: "America/New_York",
    from: Date.UTC(2026, 2, 8, 5),
    to: Date.UTC(2026, 2, 9, 4),
    day: "2026-03-08",
    hours: 23,
  },
  {
    title: "Cairo, where midnight is left out",
    zone: "Africa/Cairo",
    from: Date.UTC(2026, 3, 23, 22),
    to: Date.UTC(2026, 3, 24, 21),
    day: "2026-04-24",
    hours: 23,
  },
  {
    title: "Lord Howe, half an hour back",
    zone: "Australia/Lord_Howe",
    from: Date.UTC(2026, 3, 4, 13),
    to: Date.UTC(2026, 3, 5, 13, 30),
    day: "2026-04-05",
    hours: 24.5,
  },
  {
    title: "UTC",
    zone: "UTC",
    from: Date.UTC(2026, 0, 1),
    to: Date.UTC(2026, 0, 2),
    day: "2026-01-01",
    hours: 24,
  },
];

warnOfMissing();
const engines = ENGINES.filter(({ available }) => available);

const energy = (meter: number, source: string, time: number, values: Record<string, Cell>) =>
  row(ENERGY_MEASUREMENTS, {
    time,
    meter_id: METERS[meter],
    source,
    origin: "push",
    received_at: time,
    ...values,
  });
const block = (meter: number, time: number, wh: number, seconds: number | null = 1_800) =>
  energy(meter, "block", time, {
    block_active_import_wh: wh,
    block_active_export_wh: wh / 4,
    interval_seconds: seconds,
  });
const register = (meter: number, time: number, wh: number | null) =>
  energy(meter, "daily", time, { active_import_wh: wh, active_export_wh: 0 });
const blocks = (meter: number, { from, to }: { from: number; to: number }, wh: (index: number) => number) =>
  Array.from({ length: (to - from) / (2 * QUARTER) }, (_, index) =>
    block(meter, from + (index + 1) * 2 * QUARTER, wh(index)),
  );

/** Batches of rows; the days are refreshed after each. */
function story({ from, to }: Day): Row[][] {
  const before = { from: from - 30 * HOUR, to: from };
  return [
    // The day itself, whole, with a register only at its end.
    [...blocks(0, { from, to }, (index) => 100 + (index % 7)), register(0, to, 50_000)],
    // Backfilled: the day before and its register, after the day.
    [...blocks(0, before, () => 10), register(0, from, 45_000.25)],
    // Another meter: two demands of the same height, a block of a quarter of an hour, no registers.
    [
      block(1, from + HOUR, 500),
      block(1, from + 2 * HOUR, 500),
      block(1, from + 3 * HOUR, 125, 900),
      block(1, to, 1),
    ],
    // Late: a block of the day before, and voltages on the edges of the day and beyond it.
    [
      block(1, from, 77),
      voltages(METERS[0]!, from, { voltage_l1_v: 180 }),
      voltages(METERS[0]!, from + 1, { voltage_l1_v: 231.5, voltage_l3_v: 229 }),
      voltages(METERS[0]!, to, { voltage_l2_v: 251.25 }),
      voltages(METERS[0]!, to + 1, { voltage_l1_v: 300 }),
    ],
    // Days of voltages alone; a midnight without its register; two registers in one day, of which the later lacks a value.
    [
      voltages(METERS[1]!, from - 80 * HOUR, { voltage_l1_v: 240 }),
      register(1, to, null),
      register(1, from + 5 * HOUR, 900),
      register(1, from, 800),
    ],
    // What is no part of a day.
    [
      energy(0, "instant", from + HOUR, { active_import_wh: 1 }),
      energy(0, "billing", from + HOUR, { active_import_wh: 2 }),
    ],
  ];
}

const rowsOf = (database: Database) =>
  database.query("SELECT *, day::text AS day FROM daily_load_profile p ORDER BY meter_id, p.day");

describe.each(DAYS)("a day of $hours hours: $title", (day) => {
  const made: EngineDatabase[] = [];
  const results = new Map<string, QueryRow[]>();

  beforeAll(async () => {
    for (const engine of engines) {
      const one = await createEngineDatabase(engine, { migration: { timeZone: day.zone } });
      made.push(one);
      const { database } = one;
      await database.query(
        "INSERT INTO public.meters (id, meter_number, meter_type) SELECT id, id::text, 'D1' FROM unnest($1::uuid[]) AS id",
        [METERS],
      );
      const store = openPushStore(database, await openPartitions(database), { timeZone: day.zone });
      for (const rows of story(day)) {
        await store.commit(
          METERS.map((meterId) =>
            push({ meterId, time: day.from, rows: rows.filter((r) => r.cells.includes(meterId)) }),
          ),
        );
        await refreshDailyLoadProfile(database, { timeZone: day.zone });
      }
      results.set(engine.name, await rowsOf(database));
    }
  }, 180_000);
  afterAll(async () => {
    for (const { drop } of made) await drop();
  });

  it("has all its blocks, its registers and its edges", () => {
    const expected = day.hours * 2;
    const sum = Array.from({ length: expected }, (_, index) => 100 + (index % 7)).reduce((a, b) => a + b, 0);
    const [today] = results
      .get("PostgreSQL")!
      .filter((r) => r["meter_id"] === METERS[0] && r["day"] === day.day);
    expect(today).toMatchObject({
      blocks_present: expected,
      blocks_expected: expected,
      block_sum_import_wh: sum,
      opening_import_wh: 45_000.25,
      closing_import_wh: 50_000,
      consumption_wh: 4_999.75,
      consumption_from: "registers",
      difference_wh: 4_999.75 - sum,
      max_demand_w: 212,
      max_demand_at: day.from + 7 * 2 * QUARTER,
      min_voltage_v: 229,
      max_voltage_v: 251.25,
    });
    const [other] = results
      .get("PostgreSQL")!
      .filter((r) => r["meter_id"] === METERS[1] && r["day"] === day.day);
    expect(other).toMatchObject({
      blocks_present: 4,
      block_sum_import_wh: 1_126,
      max_demand_w: 1_000,
      max_demand_at: day.from + HOUR,
      opening_import_wh: 800,
      closing_import_wh: 900,
      consumption_wh: 100,
    });
  });

  it.each(engines.slice(1).map(({ name }) => [name]))("is the same on PostgreSQL and on %s", (name) => {
    expect(results.get("PostgreSQL")!.length).toBeGreaterThanOrEqual(6);
    expect(results.get(name)).toEqual(results.get("PostgreSQL"));
  });
});
