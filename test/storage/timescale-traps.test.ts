import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import {
  createEngineDatabase,
  type EngineDatabase,
  TIMESCALEDB,
  TIMESCALEDB_APACHE,
  warnOfMissing,
} from "../support/engines.ts";

/*
 * What TimescaleDB does that one wouldn't expect, and that the database's structure was decided by. Each of these once cost, or would
 * have cost, data. When a newer version does otherwise, a test fails here, and the decision can be looked at again.
 */

warnOfMissing([TIMESCALEDB, TIMESCALEDB_APACHE]);

const SAMPLES = `
  CREATE TABLE samples (time timestamptz NOT NULL, meter int NOT NULL, source text NOT NULL DEFAULT 'block', x double precision);
  SELECT create_hypertable('samples'::regclass, 'time'::name, chunk_time_interval => interval '7 days');`;
const HOURLY = (time: string) =>
  `INSERT INTO samples SELECT t, 1, 'block', 1 FROM generate_series(${time}, interval '1 hour') t`;

async function failure(database: Database, sql: string): Promise<string> {
  return database.query(sql).then(
    () => "no error",
    (error: Error) => error.message,
  );
}

describe.skipIf(!TIMESCALEDB.available)("the extension's own schema", () => {
  let one: EngineDatabase;
  beforeAll(async () => {
    one = await createEngineDatabase(TIMESCALEDB, { empty: true, extension: false });
  });
  afterAll(() => one.drop());

  it("can't be made beforehand", async () => {
    const { database } = one;
    await database.query("CREATE SCHEMA _timescaledb_cache");
    expect(await failure(database, "CREATE EXTENSION timescaledb")).toMatch(/already exists/);
    await database.query("DROP SCHEMA _timescaledb_cache");
    await database.query("CREATE EXTENSION timescaledb");
    expect(await failure(database, "ALTER SCHEMA _timescaledb_cache RENAME TO mine")).not.toBe("no error");
  });

  it("is closed to a database owner who isn't superuser", async () => {
    const { database } = one;
    const role = `owner_${Date.now()}`;
    await database.query(`CREATE ROLE ${role}`);
    try {
      await database
        .transaction(async (client) => {
          const { rows } = await client.query("SELECT current_database() AS name");
          await client.query(`ALTER DATABASE ${rows[0].name} OWNER TO ${role}; SET LOCAL ROLE ${role}`);
          await expect(client.query("CREATE TABLE _timescaledb_cache.mine (x int)")).rejects.toThrow(
            /permission denied/,
          );
          throw new Error("undo");
        })
        .catch((error: Error) => expect(error.message).toBe("undo"));
    } finally {
      await database.query(`DROP ROLE ${role}`);
    }
  });

  it("takes tables along when the extension is dropped, and pg_dump leaves them out", async () => {
    const { database, url } = one;
    await database.query("CREATE TABLE _timescaledb_cache.mine (x int)");
    const dump = spawnSync("pg_dump", ["-N", "_timescaledb_*", url], { encoding: "utf8" });
    // Without pg_dump here, or with one of another version, only the other half is looked at.
    if (dump.status === 0) expect(dump.stdout).not.toContain("mine");
    await database.query("DROP EXTENSION timescaledb CASCADE");
    const [left] = await database.query("SELECT to_regclass('_timescaledb_cache.mine') AS found");
    expect(left?.["found"]).toBeNull();
  });
});

