import { counted, type Finding, note, ok, wrong } from "../finding.ts";
import type { Database } from "./database.ts";
import { inspectLocks } from "./inspect-locks.ts";
import { inspect } from "./inspection.ts";
import { pendingMigrations, unknownMigrations } from "./migrate.ts";
import { timescaleCapabilities } from "./timescale.ts";
import { zoneOfComment } from "./timescale-daily-definition.ts";

const VERSION_MIN = 15;
/** A clock that differs from the database's by more than this puts values into wrong days sooner or later, in milliseconds. */
const CLOCK_NOTE_MS = 1_000;
const CLOCK_WRONG_MS = 10_000;
/** Age of the oldest transaction id at which PostgreSQL's own alarm is near. */
const XID_AGE_MAX = 1_500_000_000;
/** Days of meters that wait to be written; a daemon that runs writes them within a minute or two. */
const BACKLOG_NOTE = 10_000;
const DAY_MS = 86_400_000;
const NAMED_MAX = 4;

/** The server, its settings, migrations, the days' zone: what every engine has. */
export async function inspectDatabase(
  database: Database,
  expected: { readonly timeZone: string; readonly poolMax: number; readonly now: () => number },
): Promise<Finding[]> {
  const findings = await inspect([
    ["database", () => inspectVersion(database)],
    ["capabilities", () => inspectEngine(database)],
    ["database", () => inspectSettings(database)],
    ["database", () => inspectConnections(database, expected.poolMax)],
    ["clock", () => inspectClock(database, expected.now)],
    ["migrations", () => inspectMigrations(database)],
  ]);
  if (!isMigrated(findings)) return findings;
  return [
    ...findings,
    ...(await inspect([
      ["days", () => inspectZone(database, expected.timeZone)],
      ["days", () => inspectBacklog(database)],
      ["partitions", () => inspectPartitions(database)],
      ["partitions", () => inspectLocks(database)],
    ])),
  ];
}

/** Whether the structure is this version's, so that what is in it can be looked at. */
export const isMigrated = (findings: readonly Finding[]): boolean =>
  findings.some(({ area, level }) => area === "migrations" && level === "ok");

async function inspectMigrations(database: Database): Promise<Finding> {
  const pending = await pendingMigrations(database);
  if (pending.length > 0) {
    const named = pending.length > NAMED_MAX ? [pending[0], "…", pending.at(-1)] : pending;
    const count = `${counted(pending.length, "migration")} not applied (${named.join(", ")})`;
    return wrong("migrations", count, "run `hes migrate`");
  }
  const unknown = await unknownMigrations(database);
  return unknown.length > 0
    ? wrong(
        "migrations",
        `the database has ${unknown.join(", ")}, which this version doesn't know`,
        "run the version that migrated it, or a newer one",
      )
    : ok("migrations", "all are applied");
}

