import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ENERGY_MEASUREMENTS, type Row } from "../../src/mapping/rows.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import type { Database } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { applyStoragePolicies } from "../../src/storage/storage-policies.ts";
import { HYPERTABLES } from "../../src/storage/timescale.ts";
import { adoptTimescale } from "../../src/storage/timescale-adoption.ts";
import { unmadeAggregates } from "../../src/storage/timescale-daily.ts";
import { keepUp } from "../../src/storage/upkeep.ts";
import {
  createEngineDatabase,
  type EngineDatabase,
  TIMESCALEDB,
  TIMESCALEDB_APACHE,
  warnOfMissing,
} from "../support/engines.ts";
import { createExtension } from "../support/extension.ts";
import { instant, push, row, voltages } from "../support/pushes.ts";

warnOfMissing([TIMESCALEDB, TIMESCALEDB_APACHE]);

const ZONE = "Asia/Kolkata";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MIDNIGHT = Math.floor((Date.now() - 5 * DAY) / DAY) * DAY - 5.5 * HOUR;
const METER = "00000000-0000-4000-8000-000000000001";

let one: EngineDatabase;
let database: Database;

/** Three months of a meter: a block every six hours, voltages, and what an instantaneous profile holds. */
const rows = (from: number, to: number): Row[] => {
  const made: Row[] = [];
  for (let time = from; time < to; time += 6 * HOUR) {
    const values = { block_active_import_wh: 1.5, interval_seconds: 21_600 };
    made.push(
      row(ENERGY_MEASUREMENTS, {
        time,
        meter_id: METER,
        source: "block",
        origin: "push",
        received_at: time,
        ...values,
      }),
      voltages(METER, time, { voltage_l1_v: 230.25 }),
      instant(METER, time, { voltage_l1_v: 230.25, extra: JSON.stringify({ "1.0.94.91.0.255": time }) }),
    );
  }
  return made;
};
const commit = async (made: Row[]) => {
  const store = openPushStore(database, await openPartitions(database), { timeZone: ZONE });
  const [outcome] = await store.commit([push({ meterId: METER, time: MIDNIGHT, rows: made })]);
  expect(outcome?.verdict).toBe("applied");
  await refreshDailyLoadProfile(database, { timeZone: ZONE });
};
const contents = async () =>
  Object.fromEntries(
    await Promise.all(
      [...HYPERTABLES, "daily_load_profile"].map(async (table) => [
        table,
        (
          await database.query(
            `SELECT count(*) AS rows, md5(string_agg(t::text, '|' ORDER BY t::text)) AS digest FROM ${table} t`,
          )
        )[0],
      ]),
    ),
  );
const structure = () =>
  database.query(
    `SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS constraint FROM pg_constraint
      WHERE conrelid = ANY($1::regclass[]) AND conparentid = 0 ORDER BY 1`,
    [HYPERTABLES],
  );
const hypertables = async () =>
  (
    await database.query(
      "SELECT hypertable_name AS name FROM timescaledb_information.hypertables WHERE hypertable_schema IN ('hes', 'public') ORDER BY 1",
    )
  ).map(({ name }) => name as string);

const POLICY_JOBS =
  "SELECT job_id AS id FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'";

describe.skipIf(!TIMESCALEDB.available)("adopting, broken off while the days are made", () => {
  it.each([
    ["adopting again", () => adoptTimescale(database, { timeZone: ZONE })],
    ["migrating", () => migrate(database, { timeZone: ZONE, changeZone: true })],
  ])(
    "hides no day, and %s makes those that are missing",
    async (_, again) => {
      one = await createEngineDatabase(TIMESCALEDB, { extension: false, migration: { timeZone: ZONE } });
      database = one.database;
      try {
        await database.query(
          "INSERT INTO public.meters (id, meter_number, meter_type) VALUES ($1, '1', 'D1')",
          [METER],
        );
        // Into the days that policies refresh: only there do they hide what is older.
        await commit(rows(MIDNIGHT - 90 * DAY, MIDNIGHT + 4 * DAY));
        const days = async () => (await contents())["daily_load_profile"];
        const before = await days();
        await createExtension(database);
        const cut = adoptTimescale(database, {
          timeZone: ZONE,
          onProgress: ({ step }) => {
            if (step === "days") throw new Error("cut");
          },
        });
        await expect(cut).rejects.toThrow("cut");
        expect(await hypertables()).toHaveLength(HYPERTABLES.length);
        // What a daemon does every hour, and what the extension does by itself where it is told to.
        await keepUp(database, await openPartitions(database), Date.now());
        for (const { id } of await database.query(POLICY_JOBS)) await database.query(`CALL run_job(${id})`);
        expect(await days()).toEqual(before);
        expect((await database.withClient(unmadeAggregates)).size).toBe(2);

        await again();
        expect((await database.withClient(unmadeAggregates)).size).toBe(0);
        const jobs = await database.query(POLICY_JOBS);
        expect(jobs).toHaveLength(2);
        for (const { id } of jobs) await database.query(`CALL run_job(${id})`);
        expect(await days()).toEqual(before);
      } finally {
        await one.drop();
      }
    },
    120_000,
  );
});