describe.skipIf(!TIMESCALEDB.available)("hypertables and continuous aggregates", () => {
  let one: EngineDatabase;
  let database: Database;
  beforeAll(async () => {
    one = await createEngineDatabase(TIMESCALEDB, { empty: true });
    database = one.database;
    await database.query("CREATE SCHEMA hes");
  });
  afterAll(() => one.drop());

  it("a partitioned table can't become a hypertable", async () => {
    await database.query("CREATE TABLE parted (time timestamptz NOT NULL) PARTITION BY RANGE (time)");
    expect(await failure(database, "SELECT create_hypertable('parted'::regclass, 'time'::name)")).toMatch(
      /partitioned/,
    );
  });

  it("all is made in one transaction, but a refresh isn't", async () => {
    await database.transaction(async (client) => {
      await client.query(`${SAMPLES}
        CREATE MATERIALIZED VIEW per_day WITH (timescaledb.continuous) AS
          SELECT time_bucket('1 day', time) AS bucket, meter, count(*) AS n FROM samples GROUP BY 1, 2 WITH NO DATA;
        SELECT add_continuous_aggregate_policy('per_day', start_offset => interval '3 days', end_offset => interval '1 hour',
          schedule_interval => interval '1 hour');
        SELECT add_retention_policy('samples', interval '1 year')`);
    });
    await expect(
      database.transaction((client) =>
        client.query("CALL refresh_continuous_aggregate('per_day', NULL, NULL)"),
      ),
    ).rejects.toThrow(/transaction block/);
  });

  it("real time is off by default, and a row below the watermark waits for a refresh in both modes", async () => {
    const count = async () =>
      (await database.query("SELECT coalesce(sum(n), 0)::int AS n FROM per_day"))[0]!["n"];
    await database.query(HOURLY("'2026-01-01', '2026-01-02 23:00'"));
    expect(await count()).toBe(0);
    await database.query("CALL refresh_continuous_aggregate('per_day', NULL, '2026-01-03')");
    expect(await count()).toBe(48);
    await database.query("ALTER MATERIALIZED VIEW per_day SET (timescaledb.materialized_only = false)");
    await database.query("INSERT INTO samples VALUES ('2026-01-05', 1)");
    expect(await count()).toBe(49);
    await database.query("INSERT INTO samples VALUES ('2026-01-01 00:30', 1)");
    expect(await count()).toBe(49);
    await database.query("CALL refresh_continuous_aggregate('per_day', '2026-01-01', '2026-01-02')");
    expect(await count()).toBe(50);
  });

  it("a refresh over dropped chunks erases history", async () => {
    await database.query("SELECT drop_chunks('samples', older_than => '2026-01-03'::timestamptz)");
    const days = () => database.query("SELECT bucket FROM per_day WHERE bucket < '2026-01-01'");
    await database.query(HOURLY("'2025-06-01', '2025-06-02 23:00'"));
    await database.query("CALL refresh_continuous_aggregate('per_day', '2025-06-01', '2025-06-03')");
    await database.query("SELECT drop_chunks('samples', older_than => '2025-12-01'::timestamptz)");
    expect(await days()).toHaveLength(2);
    // Nothing happens while nothing was written there; one late row is enough.
    await database.query("INSERT INTO samples VALUES ('2025-06-01 05:00', 1)");
    await database.query("CALL refresh_continuous_aggregate('per_day', '2025-06-01', '2025-06-03')");
    const [first] = await database.query("SELECT n FROM per_day WHERE bucket = '2025-06-01'");
    expect(first?.["n"]).toBe(1);
  });

  it("an hour of UTC under a day of India is silently wrong", async () => {
    const [row] = await database.query(`
      SELECT time_bucket('1 day', time_bucket('1 hour', t), 'Asia/Kolkata') AS by_hour, time_bucket('1 day', t, 'Asia/Kolkata') AS direct
        FROM (VALUES ('2026-01-01 18:45Z'::timestamptz)) AS v(t)`);
    expect(row?.["by_hour"]).not.toBe(row?.["direct"]);
  });

  it("what is stamped 00:00 belongs to the day that ends, with an offset of a microsecond: 48 blocks a day", async () => {
    const rows = await database.query(`
      SELECT time_bucket('1 day', t, 'Asia/Kolkata', "offset" => interval '1 microsecond') AS bucket, count(*) AS n
        FROM generate_series('2026-01-01 00:30+05:30'::timestamptz, '2026-01-03 00:00+05:30', interval '30 minutes') t GROUP BY 1`);
    expect(rows.map((row) => row["n"])).toEqual([48, 48]);
  });

  it("last − first loses what is used across midnight; lead over first doesn't", async () => {
    const [row] = await database.query(`
      WITH readings AS (SELECT t, extract(epoch FROM t - '2026-01-01')::float8 / 3600 AS x
                          FROM generate_series('2026-01-01'::timestamptz, '2026-01-02 23:00', interval '1 hour') t),
           days AS (SELECT time_bucket('1 day', t) AS bucket, last(x, t) - first(x, t) AS inside, first(x, t) AS opening FROM readings GROUP BY 1)
      SELECT inside, lead(opening) OVER (ORDER BY bucket) - opening AS whole FROM days ORDER BY bucket LIMIT 1`);
    expect(row).toEqual({ inside: 23, whole: 24 });
  });

  it("last needs a filter where two sources share an instant", async () => {
    const [row] = await database.query(`
      SELECT last(x, t) AS bare, last(x, t) FILTER (WHERE x IS NOT NULL) AS filtered
        FROM (VALUES (NULL::float8, '2026-01-01'::timestamptz), (7, '2026-01-01')) AS v(x, t)`);
    expect(row).toEqual({ bare: null, filtered: 7 });
  });

  it.each([
    [
      "window functions",
      "SELECT time_bucket('1 day', time) AS b, meter, sum(count(*)) OVER () AS n FROM samples GROUP BY 1, 2",
    ],
    [
      "common table expressions",
      "WITH s AS (SELECT * FROM samples) SELECT time_bucket('1 day', time) AS b, count(*) AS n FROM s GROUP BY 1",
    ],
    ["DISTINCT", "SELECT DISTINCT time_bucket('1 day', time) AS b, count(*) AS n FROM samples GROUP BY 1"],
  ])("%s don't fit into an aggregate", async (_, query) => {
    expect(
      await failure(
        database,
        `CREATE MATERIALIZED VIEW odd WITH (timescaledb.continuous) AS ${query} WITH NO DATA`,
      ),
    ).not.toBe("no error");
  });

  it("nor does a unique index", async () => {
    expect(await failure(database, "CREATE UNIQUE INDEX ON per_day (bucket, meter)")).toMatch(/unique/i);
  });

  it("a change of a joined table isn't noticed", async () => {
    await database.query(`
      CREATE TABLE kinds (meter int PRIMARY KEY, kind text); INSERT INTO kinds VALUES (1, 'old');
      INSERT INTO samples SELECT t, 1, 'block', 1 FROM generate_series('2026-02-01', '2026-02-02', interval '1 hour') t;
      CREATE MATERIALIZED VIEW joined WITH (timescaledb.continuous) AS
        SELECT time_bucket('1 day', time) AS bucket, kind, count(*) AS n FROM samples JOIN kinds USING (meter) GROUP BY 1, 2 WITH NO DATA`);
    await database.query("CALL refresh_continuous_aggregate('joined', '2026-02-01', '2026-02-03')");
    await database.query("UPDATE kinds SET kind = 'new'");
    await database.query("CALL refresh_continuous_aggregate('joined', '2026-02-01', '2026-02-03')");
    const rows = await database.query("SELECT DISTINCT kind FROM joined");
    expect(rows).toEqual([{ kind: "old" }]);
  });
});

describe.skipIf(!TIMESCALEDB_APACHE.available)("under the Apache licence", () => {
  let one: EngineDatabase;
  beforeAll(async () => {
    one = await createEngineDatabase(TIMESCALEDB_APACHE, { empty: true });
    await one.database.query(`CREATE SCHEMA hes; ${SAMPLES}`);
  });
  afterAll(() => one.drop());

  it.each([
    [
      "continuous aggregates",
      "CREATE MATERIALIZED VIEW d WITH (timescaledb.continuous) AS SELECT time_bucket('1 day', time) AS b, count(*) AS n FROM samples GROUP BY 1 WITH NO DATA",
    ],
    [
      "the columnstore",
      "ALTER TABLE samples SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'meter')",
    ],
    ["retention policies", "SELECT add_retention_policy('samples', interval '1 year')"],
  ])("%s fail", async (_, sql) => {
    expect(await failure(one.database, sql)).toMatch(/license/);
  });
});
