import { buffer } from "node:stream/consumers";
import { to } from "pg-copy-streams";
import { copyIn } from "../../src/storage/copy-in.ts";
import type { Database } from "../../src/storage/database.ts";
import { postmasterOf, serverCpuSeconds } from "./cpu.ts";

/** What one push leaves behind, wherever it came in. */
const PUSH_TABLES = [
  "public.meter_readings",
  "public.meter_events",
  "energy_measurements",
  "power_readings",
  "voltage_measurements",
  "current_measurements",
  "instant_profile",
  "block_load_profile",
  "billing_profile",
  "push_history",
  "raw_frames",
] as const;

/** Rows of all tables, as COPY gives them. */
export type Stored = ReadonlyMap<string, Buffer>;

/** Takes out what the pushes left behind. */
export async function copyOut(database: Database): Promise<Stored> {
  const stored = new Map<string, Buffer>();
  await database.transaction(async (client) => {
    for (const table of PUSH_TABLES) {
      const rows = await buffer(client.query(to(`COPY (SELECT * FROM ${table}) TO STDOUT (FORMAT binary)`)));
      if (rows.length > EMPTY_OCTETS) stored.set(table, rows);
    }
  });
  return stored;
}

/** A binary COPY without a row: its header of 19 octets and its end of 2. */
const EMPTY_OCTETS = 21;

export async function emptyTables(database: Database): Promise<void> {
  await database.query(`TRUNCATE ${[...PUSH_TABLES, "daily_load_changes"].join(", ")}`);
  await database.query("CHECKPOINT").catch(() => []);
}

/** What an earlier run left in a database that was given: its keys can't be opened any more, and its meters would be polled. */
export async function forgetMeters(database: Database): Promise<void> {
  await emptyTables(database);
  const days = await database.query(
    "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND oid IN (to_regclass('daily_load_profile'), to_regclass('daily_load_history'))",
  );
  for (const { name } of days) await database.query(`DELETE FROM ${name}`);
  await database.query("DELETE FROM public.meters");
}

export interface BareCopy {
  readonly seconds: number;
  readonly postgresCpuSeconds: number;
}

/**
 * COPY for the same rows into the same tables with the same keys, each table one statement and one transaction. Several connections share
 * the tables out, the largest first; two are fastest on two cores.
 */
export async function bareCopy(database: Database, stored: Stored, connections: number): Promise<BareCopy> {
  const queue = [...stored].sort(([, a], [, b]) => b.length - a.length);
  const postmaster = await postmasterOf(database);
  const cpuBefore = serverCpuSeconds(postmaster);
  const start = performance.now();
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [table, rows] = next;
      await database.transaction((client) =>
        copyIn(client, `COPY ${table} FROM STDIN (FORMAT binary)`, rows),
      );
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  const seconds = (performance.now() - start) / 1_000;
  return { seconds, postgresCpuSeconds: serverCpuSeconds(postmaster) - cpuBefore };
}

/** Octets on disk of the tables that pushes fill, indexes and TOAST included, largest first. */
export async function storedOctets(
  database: Database,
): Promise<{ table: string; octets: number; rows: number }[]> {
  const sizes = [];
  for (const table of PUSH_TABLES) {
    const [size] = await database.query(
      `WITH RECURSIVE parts AS (SELECT '${table}'::regclass::oid AS relid
         UNION ALL SELECT i.inhrelid FROM pg_inherits i JOIN parts ON i.inhparent = parts.relid)
       SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::float8 AS octets FROM parts`,
    );
    const [count] = await database.query(`SELECT count(*)::int AS rows FROM ${table}`);
    sizes.push({ table, octets: size!["octets"] as number, rows: count!["rows"] as number });
  }
  return sizes.filter(({ rows }) => rows > 0).sort((a, b) => b.octets - a.octets);
}
