import type { Database } from "./database.ts";

/** What of the configuration the database works by. Days; 0 stands for ever, or never. */
export interface StoragePolicies {
  /** By table: rows that are older may be dropped. */
  readonly retentionDays: Readonly<Record<string, number>>;
  /** Width of partitions and chunks that are made from now on. */
  readonly partitionDays: number;
  /** TimescaleDB: age from which chunks go to the columnstore. */
  readonly compressAfterDays: number;
}

/** Writes the configuration into storage_policies, where every daemon and TimescaleDB's jobs find it. Answers whether anything changed. */
export async function applyStoragePolicies(database: Database, policies: StoragePolicies): Promise<boolean> {
  const tables = Object.keys(policies.retentionDays);
  const rows = await database.query(
    `UPDATE storage_policies p
        SET retention_days = w.kept, partition_days = w.width,
            compress_after_days = w.compressed
       FROM (SELECT q.table_name, CASE WHEN r.days IS NULL THEN q.retention_days ELSE nullif(r.days, 0) END AS kept,
                    CASE WHEN q.partition_days IS NOT NULL THEN $3::int END AS width,
                    CASE WHEN q.partition_days IS NOT NULL AND q.table_name NOT IN ('push_history', 'raw_frames')
                         THEN nullif($4::int, 0) END AS compressed
               FROM storage_policies q LEFT JOIN unnest($1::text[], $2::int[]) AS r(name, days) ON r.name = q.table_name) w
      WHERE w.table_name = p.table_name
        AND (p.retention_days, p.partition_days, p.compress_after_days) IS DISTINCT FROM (w.kept, w.width, w.compressed)
      RETURNING p.table_name`,
    [
      tables,
      tables.map((table) => policies.retentionDays[table]),
      policies.partitionDays,
      policies.compressAfterDays,
    ],
  );
  return rows.length > 0;
}
