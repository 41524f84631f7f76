import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cell, ENERGY_MEASUREMENTS, ROW_TABLES, type Row } from "../../src/mapping/rows.ts";
import type { PushStore } from "../../src/storage/accepted-push.ts";
import { correctRows } from "../../src/storage/correct.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { applyStoragePolicies } from "../../src/storage/storage-policies.ts";
import { HYPERTABLES } from "../../src/storage/timescale.ts";
import { keepUp } from "../../src/storage/upkeep.ts";
import {
  createEngineDatabase,
  type EngineDatabase,
  TIMESCALEDB,
  TIMESCALEDB_APACHE,
  warnOfMissing,
} from "../support/engines.ts";
import { instant, push, reading, row, voltages } from "../support/pushes.ts";

warnOfMissing([TIMESCALEDB, TIMESCALEDB_APACHE]);

const ZONE = "Asia/Kolkata";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** 00:00 in India, some days ago. */
const MIDNIGHT = Math.floor((Date.now() - 5 * DAY) / DAY) * DAY - 5.5 * HOUR;

let made: EngineDatabase;
let database: Database;
let store: PushStore;
let meter: string;
let code: number;

async function open(engine: typeof TIMESCALEDB): Promise<void> {
  made = await createEngineDatabase(engine, { migration: { timeZone: ZONE } });
  database = made.database;
  const [found] = await database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'D1') RETURNING id",
  );
  meter = found!["id"];
  const [obis] = await database.query("SELECT min(id) AS id FROM obis_codes");
  code = obis!["id"];
  store = openPushStore(database, await openPartitions(database), { timeZone: ZONE });
}

const energy = (source: string, time: number, values: Record<string, Cell>) =>
  row(ENERGY_MEASUREMENTS, { time, meter_id: meter, source, origin: "push", received_at: time, ...values });
const blocks = (from: number, wh: number) =>
  Array.from({ length: 48 }, (_, index) =>
    energy("block", from + ((index + 1) * HOUR) / 2, { block_active_import_wh: wh, interval_seconds: 1_800 }),
  );
const commit = (...rows: Row[]) => store.commit([push({ meterId: meter, time: MIDNIGHT, rows })]);
const refresh = () => refreshDailyLoadProfile(database, { timeZone: ZONE });
const keep = async () => keepUp(database, await openPartitions(database), Date.now());
const dayOf = async (from: number) =>
  (
    await database.query(
      "SELECT * FROM daily_load_profile WHERE meter_id = $1 AND day = (to_timestamp($2 / 1000.0) AT TIME ZONE $3)::date",
      [meter, from + HOUR, ZONE],
    )
  )[0];
interface PlanNode {
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly Plans?: readonly PlanNode[];
}
/** Rows that a plan took out of these relations. */
const rawRowsRead = (node: PlanNode, relations: ReadonlySet<string>): number =>
  (relations.has(node["Relation Name"] ?? "") ? node["Actual Rows"] * node["Actual Loops"] : 0) +
  (node.Plans ?? []).reduce((sum, child) => sum + rawRowsRead(child, relations), 0);
const rawChunks = async () =>
  new Set(
    (
      await database.query(
        "SELECT chunk_name AS name FROM timescaledb_information.chunks WHERE hypertable_name IN ('energy_measurements', 'voltage_measurements')",
      )
    ).map(({ name }) => name as string),
  );
const policies = (retentionDays: Record<string, number>, partitionDays = 1, compressAfterDays = 14) =>
  applyStoragePolicies(database, { retentionDays, partitionDays, compressAfterDays });
const jobs = async () =>
  (
    await database.query(
      "SELECT hypertable_name || ' ' || proc_name || ' ' || coalesce(config ->> 'compress_after', config ->> 'drop_after') AS job FROM timescaledb_information.jobs WHERE proc_name IN ('policy_compression', 'policy_retention') AND hypertable_name IS NOT NULL ORDER BY 1",
    )
  ).map((found) => found["job"] as string);
const runJobs = async (procedure: string) => {
  const found = await database.query("SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = $1", [
    procedure,
  ]);
  for (const { job_id: id } of found) await database.query(`CALL run_job(${id})`);
};

