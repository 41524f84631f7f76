import { type Client, quoteIdentifier } from "./database.ts";
import { DAILY_AGGREGATE_NAMES, dailyAggregate } from "./timescale-daily.ts";

/** What the installed TimescaleDB can do; with the Apache licence it has hypertables and nothing more. */
export interface TimescaleCapabilities {
  readonly version: string;
  /** Continuous aggregates, columnstore, policies. */
  readonly community: boolean;
  /** A migration file as this engine wants it. */
  translate(sql: string, timeZone: string): string;
}

const HYPERTABLE = /^CREATE TABLE (\S+) \(([\s\S]*?)\n\) PARTITION BY RANGE \((\w+)\); -- hypertable$/gm;
const AGGREGATE = /^CREATE TABLE daily_load_profile \( -- aggregate\n[\s\S]*?\n\);$/gm;

/** Null where the extension isn't installed in this database. */
export async function timescaleCapabilities(client: Client): Promise<TimescaleCapabilities | null> {
  const { rows } = await client.query(
    `SELECT e.extversion, n.nspname AS home, current_setting('timescaledb.license', true) AS license
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'`,
  );
  const found = rows[0];
  if (!found) return null;
  const home = quoteIdentifier(found.home);
  const community = found.license !== "apache";
  const hypertable = (_: string, name: string, body: string, column: string) =>
    `CREATE TABLE ${name} (${body}\n);
     SELECT ${home}.create_hypertable('${name}'::regclass, '${column}'::name,
       chunk_time_interval => interval '7 days', create_default_indexes => false);`;
  return {
    version: found.extversion as string,
    community,
    translate: (sql, timeZone) => {
      const tables = sql.replace(HYPERTABLE, hypertable);
      // Without the licence for continuous aggregates the daily profile is the daemon's table, as on plain PostgreSQL.
      return community ? tables.replace(AGGREGATE, () => dailyAggregate(home, timeZone)) : tables;
    },
  };
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
