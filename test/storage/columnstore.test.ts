import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PushStore } from "../../src/storage/accepted-push.ts";
import { columnstoreDays } from "../../src/storage/columnstore.ts";
import { correctRows } from "../../src/storage/correct.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import type { Database } from "../../src/storage/database.ts";
import { recordSystemEvents } from "../../src/storage/event-logs.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { applyStoragePolicies } from "../../src/storage/storage-policies.ts";
import { keepUp } from "../../src/storage/upkeep.ts";
import { createEngineDatabase, type EngineDatabase, TIMESCALEDB, warnOfMissing } from "../support/engines.ts";
import { instant, push, voltages } from "../support/pushes.ts";

warnOfMissing([TIMESCALEDB]);

const DAY = 86_400_000;
const METERS = 50;
/** So many days have rows, each 48 a meter. */
const DAYS = 17;
/** All of them are old enough for the columnstore. */
const FIRST = Math.floor(Date.now() / DAY) * DAY - 60 * DAY;
/** Tables whose order has one column, several, and whose days are aggregated. */
const TABLES = ["instant_profile", "voltage_measurements", "energy_measurements"] as const;

it("joins as many chunks as make a week, and leaves wider ones alone", () => {
  expect([1, 2, 3, 4, 7, 30].map(columnstoreDays)).toEqual([7, 6, 6, 4, 7, 30]);
});