describe.skipIf(!TIMESCALEDB.available)("on TimescaleDB", () => {
  beforeAll(() => open(TIMESCALEDB), 120_000);
  afterAll(() => made.drop());

  it("makes hypertables of the large tables, with the columns of rows.ts, and nothing the second time", async () => {
    expect(made.report?.engine).toBe("timescaledb");
    const hypertables = await database.query(
      "SELECT hypertable_name AS name FROM timescaledb_information.hypertables WHERE hypertable_schema IN ('hes', 'public')",
    );
    expect(hypertables.map((found) => found["name"]).sort()).toEqual([...HYPERTABLES].sort());
    for (const table of ROW_TABLES) {
      const columns = await database.query(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1 AND table_schema IN ('hes', 'public') ORDER BY ordinal_position",
        [table.name],
      );
      expect(columns.map((column) => column["name"])).toEqual(table.columns.map((column) => column.name));
    }
    expect((await migrate(database, { timeZone: ZONE })).applied).toEqual([]);
  });

  it("has the days of the continuous aggregate, the last ones in real time", async () => {
    await commit(
      ...blocks(MIDNIGHT, 100),
      ...blocks(MIDNIGHT + DAY, 50),
      energy("daily", MIDNIGHT, { active_import_wh: 10_000 }),
      energy("daily", MIDNIGHT + DAY, { active_import_wh: 14_900 }),
      voltages(meter, MIDNIGHT + HOUR, { voltage_l1_v: 210.5 }),
      voltages(meter, MIDNIGHT + DAY, { voltage_l1_v: 251 }),
    );
    // Nothing was refreshed yet.
    expect(await dayOf(MIDNIGHT)).toMatchObject({ blocks_present: 48, consumption_wh: 4_900 });
    await database.query(
      "CALL refresh_continuous_aggregate('daily_energy', NULL, now() - interval '1 day'); ",
    );
    await database.query(
      "CALL refresh_continuous_aggregate('daily_voltage', NULL, now() - interval '1 day')",
    );
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
    expect(await dayOf(MIDNIGHT + DAY)).toMatchObject({ consumption_wh: 2_400, consumption_from: "blocks" });
  });

  it("sees a row that comes below the watermark, and not before a refresh", async () => {
    const late = MIDNIGHT - 100 * DAY;
    await commit(...blocks(late, 1));
    await refresh();
    expect(await dayOf(late)).toMatchObject({ blocks_present: 48, closing_import_wh: null });
    await commit(energy("daily", late + DAY, { active_import_wh: 5 }));
    expect(await dayOf(late)).toMatchObject({ closing_import_wh: null });
    await refresh();
    expect(await dayOf(late)).toMatchObject({ blocks_present: 48, closing_import_wh: 5 });
  });

  it.each([
    ["before any policy ran", [40, 10], [], 2],
    ["behind a pause in which no policy ran", [20], [9, 7], 4],
  ])(
    "loses no days %s, once one has: it covers the last ones and hides what is older",
    async (_, early, late, count) => {
      const own = await createEngineDatabase(TIMESCALEDB, { migration: { timeZone: ZONE } });
      try {
        const { database: empty } = own;
        await empty.query("INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'D1')");
        const fill = (daysAgo: number) =>
          empty.query(
            `WITH block AS (INSERT INTO energy_measurements (time, meter_id, source, origin, received_at, interval_seconds, block_active_import_wh)
             SELECT date_trunc('hour', now()) - $1 * interval '1 day', id, 'block', 'push', now(), 1800, 1 FROM public.meters
             RETURNING meter_id, time)
           INSERT INTO daily_load_changes SELECT meter_id, (time AT TIME ZONE '${ZONE}')::date FROM block ON CONFLICT DO NOTHING`,
            [daysAgo],
          );
        const toAggregate = async (from: string, to: string) => {
          await empty.query(`CALL refresh_continuous_aggregate('daily_energy', ${from}, ${to})`);
        };
        for (const daysAgo of early) await fill(daysAgo);
        if (late.length > 0) await toAggregate("NULL", "now() - interval '15 days'");
        for (const daysAgo of late) await fill(daysAgo);
        await refreshDailyLoadProfile(empty, { timeZone: ZONE });
        if (late.length > 0) await fill(2);
        await toAggregate("now() - interval '4 days'", "now() - interval '1 hour'");
        // Moves the watermark in any case.
        await fill(1);
        await toAggregate("now() - interval '4 days'", "now() - interval '1 hour'");
        expect(await empty.query("SELECT day FROM daily_load_profile")).toHaveLength(count + 1);
      } finally {
        await own.drop();
      }
    },
    60_000,
  );

  it("shows the interval of a meter's type as soon as it is another type", async () => {
    await commit(voltages(meter, MIDNIGHT - 20 * DAY + HOUR, { voltage_l1_v: 230 }));
    await refresh();
    expect(await dayOf(MIDNIGHT - 20 * DAY)).toMatchObject({ blocks_expected: 48, blocks_present: 0 });
    await database.query(
      "INSERT INTO meter_types (name, category, interval_seconds) VALUES ('quarter', 'D1', 900)",
    );
    await database.query("UPDATE public.meters SET meter_type = 'quarter'");
    expect(await dayOf(MIDNIGHT - 20 * DAY)).toMatchObject({ blocks_expected: 96 });
    await database.query("UPDATE public.meters SET meter_type = 'D1'");
  });

  it("has policies that follow the configuration", async () => {
    await policies({ energy_measurements: 60, voltage_measurements: 0, daily_load_profile: 3_000 }, 1, 20);
    await keep();
    const found = await jobs();
    expect(found).toContain("energy_measurements policy_compression 20 days");
    expect(found).toContain("energy_measurements policy_retention 60 days");
    expect(found.filter((job) => job.includes("voltage_measurements"))).toEqual([
      "voltage_measurements policy_compression 20 days",
    ]);
    expect(found.filter((job) => job.endsWith("policy_retention 3000 days"))).toHaveLength(2);
    const [width] = await database.query(
      "SELECT time_interval::text AS width FROM timescaledb_information.dimensions WHERE hypertable_name = 'power_readings'",
    );
    expect(width?.["width"]).toBe("1 day");
    await policies({ energy_measurements: 0, daily_load_profile: 0 }, 7, 0);
    await keep();
    expect(await jobs()).toEqual([]);
    await policies({}, 7, 14);
    await keep();
    expect(await jobs()).toHaveLength(HYPERTABLES.length);
  });

  it("starts every refresh later than raw rows are kept", async () => {
    expect(await policies({ energy_measurements: 7 }).catch((error: Error) => error.message)).toMatch(
      /check constraint/,
    );
    const refreshes = await database.query(
      "SELECT (config ->> 'start_offset')::interval < interval '8 days' AS late FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'",
    );
    expect(refreshes).toEqual([{ late: true }, { late: true }]);
  });

  it("keeps the history of days whose raw rows retention dropped, late rows and a longer retention notwithstanding", async () => {
    const old = MIDNIGHT - 100 * DAY;
    await policies({ energy_measurements: 60 });
    await keep();
    await runJobs("policy_retention");
    const gone = "SELECT count(*) AS n FROM energy_measurements WHERE time < now() - interval '90 days'";
    expect((await database.query(gone))[0]?.["n"]).toBe(0);
    await commit(energy("block", old + HOUR, { block_active_import_wh: 9, interval_seconds: 1_800 }));
    await refresh();
    expect(await dayOf(old)).toMatchObject({ blocks_present: 48, block_sum_import_wh: 48 });
    await policies({ energy_measurements: 0 });
    await keep();
    await commit(energy("block", old + 2 * HOUR, { block_active_import_wh: 9, interval_seconds: 1_800 }));
    await refresh();
    expect(await dayOf(old)).toMatchObject({ blocks_present: 48, block_sum_import_wh: 48 });
  });

  it("cuts the days anew in another zone, history and views over it included", async () => {
    const old = await dayOf(MIDNIGHT - 100 * DAY);
    await database.query("CREATE VIEW mine AS SELECT meter_id, day, consumption_wh FROM daily_load_profile");
    await database.query(
      "CREATE VIEW mine_too AS SELECT * FROM mine; COMMENT ON VIEW mine_too IS 'it''s mine'; GRANT SELECT ON mine_too TO PUBLIC",
    );
    await database.query("GRANT SELECT ON daily_load_profile TO PUBLIC");
    expect((await migrate(database, { timeZone: "Europe/Berlin" })).dayZone).toBe(ZONE);
    expect((await migrate(database, { timeZone: "Europe/Berlin", changeZone: true })).dayZone).toBe(
      "Europe/Berlin",
    );
    const [whole] = await database.query(
      "SELECT sum(blocks_present)::int AS blocks, max(blocks_present) AS most FROM daily_load_profile WHERE day > (now() - interval '30 days')::date",
    );
    expect(whole).toEqual({ blocks: 96, most: 48 });
    expect(await dayOf(MIDNIGHT - 100 * DAY)).toEqual(old);
    const [kept] = await database.query(
      "SELECT obj_description('mine_too'::regclass) AS comment, has_table_privilege('public', 'mine_too', 'SELECT') AS view, has_table_privilege('public', 'daily_load_profile', 'SELECT') AS profile",
    );
    expect(kept).toEqual({ comment: "it's mine", view: true, profile: true });
    await migrate(database, { timeZone: ZONE, changeZone: true });
    expect(await dayOf(MIDNIGHT)).toMatchObject({ blocks_present: 48, consumption_wh: 4_900 });
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

describe.skipIf(!TIMESCALEDB.available)("a question about a day", () => {
  beforeAll(() => open(TIMESCALEDB), 120_000);
  afterAll(() => made.drop());

  it("reads no raw rows for days that are made, and those of one day for a day that isn't", async () => {
    const day = async (from: number) => {
      const [plan] = await database.query(
        `EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM daily_load_profile
          WHERE day = (to_timestamp($1::float8 / 1000) AT TIME ZONE '${ZONE}')::date`,
        [from + HOUR],
      );
      return rawRowsRead(plan!["QUERY PLAN"][0].Plan, await rawChunks());
    };
    // Of the last two days in India, whatever the hour is there and in UTC: policies make those.
    const [old, recent] = [MIDNIGHT - 200 * DAY, MIDNIGHT + 4 * DAY];
    await commit(...blocks(old, 1), ...blocks(recent, 1));
    // Nothing is made yet.
    expect(await day(old)).toBe(48);
    await refresh();
    expect(await day(old)).toBe(0);
    expect(await day(recent)).toBe(48);
    expect(await dayOf(old)).toMatchObject({ blocks_present: 48 });
    expect(await dayOf(recent)).toMatchObject({ blocks_present: 48 });
  });
});

describe.skipIf(!TIMESCALEDB.available)("in the columnstore", () => {
  const OTHERS = 400;
  const time = MIDNIGHT - 40 * DAY;
  /** Rows of the chunk that were opened for writing: they lie beside the compressed ones. */
  const opened = async (table: string) =>
    (
      await database.query(
        `SELECT coalesce(sum(n), 0)::int AS n FROM (SELECT (xpath('/row/c/text()', query_to_xml(
       format('SELECT count(*) AS c FROM ONLY %I.%I', chunk_schema, chunk_name), false, true, '')))[1]::text::int AS n
       FROM timescaledb_information.chunks WHERE hypertable_name = $1 AND is_compressed) AS c`,
        [table],
      )
    )[0]!["n"] as number;

  beforeAll(async () => {
    await open(TIMESCALEDB);
    await database.query(
      `INSERT INTO public.meters (meter_number, meter_type) SELECT 'other ' || n, 'D1' FROM generate_series(1, ${OTHERS}) n`,
    );
    for (const [table, columns, values] of [
      ["voltage_measurements", "source, voltage_l1_v", "'instant', 230"],
      ["instant_profile", "voltage_l1_v", "230"],
    ]) {
      await database.query(
        `INSERT INTO ${table} (time, meter_id, origin, received_at, ${columns})
         SELECT to_timestamp($1 / 1000.0) + n * interval '30 minutes', id, 'push', now(), ${values}
           FROM public.meters, generate_series(0, 299) n`,
        [time],
      );
    }
    await keep();
    // The policy's job has begun by itself, so that a chunk may be compressed already.
    await database.query(
      "SELECT compress_chunk(c, if_not_compressed => true) FROM unnest($1::text[]) t, show_chunks(t::regclass, older_than => interval '14 days') c",
      [["voltage_measurements", "instant_profile"]],
    );
  }, 180_000);
  afterAll(() => made.drop());

  it("lie old chunks, segmented by meter, at a fraction of their size", async () => {
    const [stats] = await database.query(
      "SELECT number_compressed_chunks AS chunks, before_compression_total_bytes / after_compression_total_bytes AS ratio FROM hypertable_columnstore_stats('voltage_measurements')",
    );
    expect(stats?.["chunks"]).toBeGreaterThan(0);
    expect(stats?.["ratio"]).toBeGreaterThan(5);
    const [segments] = await database.query(
      "SELECT segmentby, orderby FROM timescaledb_information.hypertable_columnstore_settings WHERE hypertable = 'voltage_measurements'::regclass",
    );
    expect(segments).toEqual({ segmentby: "meter_id", orderby: '"time" DESC,source' });
  });

  it("late rows of all meters find their place, duplicates and conflicts are recognised", async () => {
    const meters = await database.query("SELECT id FROM public.meters");
    const late = meters.map(({ id }) =>
      push({ meterId: id, time, rows: [voltages(id, time + 60_000, { voltage_l1_v: 1 })] }),
    );
    expect((await store.commit(late)).every(({ verdict }) => verdict === "applied")).toBe(true);
    expect((await commit(voltages(meter, time, { voltage_l1_v: 230 })))[0]).toMatchObject({
      verdict: "duplicate",
    });
    expect((await commit(voltages(meter, time, { voltage_l1_v: 229 })))[0]).toMatchObject({
      rowsConflicting: 1,
    });
  });

  it("a missing column is filled in by opening the rows of its meter only", async () => {
    const before = await opened("instant_profile");
    expect((await commit(instant(meter, time, { voltage_l1_v: 230, current_l1_a: 3 })))[0]).toMatchObject({
      rowsStored: 1,
    });
    const [filled] = await database.query(
      "SELECT voltage_l1_v, current_l1_a FROM instant_profile WHERE meter_id = $1 AND time = to_timestamp($2 / 1000.0)",
      [meter, time],
    );
    expect(filled).toEqual({ voltage_l1_v: 230, current_l1_a: 3 });
    const after = await opened("instant_profile");
    expect(after).toBeGreaterThan(before);
    expect(after).toBeLessThanOrEqual(before + 300);
  });

  it("and so are rows corrected", async () => {
    const before = await opened("instant_profile");
    const [other] = await database.query("SELECT id FROM public.meters WHERE meter_number = 'other 7'");
    const corrected = await database.transaction((client) =>
      correctRows(client, [instant(other!["id"], time, { voltage_l1_v: 231 })]),
    );
    expect(corrected).toEqual({ added: 0, corrected: 1 });
    expect(await opened("instant_profile")).toBeLessThanOrEqual(before + 300);
  });

  it("more rows may be opened at once than the extension's default allows", async () => {
    // A connection that was opened after the extension had been made.
    const fresh = openDatabase({ url: made.url, schema: "hes", poolMax: 1 });
    const [limit] = await fresh.query("SHOW timescaledb.max_tuples_decompressed_per_dml_transaction");
    await fresh.close();
    expect(limit).toEqual({ "timescaledb.max_tuples_decompressed_per_dml_transaction": "0" });
  });
});

describe.skipIf(!TIMESCALEDB_APACHE.available)("on TimescaleDB under the Apache licence", () => {
  beforeAll(() => open(TIMESCALEDB_APACHE), 120_000);
  afterAll(() => made.drop());

  it("has hypertables, and the days are the daemon's table", async () => {
    const hypertables = await database.query(
      "SELECT hypertable_name AS name FROM timescaledb_information.hypertables",
    );
    expect(hypertables.map((found) => found["name"]).sort()).toEqual([...HYPERTABLES].sort());
    const time = MIDNIGHT + HOUR;
    const one = () =>
      commit(voltages(meter, time, { voltage_l1_v: 230 }), reading(meter, time, code, { value: 1 }));
    expect((await one())[0]).toMatchObject({ verdict: "applied", rowsStored: 2 });
    expect((await one())[0]).toMatchObject({ verdict: "duplicate" });
    await commit(...blocks(MIDNIGHT, 100));
    expect(await refresh()).toBe(1);
    expect(await dayOf(MIDNIGHT)).toMatchObject({
      blocks_present: 48,
      block_sum_import_wh: 4_800,
      min_voltage_v: 230,
    });
  });

  it("drops chunks by itself, and the days that were made of them stay", async () => {
    const old = MIDNIGHT - 100 * DAY;
    await commit(...blocks(old, 1));
    await refresh();
    await policies({ energy_measurements: 60 });
    expect((await keep()).partitionsDropped.length).toBeGreaterThan(0);
    await commit(energy("block", old + HOUR, { block_active_import_wh: 9, interval_seconds: 1_800 }));
    await refresh();
    expect(await dayOf(old)).toMatchObject({ blocks_present: 48, block_sum_import_wh: 48 });
  });
});
