import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cell, ENERGY_MEASUREMENTS, ROW_TABLES } from "../../src/mapping/rows.ts";
import type { PushStore } from "../../src/storage/accepted-push.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { type MigrationReport, migrate } from "../../src/storage/migrate.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { keepUp } from "../../src/storage/upkeep.ts";
import { urlOfDatabase } from "../support/postgres-server.ts";
import { push, reading, row, voltages } from "../support/pushes.ts";

/** A server with TimescaleDB, as a superuser: postgres://user@host/postgres */
const serverUrl = process.env["HES_TEST_TIMESCALE_URL"] ?? "";
if (serverUrl === "") console.warn("SKIPPED: set HES_TEST_TIMESCALE_URL to test on TimescaleDB.");

const ZONE = "Asia/Kolkata";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** 00:00 in India, some days ago. */
const MIDNIGHT = Math.floor((Date.now() - 5 * DAY) / DAY) * DAY - 5.5 * HOUR;

describe.skipIf(serverUrl === "")("on TimescaleDB", () => {
  const name = `test_${randomBytes(6).toString("hex")}`;
  let admin: Database;
  let database: Database;
  let report: MigrationReport;
  let store: PushStore;
  let meter: string;
  let code: number;

  beforeAll(async () => {
    admin = openDatabase({ url: serverUrl, schema: "public", poolMax: 1 });
    await admin.query(`CREATE DATABASE ${name}`);
    database = openDatabase({ url: urlOfDatabase(serverUrl, name), schema: "hes" });
    await database.query("CREATE EXTENSION timescaledb");
    report = await migrate(database, { timeZone: ZONE });
    const [found] = await database.query(
      "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'D1') RETURNING id",
    );
    meter = found!["id"];
    const [obis] = await database.query("SELECT min(id) AS id FROM obis_codes");
    code = obis!["id"];
    store = openPushStore(database, await openPartitions(database), { timeZone: ZONE });
  });
  afterAll(async () => {
    await database.close();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.close();
  });

  const energy = (source: string, time: number, values: Record<string, Cell>) =>
    row(ENERGY_MEASUREMENTS, { time, meter_id: meter, source, origin: "push", received_at: time, ...values });
  const blocks = (from: number, wh: number) =>
    Array.from({ length: 48 }, (_, index) =>
      energy("block", from + ((index + 1) * HOUR) / 2, {
        block_active_import_wh: wh,
        interval_seconds: 1_800,
      }),
    );
  const commit = (...rows: ReturnType<typeof row>[]) =>
    store.commit([push({ meterId: meter, time: MIDNIGHT, rows })]);
  const refresh = () => refreshDailyLoadProfile(database, { timeZone: ZONE });
  const dayOf = async (from: number) =>
    (
      await database.query(
        "SELECT * FROM daily_load_profile WHERE meter_id = $1 AND day = (to_timestamp($2 / 1000.0) AT TIME ZONE $3)::date",
        [meter, from + HOUR, ZONE],
      )
    )[0];

  it("makes hypertables of the five tables, with the columns of rows.ts", async () => {
    expect(report.engine).toBe("timescaledb");
    const hypertables = await database.query(
      "SELECT hypertable_name AS name FROM timescaledb_information.hypertables WHERE hypertable_schema IN ('hes', 'public')",
    );
    expect(hypertables.map((found) => found["name"]).sort()).toEqual([
      "current_measurements",
      "energy_measurements",
      "meter_readings",
      "power_readings",
      "voltage_measurements",
    ]);
    for (const table of ROW_TABLES) {
      const columns = await database.query(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1 AND table_schema IN ('hes', 'public') ORDER BY ordinal_position",
        [table.name],
      );
      expect(columns.map((column) => column["name"])).toEqual(table.columns.map((column) => column.name));
    }
    expect((await migrate(database, { timeZone: ZONE })).applied).toEqual([]);
  });

  it("stores, recognises duplicates, fills and keeps conflicts aside", async () => {
    const time = MIDNIGHT - 30 * DAY;
    const one = (values: Record<string, Cell>) => [
      voltages(meter, time, values),
      reading(meter, time, code, { value: values["voltage_l1_v"] }),
    ];
    expect((await commit(...one({ voltage_l1_v: 230 })))[0]).toMatchObject({
      verdict: "applied",
      rowsStored: 2,
    });
    expect((await commit(...one({ voltage_l1_v: 230 })))[0]).toMatchObject({
      verdict: "duplicate",
      rowsDuplicate: 2,
    });
    const [mixed] = await commit(
      voltages(meter, time, { voltage_l2_v: 1 }),
      ...one({ voltage_l1_v: 231 }).slice(1),
    );
    expect(mixed).toMatchObject({ rowsStored: 1, rowsConflicting: 1 });
  });

  it("has the days of the continuous aggregate: 48 blocks of 48, midnight registers first", async () => {
    await commit(
      ...blocks(MIDNIGHT, 100),
      ...blocks(MIDNIGHT + DAY, 50),
      energy("daily", MIDNIGHT, { active_import_wh: 10_000 }),
      energy("daily", MIDNIGHT + DAY, { active_import_wh: 14_900 }),
      voltages(meter, MIDNIGHT + HOUR, { voltage_l1_v: 210.5 }),
      voltages(meter, MIDNIGHT + DAY, { voltage_l1_v: 251 }),
    );
    expect(await refresh()).toBeGreaterThan(0);
    expect(await dayOf(MIDNIGHT)).toMatchObject({
      opening_import_wh: 10_000,
      closing_import_wh: 14_900,
      consumption_wh: 4_900,
      consumption_from: "registers",
      block_sum_import_wh: 4_800,
      blocks_present: 48,
      blocks_expected: 48,
      difference_wh: 100,
      max_demand_w: 200,
      min_voltage_v: 210.5,
      max_voltage_v: 251,
    });
    expect(await dayOf(MIDNIGHT + DAY)).toMatchObject({
      opening_import_wh: 14_900,
      consumption_wh: 2_400,
      consumption_from: "blocks",
      blocks_present: 48,
    });
  });

  it("sees a row that comes below the watermark", async () => {
    const late = MIDNIGHT - 100 * DAY;
    await commit(...blocks(late, 1));
    await refresh();
    await commit(energy("daily", late + DAY, { active_import_wh: 5 }));
    await refresh();
    expect(await dayOf(late)).toMatchObject({ blocks_present: 48, closing_import_wh: 5 });
  });

  it("keeps the history of days whose raw rows retention dropped", async () => {
    const old = MIDNIGHT - 100 * DAY;
    await database.query(
      "UPDATE storage_policies SET retention_days = 60 WHERE table_name = 'energy_measurements'",
    );
    const kept = await keepUp(database, await openPartitions(database), Date.now());
    expect(kept.partitionsDropped.length).toBeGreaterThan(0);
    const [raw] = await database.query(
      "SELECT count(*) AS n FROM energy_measurements WHERE time < now() - interval '90 days'",
    );
    expect(raw?.["n"]).toBe(0);
    await database.query(
      "INSERT INTO daily_load_changes (meter_id, day) VALUES ($1, (to_timestamp($2 / 1000.0))::date)",
      [meter, old + 12 * HOUR],
    );
    await refresh();
    expect(await dayOf(old)).toMatchObject({ blocks_present: 48 });
    await database.query(
      "UPDATE storage_policies SET retention_days = NULL WHERE table_name = 'energy_measurements'",
    );
  });

  it("answers by the names of _timescaledb_cache too, where rows can be written", async () => {
    const views = await database.query(
      "SELECT viewname AS name FROM pg_views WHERE schemaname = '_timescaledb_cache'",
    );
    expect(views.map((view) => view["name"])).toEqual(
      expect.arrayContaining(["energy_measurements", "daily_load_profile", "push_history", "obis_codes"]),
    );
    const tables = await database.query(
      "SELECT tablename FROM pg_tables WHERE schemaname = '_timescaledb_cache' AND tablename NOT LIKE 'cache_inval%'",
    );
    expect(tables).toEqual([]);
    await database.query(
      `INSERT INTO _timescaledb_cache.voltage_measurements (time, meter_id, source, origin, received_at, voltage_l1_v)
       VALUES (now(), $1, 'single', 'poll', now(), 1) ON CONFLICT DO NOTHING`,
      [meter],
    );
    const [found] = await database.query(
      "SELECT count(*) AS n FROM voltage_measurements WHERE source = 'single'",
    );
    expect(found?.["n"]).toBe(1);
  });
});
