import type { Database } from "./database.ts";
import type { Partitions } from "./partitions.ts";
import { deleteExpired } from "./retention.ts";
import { followPolicies } from "./timescale-policies.ts";

/** Milliseconds since 1970 UTC by the clock of the database's machine. */
export async function databaseNow(database: Database): Promise<number> {
  const [row] = await database.query("SELECT clock_timestamp() AS now");
  return row!["now"] as number;
}

export interface UpkeepReport {
  /** Partitions and chunks that were older than their table's retention. */
  readonly partitionsDropped: readonly string[];
  /** Rows of tables without partitions that were older than theirs, by table; only where there were some. */
  readonly rowsDeleted: Readonly<Record<string, number>>;
}

/**
 * What the database needs once an hour or so: partitions ahead of `now`, retention, policies. Safe on several daemons at once.
 *
 * @param retentionNow what the age of rows is counted from, where another clock than `now` is to be trusted with that
 */
export async function keepUp(
  database: Database,
  partitions: Partitions,
  now: number,
  retentionNow: number = now,
): Promise<UpkeepReport> {
  await partitions.refresh();
  await partitions.ensureAround(now);
  // Noted before anything is dropped: what was made of the rows must stay as it is from then on.
  await database.query(
    `UPDATE storage_policies SET dropped_before = to_timestamp($1 / 1000.0) - make_interval(days => retention_days)
      WHERE retention_days IS NOT NULL
        AND (dropped_before IS NULL OR dropped_before < to_timestamp($1 / 1000.0) - make_interval(days => retention_days))`,
    [retentionNow],
  );
  const dropped = await partitions.dropExpired(database, retentionNow);
  const rowsDeleted = await deleteExpired(database, retentionNow);
  // Last, because it may take minutes: what goes wrong there must not keep what has expired.
  const chunks = await followPolicies(database, retentionNow, true);
  return { partitionsDropped: [...dropped, ...chunks], rowsDeleted };
}
