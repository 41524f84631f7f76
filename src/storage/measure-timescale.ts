import type { Database } from "./database.ts";
import { DONE_ALL_THE_SAME, timescaleCapabilities } from "./timescale.ts";

/** One hypertable. */
export interface HypertableMeasures {
  readonly table: string;
  readonly chunksInRows: number;
  readonly chunksInColumnstore: number;
  /** Octets that the chunks of the columnstore had as rows, and have now; indexes included. 0 where none is there. */
  readonly octetsBefore: number;
  readonly octetsInColumnstore: number;
}

/** A kind of policy: `columnstore`, `retention` or `aggregate`. */
export interface PolicyMeasures {
  readonly policy: string;
  readonly jobs: number;
  /** Those whose last run failed. A run that isn't over doesn't count, nor one that failed when its work was done. */
  readonly failed: number;
}

/** What metrics say of TimescaleDB. */
export interface TimescaleMeasures {
  readonly hypertables: readonly HypertableMeasures[];
  readonly policies: readonly PolicyMeasures[];
}

/** null without TimescaleDB. Under its Apache licence there are chunks and nothing more. Read from timescaledb_information. */
export function measureTimescale(database: Database): Promise<TimescaleMeasures | null> {
  return database.withClient(async (client) => {
    const timescale = await timescaleCapabilities(client);
    if (timescale === null) return null;
    const { home, community } = timescale;
    const octets = community
      ? `LEFT JOIN LATERAL ${home}.hypertable_columnstore_stats(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass) o ON true`
      : "CROSS JOIN (SELECT 0 AS before_compression_total_bytes, 0 AS after_compression_total_bytes) o";
    const hypertables = await client.query(
      `SELECT h.hypertable_name AS name, c.rows, c.columnstore,
              coalesce(o.before_compression_total_bytes, 0) AS before, coalesce(o.after_compression_total_bytes, 0) AS after
         FROM timescaledb_information.hypertables h
         JOIN storage_policies p ON p.table_name = h.hypertable_name
         CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE NOT is_compressed) AS rows, count(*) FILTER (WHERE is_compressed) AS columnstore
           FROM timescaledb_information.chunks k
          WHERE k.hypertable_schema = h.hypertable_schema AND k.hypertable_name = h.hypertable_name) c
         ${octets}
        WHERE h.hypertable_schema IN ('public', current_schema()) ORDER BY 1`,
    );
    const policies = await client.query(
      `SELECT p.policy, count(j.job_id) AS jobs,
              count(*) FILTER (WHERE s.last_run_status = 'Failed' AND s.job_status <> 'Running' AND e.code IS DISTINCT FROM $1) AS failed
         FROM (VALUES ('columnstore', 'policy_compression'), ('retention', 'policy_retention'),
                      ('aggregate', 'policy_refresh_continuous_aggregate')) p(policy, proc)
         LEFT JOIN timescaledb_information.jobs j ON j.proc_name = p.proc AND j.scheduled
          AND j.hypertable_schema IN ('public', current_schema())
         LEFT JOIN timescaledb_information.job_stats s USING (job_id)
         LEFT JOIN LATERAL (SELECT sqlerrcode AS code FROM timescaledb_information.job_errors e
           WHERE e.job_id = j.job_id ORDER BY finish_time DESC LIMIT 1) e ON true
        GROUP BY 1 ORDER BY 1`,
      [DONE_ALL_THE_SAME],
    );
    return {
      hypertables: hypertables.rows.map((row) => ({
        table: row.name,
        chunksInRows: row.rows,
        chunksInColumnstore: row.columnstore,
        octetsBefore: Number(row.before),
        octetsInColumnstore: Number(row.after),
      })),
      policies: community ? policies.rows.map(({ policy, jobs, failed }) => ({ policy, jobs, failed })) : [],
    };
  });
}
