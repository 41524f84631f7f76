import type { Database } from "./database.ts";
import type { Partitions } from "./partitions.ts";
import { deleteExpired } from "./retention.ts";
import { followPolicies } from "./timescale-policies.ts";

export interface UpkeepReport {
  /** Partitions and chunks that were older than their table's retention. */
  readonly partitionsDropped: readonly string[];
  /** Rows of tables without partitions that were older than theirs, by table; only where there were some. */
  readonly rowsDeleted: Readonly<Record<string, number>>;
}

/** What the database needs once an hour or so: partitions ahead, retention, policies. Safe on several daemons at once. */
export async function keepUp(database: Database, partitions: Partitions, now: number): Promise<UpkeepReport> {
  await partitions.refresh();
  await partitions.ensureAround(now);
  // Noted before anything is dropped: what was made of the rows must stay as it is from then on.
  await database.query(
    `UPDATE storage_policies SET dropped_before = to_timestamp($1 / 1000.0) - make_interval(days => retention_days)
      WHERE retention_days IS NOT NULL
        AND (dropped_before IS NULL OR dropped_before < to_timestamp($1 / 1000.0) - make_interval(days => retention_days))`,
    [now],
  );
  const dropped = await partitions.dropExpired(database, now);
  const chunks = await followPolicies(database, now);
  return { partitionsDropped: [...dropped, ...chunks], rowsDeleted: await deleteExpired(database, now) };
}
