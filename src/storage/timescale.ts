import { DEFAULT_PARTITION_DAYS } from "../partition-settings.ts";
import { type Client, quoteIdentifier } from "./database.ts";
import { DAILY_AGGREGATE_NAMES, DAILY_LOAD_HISTORY, dailyAggregate } from "./timescale-daily-definition.ts";

/** Time-series tables that are hypertables on TimescaleDB: the five of the structure, and the profiles that are as large. */
export const HYPERTABLES = [
  "meter_readings",
  "energy_measurements",
  "power_readings",
  "voltage_measurements",
  "current_measurements",
  "instant_profile",
  "block_load_profile",
] as const;

/** Columns that follow meter_id in the key: rows of a meter lie in the columnstore in this order, newest first. */
export const columnstoreOrder = (table: string): string => {
  if (table === "meter_readings") return "time DESC, obis_code_id, attribute, source";
  return table.endsWith("_profile") ? "time DESC" : "time DESC, source";
};

/** What the installed TimescaleDB can do; with the Apache licence it has hypertables and nothing more. */
export interface TimescaleCapabilities {
  readonly version: string;
  /** Schema of the extension's functions, quoted. */
  readonly home: string;
  /** Continuous aggregates, columnstore, policies. */
  readonly community: boolean;
}

/**
 * SQLSTATE of jobs that count as failed and did their work: TimescaleDB 2.28.3 on PostgreSQL 15.20 ends every one with `cannot drop portal`
 * (invalid_cursor_state), in whatever language the server speaks.
 */
export const DONE_ALL_THE_SAME = "24000";

/** Null where the extension isn't installed in this database. Must run outside a transaction or tolerate a savepoint. */
export async function timescaleCapabilities(client: Client): Promise<TimescaleCapabilities | null> {
  const { rows } = await client.query(
    `SELECT e.extversion, n.nspname AS home
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'`,
  );
  const found = rows[0];
  if (!found) return null;
  const home = quoteIdentifier(found.home);
  return { version: found.extversion as string, home, community: await isCommunity(client, home) };
}

/** Asks for something of the community licence that changes nothing. A setting's name wouldn't tell what was built in. */
async function isCommunity(client: Client, home: string): Promise<boolean> {
  try {
    await client.query(`SELECT ${home}.alter_job(-1, if_exists => true)`);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "0A000") return false;
    throw error;
  }
}

const PARTITIONED = /^CREATE TABLE (\S+) \(((?:(?!\n\))[\s\S])*)\n\) PARTITION BY RANGE \((\w+)\);/gm;
const AGGREGATE = /^CREATE TABLE daily_load_profile \( -- aggregate\n[\s\S]*?\n\);$/gm;

/** A migration file as this engine wants it. */
export function translate(sql: string, { home, community }: TimescaleCapabilities, timeZone: string): string {
  const tables = sql.replace(PARTITIONED, (whole: string, name: string, body: string, column: string) =>
    (HYPERTABLES as readonly string[]).includes(name.replace(/^public\./, ""))
      ? `CREATE TABLE ${name} (${body}\n);\n${makeHypertable(home, name, column, DEFAULT_PARTITION_DAYS)}`
      : whole,
  );
  // Without the licence for continuous aggregates the daily profile is the daemon's table, as on plain PostgreSQL.
  if (!community) return tables;
  return tables.replace(AGGREGATE, () => `${DAILY_LOAD_HISTORY}\n${dailyAggregate(home, timeZone)}`);
}

export function makeHypertable(home: string, name: string, column: string, days: number): string {
  return `SELECT ${home}.create_hypertable('${name.replaceAll("'", "''")}'::regclass, '${column}'::name,
    chunk_time_interval => interval '${days} days', create_default_indexes => false);`;
}

/** Where the structure that was asked for puts the operational tables. It is the extension's own schema: see ADR 1. */
const CACHE_SCHEMA = "_timescaledb_cache";

/**
 * Makes an updatable view in `_timescaledb_cache` for each operational table and aggregate, where the extension has that schema and the
 * role may create in it. The schema itself is never made, and no table is put into it. Answers how many views there are.
 */
export async function makeCompatibilityViews(client: Client, schema: string): Promise<number> {
  const { rows: allowed } = await client.query(
    `SELECT FROM pg_namespace n JOIN pg_extension e ON e.extname = 'timescaledb'
      WHERE n.nspname = $1 AND has_schema_privilege(n.oid, 'CREATE')`,
    [CACHE_SCHEMA],
  );
  if (allowed.length === 0) return 0;
  const { rows } = await client.query(
    `SELECT c.relname AS name FROM pg_class c
      WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        AND c.relname <> ALL($2) ORDER BY c.relname`,
    [quoteIdentifier(schema), ["schema_migrations", ...DAILY_AGGREGATE_NAMES]],
  );
  for (const { name } of rows) {
    const view = `${CACHE_SCHEMA}.${quoteIdentifier(name)}`;
    // A view's columns can't be changed in place; nothing of ours depends on these.
    await client.query(
      `DROP VIEW IF EXISTS ${view}; CREATE VIEW ${view} AS SELECT * FROM ${quoteIdentifier(schema)}.${quoteIdentifier(name)}`,
    );
  }
  return rows.length;
}
