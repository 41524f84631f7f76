import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Cell, ENERGY_MEASUREMENTS } from "../../src/mapping/rows.ts";
import type { PushStore } from "../../src/storage/accepted-push.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { keepUp } from "../../src/storage/upkeep.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { push, row, voltages } from "../support/pushes.ts";

let test: TestDatabase;
let store: PushStore;
let meter: string;
const ZONE = "Asia/Kolkata";
/** 00:00 in India of 2026-11-23, the beginning of that day. */
const MIDNIGHT = Date.UTC(2026, 10, 22, 18, 30);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

beforeAll(async () => {
  test = await createTestDatabase();
  store = openPushStore(test.database, await openPartitions(test.database), { timeZone: ZONE });
});
afterAll(() => test.drop());
/** A meter of its own for each test, because continuous aggregates can't be truncated. */
beforeEach(async () => {
  await test.database.query("TRUNCATE daily_load_changes");
  const [found] = await test.database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES (gen_random_uuid(), 'D1') RETURNING id",
  );
  meter = found!["id"];
});

const energy = (source: string, time: number, values: Record<string, Cell>) =>
  row(ENERGY_MEASUREMENTS, { time, meter_id: meter, source, origin: "push", received_at: time, ...values });
const block = (time: number, wh: number) =>
  energy("block", time, { block_active_import_wh: wh, interval_seconds: 1_800 });
const midnight = (time: number, wh: number) =>
  energy("daily", time, { active_import_wh: wh, active_export_wh: 0 });
const commit = (...rows: ReturnType<typeof row>[]) =>
  store.commit([push({ meterId: meter, time: MIDNIGHT, rows })]);
const refresh = () => refreshDailyLoadProfile(test.database, { timeZone: ZONE });
const days = () =>
  test.database.query(
    "SELECT *, day::text AS day FROM daily_load_profile p WHERE meter_id = $1 ORDER BY p.day",
    [meter],
  );
/** The 48 blocks of a day: the first is stamped 00:30, the last 00:00 of the next day. */
const blocksOfDay = (from: number, wh: number) =>
  Array.from({ length: 48 }, (_, index) => block(from + (index + 1) * (HOUR / 2), wh));

describe("a day of blocks", () => {
  it("holds 48 of 48: what is stamped 00:00 belongs to the day that ends then", async () => {
    await commit(...blocksOfDay(MIDNIGHT - DAY, 50), ...blocksOfDay(MIDNIGHT, 100));
    await refresh();
    expect(await days()).toMatchObject([
      { day: "2026-11-22", blocks_present: 48, blocks_expected: 48, block_sum_import_wh: 2_400 },
      { day: "2026-11-23", blocks_present: 48, blocks_expected: 48, block_sum_import_wh: 4_800 },
    ]);
  });

  it("has its highest demand and when, its voltages, and its consumption from the blocks", async () => {
    await commit(
      block(MIDNIGHT + HOUR, 100),
      block(MIDNIGHT + 2 * HOUR, 750),
      voltages(meter, MIDNIGHT + HOUR, { voltage_l1_v: 229, voltage_l2_v: 210.5 }),
      voltages(meter, MIDNIGHT + DAY, { voltage_l1_v: 251 }),
    );
    await refresh();
    expect(await days()).toMatchObject([
      {
        max_demand_w: 1_500,
        max_demand_at: MIDNIGHT + 2 * HOUR,
        min_voltage_v: 210.5,
        max_voltage_v: 251,
        consumption_wh: 850,
        consumption_from: "blocks",
        blocks_present: 2,
        difference_wh: null,
      },
    ]);
  });
});