describe.skipIf(!TIMESCALEDB.available)("days in the columnstore", () => {
  let made: EngineDatabase;
  let database: Database;
  let store: PushStore;
  let meter: string;
  let before: readonly unknown[];

  const policies = (partitionDays: number, retentionDays: Record<string, number> = {}) =>
    applyStoragePolicies(database, { retentionDays, partitionDays, compressAfterDays: 14 });
  const keep = async () => keepUp(database, await openPartitions(database), Date.now());
  const runPolicy = async (procedure: "policy_compression" | "policy_retention", table: string) => {
    const [job] = await database.query(
      "SELECT job_id AS id FROM timescaledb_information.jobs WHERE proc_name = $1 AND hypertable_name = $2",
      [procedure, table],
    );
    await database.query(`CALL run_job(${job!["id"]})`);
  };
  /** Days from the first on, and the compressed batches of the chunk. */
  const chunks = async (table: string) => {
    const rows = await database.query(
      `SELECT extract(epoch FROM i.range_start)::float8 * 1000 AS starts, extract(epoch FROM i.range_end)::float8 * 1000 AS ends,
              CASE WHEN z.id IS NOT NULL THEN (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.%I', z.schema_name, z.table_name), false, true, '')))[1]::text::int END AS batches
         FROM timescaledb_information.chunks i
         JOIN _timescaledb_catalog.chunk c ON c.schema_name = i.chunk_schema AND c.table_name = i.chunk_name
         LEFT JOIN _timescaledb_catalog.chunk z ON z.id = c.compressed_chunk_id
        WHERE i.hypertable_name = $1 ORDER BY i.range_start`,
      [table],
    );
    return rows.map(({ starts, ends, batches }) => [
      (starts - FIRST) / DAY,
      (ends - FIRST) / DAY,
      batches as number | null,
    ]);
  };
  const contents = () =>
    database.query(
      `SELECT 'instant' AS of, count(*) AS n, bit_xor(hashtextextended(t::text, 0))::text AS hash FROM instant_profile t
       UNION ALL SELECT 'voltage', count(*), bit_xor(hashtextextended(t::text, 0))::text FROM voltage_measurements t
       UNION ALL SELECT 'energy', count(*), bit_xor(hashtextextended(t::text, 0))::text FROM energy_measurements t
       UNION ALL SELECT 'days', count(*), bit_xor(hashtextextended(t::text, 0))::text FROM daily_load_profile t ORDER BY 1`,
    );

  beforeAll(async () => {
    made = await createEngineDatabase(TIMESCALEDB, { migration: { timeZone: "Asia/Kolkata" } });
    database = made.database;
    await database.query(
      `INSERT INTO public.meters (meter_number, meter_type) SELECT n, 'D1' FROM generate_series(1, ${METERS}) n`,
    );
    meter = (await database.query("SELECT id FROM public.meters WHERE meter_number = '7'"))[0]!["id"];
    for (const [table, columns, values] of [
      ["instant_profile", "voltage_l1_v", "230"],
      ["voltage_measurements", "source, voltage_l1_v", "'instant', 230 + n % 7"],
      ["energy_measurements", "source, interval_seconds, block_active_import_wh", "'block', 1800, n % 50"],
    ]) {
      await database.query(
        `INSERT INTO ${table} (time, meter_id, origin, received_at, ${columns})
         SELECT to_timestamp($1 / 1000.0) + n * interval '30 minutes', id, 'push', now(), ${values}
           FROM public.meters, generate_series(0, ${DAYS * 48 - 1}) n`,
        [FIRST],
      );
    }
    await database.query(
      "INSERT INTO daily_load_changes SELECT DISTINCT meter_id, (time AT TIME ZONE 'Asia/Kolkata')::date FROM energy_measurements",
    );
    await refreshDailyLoadProfile(database, { timeZone: "Asia/Kolkata" });
    store = openPushStore(database, await openPartitions(database), { timeZone: "Asia/Kolkata" });
    before = await contents();
  }, 180_000);
  afterAll(() => made.drop());

  it("are of a day by what the migrations say, and join to weeks there", async () => {
    for (const table of TABLES) {
      expect((await chunks(table)).map(([from, to]) => to! - from!)).toEqual(Array(DAYS).fill(1));
      await runPolicy("policy_compression", table);
      expect((await chunks(table)).map(([from, to]) => [from, to])).toEqual([
        [0, 7],
        [7, 14],
        [14, 17],
      ]);
    }
    expect(await contents()).toEqual(before);
  });

  it("take the batches of a week once it is full, one week a table at a time, and are left alone from then on", async () => {
    const batches = async () => (await chunks("voltage_measurements")).map(([, , count]) => count);
    expect(await batches()).toEqual([7 * METERS, 7 * METERS, 3 * METERS]);
    await keep();
    expect(await batches()).toEqual([METERS, 7 * METERS, 3 * METERS]);
    await keep();
    expect(await batches()).toEqual([METERS, METERS, 3 * METERS]);
    const [noted] = await database.query(
      "SELECT array_agg(oid::text || obj_description(oid, 'pg_class') ORDER BY oid) AS notes FROM pg_class WHERE obj_description(oid, 'pg_class') LIKE 'In the columnstore%'",
    );
    expect(noted!["notes"]).toHaveLength(2 * TABLES.length);
    const files = () =>
      database.query(
        "SELECT relfilenode FROM pg_class WHERE relname LIKE 'compress_hyper%' ORDER BY relfilenode",
      );
    const written = await files();
    await keep();
    expect(await files()).toEqual(written);
    expect(await contents()).toEqual(before);
  });

  it("take late rows, and know duplicates and conflicts", async () => {
    const late = FIRST + 3 * DAY + 60_000;
    const commit = async (row: Parameters<typeof push>[0]["rows"]) =>
      (await store.commit([push({ meterId: meter, time: late, rows: row! })]))[0];
    expect(await commit([voltages(meter, late, { voltage_l1_v: 1 })])).toMatchObject({ verdict: "applied" });
    expect(await commit([voltages(meter, late - 60_000, { voltage_l1_v: 1 })])).toMatchObject({
      rowsConflicting: 1,
    });
    expect(await commit([voltages(meter, late, { voltage_l1_v: 1 })])).toMatchObject({
      verdict: "duplicate",
    });
    expect(
      await commit([instant(meter, late - 60_000, { voltage_l1_v: 230, current_l1_a: 3 })]),
    ).toMatchObject({ rowsStored: 1 });
    await runPolicy("policy_compression", "voltage_measurements");
    const [found] = await database.query(
      "SELECT count(*) AS n FROM voltage_measurements WHERE meter_id = $1 AND voltage_l1_v = 1",
      [meter],
    );
    expect(found!["n"]).toBe(1);
  });

  it("are corrected and filled in, rows of many meters and days together", async () => {
    const meters = await database.query("SELECT id FROM public.meters ORDER BY meter_number");
    const at = (index: number) => FIRST + ((index * 7) % (DAYS * 48)) * (DAY / 48);
    const rows = (cells: (index: number) => Parameters<typeof instant>[2]) =>
      meters.map(({ id }, index) => instant(id, at(index), cells(index)));
    const outcome = await database.transaction((client) =>
      correctRows(
        client,
        rows((index) => ({ voltage_l1_v: 100 + index })),
      ),
    );
    expect(outcome).toEqual({ added: 0, corrected: METERS });
    const pushes = rows((index) => ({ voltage_l1_v: 100 + index, frequency_hz: 49 })).map((row, index) =>
      push({ meterId: meters[index]!["id"], time: at(index), rows: [row] }),
    );
    expect((await store.commit(pushes)).every(({ rowsStored }) => rowsStored === 1)).toBe(true);
    const [found] = await database.query(
      "SELECT count(*) AS rows, count(DISTINCT voltage_l1_v) AS values FROM instant_profile WHERE voltage_l1_v < 200 AND frequency_hz = 49",
    );
    expect(found).toEqual({ rows: METERS, values: METERS });
  });

  it("are dropped as a week, when the last of its rows has expired", async () => {
    const days = Math.floor((Date.now() - FIRST) / DAY);
    const run = async (kept: number) => {
      await policies(1, { instant_profile: kept });
      await keep();
      await runPolicy("policy_retention", "instant_profile");
      return (await chunks("instant_profile")).map(([from]) => from);
    };
    expect(await run(days - 6)).toEqual([0, 7, 14]);
    expect(await run(days - 7)).toEqual([7, 14]);
  });

  it("stay as they are where chunks become wider than a week, and join again with days", async () => {
    const widths = async () => {
      const [width] = await database.query(
        `SELECT d.time_interval::text AS chunk, (SELECT compress_interval_length / 86400000000 FROM _timescaledb_catalog.dimension WHERE id = (
           SELECT max(d.id) FROM _timescaledb_catalog.dimension d JOIN _timescaledb_catalog.hypertable h ON h.id = d.hypertable_id
            WHERE h.table_name = 'voltage_measurements')) AS joined
           FROM timescaledb_information.dimensions d WHERE hypertable_name = 'voltage_measurements'`,
      );
      return width;
    };
    await policies(30);
    await keep();
    expect(await widths()).toEqual({ chunk: "30 days", joined: 30 });
    await policies(1);
    await keep();
    expect(await widths()).toEqual({ chunk: "1 day", joined: 7 });
  });

  it("are put together later where somebody has them to himself", async () => {
    const [joined] = await database.query(
      "SELECT oid::regclass::text AS name FROM pg_class WHERE obj_description(oid, 'pg_class') LIKE 'In the columnstore%' LIMIT 1",
    );
    const { name } = joined!;
    const noted = async () =>
      (await database.query(`SELECT obj_description('${name}'::regclass, 'pg_class') AS note`))[0]!["note"];
    await database.query(`COMMENT ON TABLE ${name} IS NULL`);
    await database.transaction(async (client) => {
      await client.query(`LOCK TABLE ${name} IN SHARE UPDATE EXCLUSIVE MODE`);
      await keep();
      expect(await noted()).toBeNull();
    });
    await keep();
    expect(await noted()).toMatch(/^In the columnstore/);
  });

  it("keep nothing that has expired, whatever goes wrong while they are put together", async () => {
    const [joined] = await database.query(
      "SELECT oid::regclass::text AS name FROM pg_class WHERE obj_description(oid, 'pg_class') LIKE 'In the columnstore%' LIMIT 1",
    );
    await database.query(`COMMENT ON TABLE ${joined!["name"]} IS NULL`);
    await database.query(
      `CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
       CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('COMMENT') EXECUTE FUNCTION refuse()`,
    );
    await policies(1, { event_logs: 10 });
    const message = "eleven days ago";
    await recordSystemEvents(database, [
      { timeMs: Date.now() - 11 * DAY, level: "info", component: "test", message, data: {} },
    ]);
    await expect(keep()).rejects.toThrow("not this one");
    expect(await database.query("SELECT FROM event_logs WHERE message = $1", [message])).toEqual([]);
  });
});
