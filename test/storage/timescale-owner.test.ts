import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ENERGY_MEASUREMENTS } from "../../src/mapping/rows.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { type MigrationReport, migrate } from "../../src/storage/migrate.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { HYPERTABLES } from "../../src/storage/timescale.ts";
import { keepUp } from "../../src/storage/upkeep.ts";
import { createEngineDatabase, type EngineDatabase, TIMESCALEDB, warnOfMissing } from "../support/engines.ts";
import { push, row } from "../support/pushes.ts";

/* Utilities rarely give the daemon a superuser: it owns its database, and what belongs to the extension is closed to it. */

warnOfMissing([TIMESCALEDB]);

const DAY = 24 * 3_600_000;
const MIDNIGHT = Math.floor(Date.now() / DAY - 5) * DAY;

describe.skipIf(!TIMESCALEDB.available)("an owner of the database who isn't superuser", () => {
  const role = `owner_${randomBytes(6).toString("hex")}`;
  let one: EngineDatabase;
  let database: Database;
  let report: MigrationReport;
  beforeAll(async () => {
    one = await createEngineDatabase(TIMESCALEDB, { empty: true });
    const [named] = await one.database.query("SELECT current_database() AS name");
    await one.database.query(`CREATE ROLE ${role} LOGIN; ALTER DATABASE ${named!["name"]} OWNER TO ${role}`);
    const url = new URL(one.url);
    url.username = role;
    database = openDatabase({ url: url.href, schema: "hes" });
    report = await migrate(database, { timeZone: "UTC" });
  }, 120_000);
  afterAll(async () => {
    await database.close();
    await one.database.query(`REASSIGN OWNED BY ${role} TO CURRENT_USER`);
    await one.database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await one.drop();
  });

  it("migrates to hypertables and aggregates, and leaves the extension's schema as it was", async () => {
    expect(report.engine).toBe("timescaledb");
    const found = await database.query(
      "SELECT hypertable_name AS name FROM timescaledb_information.hypertables",
    );
    expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining([...HYPERTABLES]));
    const views = await database.query("SELECT FROM pg_views WHERE schemaname = '_timescaledb_cache'");
    expect(views).toEqual([]);
    expect((await migrate(database, { timeZone: "UTC" })).applied).toEqual([]);
  });

  it("writes, refreshes days, keeps policies and cuts days anew", async () => {
    const [meter] = await database.query(
      "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'D1') RETURNING id",
    );
    const meterId = meter!["id"] as string;
    const partitions = await openPartitions(database);
    const rows = Array.from({ length: 48 }, (_, index) =>
      row(ENERGY_MEASUREMENTS, {
        time: MIDNIGHT + (index + 1) * 1_800_000,
        meter_id: meterId,
        source: "block",
        origin: "push",
        received_at: MIDNIGHT,
        block_active_import_wh: 2,
        interval_seconds: 1_800,
      }),
    );
    const store = openPushStore(database, partitions, { timeZone: "UTC" });
    expect((await store.commit([push({ meterId, time: MIDNIGHT, rows })]))[0]?.verdict).toBe("applied");
    await refreshDailyLoadProfile(database, { timeZone: "UTC" });
    await keepUp(database, partitions, Date.now());
    const jobs = await database.query(
      "SELECT FROM timescaledb_information.jobs WHERE proc_name IN ('policy_compression', 'policy_refresh_continuous_aggregate') AND owner = $1::regrole",
      [role],
    );
    expect(jobs).toHaveLength(HYPERTABLES.length + 2);
    const days = async () =>
      (await database.query("SELECT blocks_present AS n FROM daily_load_profile p ORDER BY p.day")).map(
        ({ n }) => n,
      );
    expect(await days()).toEqual([48]);
    await migrate(database, { timeZone: "Asia/Kolkata", changeZone: true });
    expect(await days()).toEqual([37, 11]);
  }, 120_000);
});