describe("midnight registers", () => {
  it("win over the sum of the blocks, and the difference is shown", async () => {
    await commit(...blocksOfDay(MIDNIGHT, 100), midnight(MIDNIGHT, 10_000), midnight(MIDNIGHT + DAY, 14_900));
    await refresh();
    const [, day] = await days();
    expect(day).toMatchObject({
      day: "2026-11-23",
      opening_import_wh: 10_000,
      closing_import_wh: 14_900,
      consumption_wh: 4_900,
      consumption_from: "registers",
      block_sum_import_wh: 4_800,
      difference_wh: 100,
    });
  });

  it("that come late also change the day after", async () => {
    await commit(midnight(MIDNIGHT + DAY, 14_900));
    await refresh();
    expect(await days()).toMatchObject([{ consumption_wh: null }]);
    await commit(midnight(MIDNIGHT, 10_000));
    await refresh();
    expect(await days()).toMatchObject([
      { day: "2026-11-22", closing_import_wh: 10_000 },
      { day: "2026-11-23", opening_import_wh: 10_000, consumption_wh: 4_900 },
    ]);
  });
});

describe("refreshing", () => {
  it("writes only what changed, and nothing the second time", async () => {
    await commit(block(MIDNIGHT + HOUR, 1));
    expect(await refresh()).toBe(1);
    expect(await refresh()).toBe(0);
    await commit(energy("instant", MIDNIGHT + HOUR, { active_import_wh: 5 }));
    expect(await refresh()).toBe(0);
  });

  it("loses no day, however batches and refreshes overlap", async () => {
    let writing = true;
    const refreshing = (async () => {
      while (writing) await refresh();
    })();
    const blocks = blocksOfDay(MIDNIGHT, 10);
    await Promise.all(blocks.map((one) => commit(one)));
    writing = false;
    await refreshing;
    await refresh();
    expect(await days()).toMatchObject([{ blocks_present: 48, block_sum_import_wh: 480 }]);
  });
});

describe("upkeep", () => {
  it("makes partitions ahead and drops those that are older than their retention", async () => {
    const partitions = await openPartitions(test.database);
    const old = MIDNIGHT - 200 * DAY;
    await partitions.ensure([{ table: "raw_frames", time: old }]);
    expect(partitions.covers("raw_frames", old)).toBe(true);
    expect(partitions.covers("raw_frames", old, old + 1)).toBe(true);
    // Both ends have a place, what lies between has none.
    expect(partitions.covers("raw_frames", MIDNIGHT)).toBe(true);
    expect(partitions.covers("raw_frames", old, MIDNIGHT)).toBe(false);
    const later = MIDNIGHT + 60 * DAY;
    expect(partitions.covers("raw_frames", later)).toBe(false);
    const report = await keepUp(test.database, partitions, later);
    expect(report.partitionsDropped.length).toBeGreaterThan(0);
    expect(report.partitionsDropped.every((name) => name.startsWith("raw_frames_"))).toBe(true);
    expect(partitions.covers("raw_frames", old)).toBe(false);
    expect(partitions.covers("raw_frames", later + 2 * DAY)).toBe(true);
    expect(partitions.covers("energy_measurements", MIDNIGHT)).toBe(true);
  });

  it("deletes rows of tables without partitions when they have expired, and nothing that is younger or open", async () => {
    const { database } = test;
    const now = Date.now();
    await database.query(
      `INSERT INTO event_logs (time, level, component, message)
       SELECT now() - n * interval '1 day', 'info', 'test', 'x' FROM unnest(ARRAY[399, 401, 500]) n`,
    );
    await database.query(
      `INSERT INTO capture_gaps (meter_id, profile, first_missing, last_missing, captures, state, closed_at)
       SELECT $1, 'block', now() - interval '900 days', now() - interval '900 days', 1, s, c
         FROM (VALUES ('open', NULL), ('filled', now() - interval '500 days'), ('filled', now())) AS v(s, c)`,
      [meter],
    );
    const report = await keepUp(database, await openPartitions(database), now);
    expect(report.rowsDeleted).toEqual({ event_logs: 2, capture_gaps: 1 });
  });
});
