import type { Database } from "./database.ts";

/** Rows that one statement deletes: locks stay short, and other work gets its turn. */
const DELETE_MAX = 10_000;

interface PlainTable {
  readonly policy: string;
  readonly table: string;
  /** The column whose age counts. */
  readonly column: string;
}

/** Tables that grow and aren't partitioned. A policy's name is its table's in most cases. */
const PLAIN_TABLES: readonly PlainTable[] = [
  { policy: "billing_profile", table: "billing_profile", column: "time" },
  { policy: "daily_load_profile", table: "daily_load_profile", column: "day" },
  { policy: "daily_load_profile", table: "daily_load_history", column: "day" },
  { policy: "meter_events", table: "public.meter_events", column: "time" },
  { policy: "quarantine", table: "quarantine", column: "received_at" },
  { policy: "reading_conflicts", table: "reading_conflicts", column: "received_at" },
  { policy: "event_logs", table: "event_logs", column: "time" },
  { policy: "alerts", table: "alerts", column: "last_at" },
  { policy: "schedule_firings", table: "schedule_firings", column: "fired_at" },
  // Open gaps have no time of closing, and stay.
  { policy: "capture_gaps", table: "capture_gaps", column: "closed_at" },
  // Their steps go with them.
  { policy: "meter_commands", table: "meter_commands", column: "requested_at" },
  { policy: "security_events", table: "security_events", column: "minute" },
];

/** Deletes the rows of tables without partitions that are older than their policy says; answers how many, by table. */
export async function deleteExpired(database: Database, now: number): Promise<Record<string, number>> {
  const policies = await database.query(
    `SELECT table_name, to_timestamp($1 / 1000.0) - make_interval(days => retention_days) AS before
       FROM storage_policies WHERE retention_days IS NOT NULL`,
    [now],
  );
  const before = new Map(policies.map((row) => [row["table_name"] as string, row["before"] as number]));
  const deleted: Record<string, number> = {};
  for (const { policy, table, column } of PLAIN_TABLES) {
    const limit = before.get(policy);
    if (limit === undefined || !(await isTable(database, table))) continue;
    const count = await deleteBefore(database, table, column, limit);
    if (count > 0) deleted[table.replace("public.", "")] = count;
  }
  return deleted;
}

/** On TimescaleDB the daily load profile is a view; its aggregates have policies of their own. */
async function isTable(database: Database, table: string): Promise<boolean> {
  const [found] = await database.query(
    "SELECT relkind = 'r' AS plain FROM pg_class WHERE oid = to_regclass($1)",
    [table],
  );
  return found?.["plain"] === true;
}

async function deleteBefore(
  database: Database,
  table: string,
  column: string,
  limit: number,
): Promise<number> {
  let deleted = 0;
  for (;;) {
    const [row] = await database.query(
      `WITH gone AS (
         DELETE FROM ${table} WHERE ctid = ANY(ARRAY(
           SELECT ctid FROM ${table} WHERE ${column} < to_timestamp($1 / 1000.0) LIMIT ${DELETE_MAX} FOR UPDATE SKIP LOCKED))
         RETURNING 1)
       SELECT count(*) AS rows FROM gone`,
      [limit],
    );
    deleted += row!["rows"];
    if (row!["rows"] < DELETE_MAX) return deleted;
  }
}
