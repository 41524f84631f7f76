import type { Client } from "./database.ts";

/** What the installed TimescaleDB can do; with the Apache licence it has hypertables and nothing more. */
export interface TimescaleCapabilities {
  readonly version: string;
  /** Continuous aggregates, columnstore, policies. */
  readonly community: boolean;
  /** The statements of a migration file as this engine wants them. */
  translate(sql: string, timeZone: string): string[];
}

const HYPERTABLE = /^CREATE TABLE (\S+) \(([\s\S]*?)\n\) PARTITION BY RANGE \((\w+)\); -- hypertable$/gm;

/** Null where the extension isn't installed in this database. */
export async function timescaleCapabilities(client: Client): Promise<TimescaleCapabilities | null> {
  const { rows } = await client.query(
    `SELECT extversion, current_setting('timescaledb.license', true) AS license
       FROM pg_extension WHERE extname = 'timescaledb'`,
  );
  const found = rows[0];
  if (!found) return null;
  return {
    version: found.extversion as string,
    community: found.license !== "apache",
    translate: (sql) => [
      sql.replace(
        HYPERTABLE,
        (_, name: string, body: string, column: string) =>
          `CREATE TABLE ${name} (${body}\n);\n` +
          `SELECT public.create_hypertable('${name}'::regclass, '${column}'::name, chunk_time_interval => interval '7 days', create_default_indexes => false);`,
      ),
    ],
  };
}