async function inspectVersion(database: Database): Promise<Finding> {
  const [row] = await database.query(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
            pg_size_pretty(pg_database_size(current_database())) AS size`,
  );
  const { version, major, size } = row!;
  return major < VERSION_MIN
    ? wrong("database", `PostgreSQL ${version} is too old`, `use PostgreSQL ${VERSION_MIN} or newer`)
    : ok("database", `PostgreSQL ${version} answers; the database has ${size}`);
}

async function inspectEngine(database: Database): Promise<Finding> {
  const timescale = await database.withClient(timescaleCapabilities);
  const [began] = await database
    .query("SELECT engine FROM schema_migrations LIMIT 1")
    .catch(() => [] as Record<string, string>[]);
  if (!timescale && began?.["engine"] === "timescaledb") {
    return wrong(
      "capabilities",
      "the tables were made with TimescaleDB, and the extension isn't in this database any more: what was in hypertables went with it",
      "CREATE EXTENSION timescaledb in an empty database, and bring back a backup (docs/operating/backup-and-restore.md)",
    );
  }
  if (!timescale) {
    return ok(
      "capabilities",
      "no TimescaleDB: the daemon makes and drops partitions and writes the days itself",
    );
  }
  const what = `TimescaleDB ${timescale.version}, ${timescale.community ? "columnstore, aggregates and policies" : "under the Apache licence: hypertables only"}`;
  if (began?.["engine"] === "postgresql") {
    return note(
      "capabilities",
      `${what}; but the tables were made without it`,
      "`hes migrate --adopt-timescaledb` makes hypertables of them, with the daemons stopped",
    );
  }
  return ok("capabilities", what);
}

/** Settings with which nothing is stored, or a COMMIT does not mean that data is safe, and meters are told that it is. */
async function inspectSettings(database: Database): Promise<Finding[]> {
  const rows = await database.query(
    `SELECT name FROM pg_settings WHERE setting = 'off' AND name IN ('fsync', 'full_page_writes', 'autovacuum') ORDER BY name`,
  );
  const [state] = await database.query(
    `SELECT age(datfrozenxid) AS age, current_setting('transaction_read_only') = 'on' AS only_reads FROM pg_database
      WHERE datname = current_database()`,
  );
  const findings = rows.map(({ name }) =>
    wrong(
      "database",
      `${name} is off`,
      `set ${name} = on in postgresql.conf: ${name === "autovacuum" ? "tables swell and statistics age" : "a COMMIT isn't safe"} without it`,
    ),
  );
  if (state!["only_reads"]) {
    findings.push(
      wrong(
        "database",
        "it only reads: pushes wait in the durable log",
        "promote it if it is a standby, set default_transaction_read_only = off, or lead database.url to the server that can be written",
      ),
    );
  }
  if (state!["age"] > XID_AGE_MAX) {
    findings.push(
      wrong(
        "database",
        `the oldest transaction is ${state!["age"]} transactions old`,
        "VACUUM FREEZE it, and find out what holds autovacuum up",
      ),
    );
  }
  return findings;
}

async function inspectConnections(database: Database, poolMax: number): Promise<Finding> {
  const [row] = await database.query(
    `SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
            (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used`,
  );
  const { most, used } = row!;
  return most - used < poolMax
    ? wrong(
        "database",
        `${used} of ${most} connections are taken, and a daemon opens up to ${poolMax} (database.pool_max)`,
        "raise max_connections, or put fewer clients on the server",
      )
    : ok("database", `${used} of ${most} connections are taken`);
}

async function inspectClock(database: Database, now: () => number): Promise<Finding> {
  const before = now();
  const [row] = await database.query("SELECT clock_timestamp() AS at");
  const after = now();
  const at = row!["at"] as number;
  // The database's answer lies somewhere between; only what is outside counts.
  const off = at < before ? before - at : at > after ? at - after : 0;
  const what = `this machine's clock and the database's differ by ${Math.round(off)} ms`;
  if (off > CLOCK_WRONG_MS) return wrong("clock", what, "let both follow one time server (NTP)");
  return off > CLOCK_NOTE_MS
    ? note("clock", what, "let both follow one time server (NTP)")
    : ok("clock", what);
}

async function inspectZone(database: Database, timeZone: string): Promise<Finding> {
  const [row] = await database.query("SELECT obj_description('daily_load_profile'::regclass) AS comment");
  const zone = zoneOfComment(row?.["comment"] ?? null);
  return zone !== null && zone !== timeZone
    ? wrong(
        "days",
        `they are cut in ${zone}, and time.zone is ${timeZone}`,
        "run `hes migrate`, which cuts them anew, or set time.zone back",
      )
    : ok("days", `cut in ${timeZone}`);
}

async function inspectBacklog(database: Database): Promise<Finding> {
  const [row] = await database.query(
    "SELECT (SELECT count(*) FROM daily_load_changes) + (SELECT count(*) FROM daily_load_taken) AS waiting",
  );
  const waiting = row!["waiting"] as number;
  const what = `${counted(waiting, "changed day")} of meters wait to be made anew`;
  return waiting > BACKLOG_NOTE
    ? note("days", what, "is `hes serve` running? It makes them every minute")
    : ok("days", what);
}

/** SQL: one of the bounds of partition `c`. */
const boundOf = (which: "FROM" | "TO") =>
  `substring(pg_get_expr(c.relpartbound, 0) FROM '${which} \\(''([^'']+)''\\)')::timestamptz`;

async function inspectPartitions(database: Database): Promise<Finding[]> {
  const rows = await database.query(
    `WITH bounds AS (
       SELECT p.relname AS name, c.oid, ${boundOf("FROM")} AS "from", ${boundOf("TO")} AS until
         FROM pg_class p JOIN pg_namespace n ON n.oid = p.relnamespace LEFT JOIN pg_inherits i ON i.inhparent = p.oid
         LEFT JOIN pg_class c ON c.oid = i.inhrelid
        WHERE p.relkind = 'p' AND n.nspname IN ('public', current_schema()))
     SELECT name, count(oid) AS partitions, coalesce(bool_or($1::timestamptz >= "from" AND $1 < until), false) AS today,
            coalesce(bool_or($2::timestamptz >= "from" AND $2 < until), false) AS tomorrow FROM bounds GROUP BY name ORDER BY name`,
    // Not by the last of them: a meter whose clock runs ahead has one far from all others.
    [0, DAY_MS].map((ahead) => new Date(Date.now() + ahead).toISOString()),
  );
  const short = rows.filter(({ today }) => !today);
  if (short.length > 0) {
    return [
      wrong(
        "partitions",
        `none for today: ${short.map(({ name }) => name).join(", ")}`,
        "start `hes serve`, which makes them ahead every hour, or run `hes migrate`",
      ),
    ];
  }
  const ending = rows.filter((row) => !row["tomorrow"]);
  if (ending.length > 0) {
    return [
      wrong(
        "partitions",
        `they end within a day: ${ending.map(({ name }) => name).join(", ")}`,
        "start `hes serve`, which makes them ahead every hour (look at its log where it runs), or run `hes migrate`",
      ),
    ];
  }
  const total = rows.reduce((sum, { partitions }) => sum + partitions, 0);
  return rows.length === 0
    ? []
    : [ok("partitions", `${counted(total, "partition")} of ${counted(rows.length, "table")}, made ahead`)];
}