describe.each([
  ["TimescaleDB", TIMESCALEDB, true],
  ["TimescaleDB under the Apache licence", TIMESCALEDB_APACHE, false],
] as const)("adopting %s", (_, engine, aggregate) => {
  describe.skipIf(!engine.available)("for a database that was plain PostgreSQL", () => {
    let before: Record<string, unknown>;
    let constraints: unknown;
    const keepDays = (days: number, partitionDays = 7) =>
      applyStoragePolicies(database, {
        retentionDays: { energy_measurements: days, voltage_measurements: days },
        partitionDays,
        compressAfterDays: 14,
      });

    beforeAll(async () => {
      one = await createEngineDatabase(engine, { extension: false, migration: { timeZone: ZONE } });
      database = one.database;
      await database.query(
        "INSERT INTO public.meters (id, meter_number, meter_type) VALUES ($1, '1', 'D1')",
        [METER],
      );
      await commit(rows(MIDNIGHT - 90 * DAY, MIDNIGHT));
      // The oldest days stay although their raw rows are dropped.
      await keepDays(60);
      const kept = await keepUp(database, await openPartitions(database), Date.now());
      expect(kept.partitionsDropped.length).toBeGreaterThan(2);
      await keepDays(0);
      await database.query(
        "CREATE VIEW mine AS SELECT meter_id, max(voltage_l1_v) AS v FROM voltage_measurements GROUP BY 1",
      );
      await database.query("GRANT SELECT ON voltage_measurements TO PUBLIC");
      constraints = await structure();
    }, 180_000);
    afterAll(() => one.drop());

    it("asks for the extension where it is missing", async () => {
      await expect(adoptTimescale(database, { timeZone: ZONE })).rejects.toThrow(
        /CREATE EXTENSION timescaledb/,
      );
      await createExtension(database);
      expect((await migrate(database, { timeZone: ZONE })).engine).toBe("postgresql");
    });

    it("changes nothing while somebody writes", async () => {
      await expect(
        database.transaction(async (client) => {
          await client.query("UPDATE voltage_measurements SET voltage_l1_v = 1");
          await expect(adoptTimescale(database, { timeZone: ZONE, lockWaitMs: 100 })).rejects.toThrow(
            /stop the daemons/,
          );
          throw new Error("undo");
        }),
      ).rejects.toThrow("undo");
      expect(await hypertables()).toEqual([]);
    });

    it("is broken off, sees more written and old rows dropped meanwhile, and goes on", async () => {
      await expect(
        adoptTimescale(database, {
          timeZone: ZONE,
          onProgress: (progress) => {
            if (progress.step !== "copied") return;
            const { table, done, partitions } = progress;
            if (table === "energy_measurements" && done === partitions) throw new Error("cut");
          },
        }),
      ).rejects.toThrow("cut");
      expect((await migrate(database, { timeZone: ZONE })).engine).toBe("postgresql");
      // A daemon comes back and writes into partitions that were copied already.
      await commit(rows(MIDNIGHT - 8 * DAY + HOUR, MIDNIGHT + HOUR));
      // Or puts another value in place of one: as many rows as before.
      const changed = await database.query(
        `UPDATE energy_measurements SET active_import_wh = 2.5 WHERE time = to_timestamp($1 / 1000.0) RETURNING 1`,
        [MIDNIGHT - 30 * DAY],
      );
      expect(changed).toHaveLength(1);
      // And drops what it needn't keep any more, copied or not.
      await keepDays(45);
      await keepUp(database, await openPartitions(database), Date.now());
      await keepDays(0);
      const dropped = await database.query(
        "SELECT partition FROM timescale_adoption WHERE rows > 0 AND to_regclass(partition) IS NULL",
      );
      expect(dropped.length).toBeGreaterThan(0);
      // Of the Wednesday of such a week a late row comes, and has a partition of its own day.
      await keepDays(0, 1);
      const [, year, month, date] = /_(\d{4})(\d\d)(\d\d)$/.exec(dropped[0]!["partition"])!.map(Number);
      const late = Date.UTC(year!, month! - 1, date! + 2) + HOUR / 2;
      await commit(rows(late, late + HOUR));
      before = await contents();

      const steps: string[] = [];
      const report = await adoptTimescale(database, {
        timeZone: ZONE,
        onProgress: ({ step }) => steps.push(step),
      });
      expect(report).toMatchObject({ tables: [...HYPERTABLES].sort(), dailyAggregate: aggregate });
      expect(steps).toContain("already there");
      expect(steps.filter((step) => step === "copied").length).toBeGreaterThan(0);
      expect(await hypertables()).toEqual(expect.arrayContaining([...HYPERTABLES].sort()));
    }, 180_000);

    it("loses nothing: rows, days, keys, views, grants", async () => {
      expect(await contents()).toEqual(before);
      expect(await structure()).toEqual(constraints);
      expect(await database.query("SELECT v FROM mine")).toEqual([{ v: 230.25 }]);
      const [granted] = await database.query(
        "SELECT has_table_privilege('public', 'voltage_measurements', 'SELECT') AS granted",
      );
      expect(granted).toEqual({ granted: true });
      const [left] = await database.query("SELECT count(*) AS n FROM pg_class WHERE relname LIKE '%adopt%'");
      expect(left).toEqual({ n: 0 });
    });

    it("is TimescaleDB from then on, and has nothing left to adopt", async () => {
      expect((await migrate(database, { timeZone: ZONE })).engine).toBe("timescaledb");
      expect(await adoptTimescale(database, { timeZone: ZONE })).toEqual({
        tables: [],
        rows: 0,
        dailyAggregate: false,
      });
      await commit(rows(MIDNIGHT + 2 * HOUR, MIDNIGHT + DAY));
      const [day] = await database.query(
        "SELECT blocks_present FROM daily_load_profile p ORDER BY p.day DESC LIMIT 1",
      );
      expect(day).toEqual({ blocks_present: 4 });
    });
  });
});
