import { counted, type Finding, note, ok, wrong } from "../finding.ts";
import type { Database } from "./database.ts";
import { timescaleCapabilities } from "./timescale.ts";

/** Chunks, columnstore, policies and jobs, from timescaledb_information. Nothing without TimescaleDB. */
export async function inspectTimescale(database: Database): Promise<Finding[]> {
  const timescale = await database.withClient(timescaleCapabilities);
  if (!timescale) return [];
  const findings = [await inspectChunks(database)];
  if (!timescale.community) return findings;
  return [...findings, ...(await inspectPolicies(database)), ...(await inspectJobs(database))];
}

async function inspectChunks(database: Database): Promise<Finding> {
  const [row] = await database.query(
    `SELECT count(*) AS chunks, count(*) FILTER (WHERE c.is_compressed) AS compressed,
            count(*) FILTER (WHERE NOT c.is_compressed AND c.range_end < now() - make_interval(days => p.compress_after_days + 7)) AS late
       FROM timescaledb_information.chunks c LEFT JOIN storage_policies p ON p.table_name = c.hypertable_name
      WHERE c.hypertable_schema IN ('public', current_schema())`,
  );
  const { chunks, compressed, late } = row!;
  const what = `${counted(chunks, "chunk")}, ${compressed} of them in the columnstore`;
  return late > 0
    ? note(
        "chunks",
        `${what}; ${late} should have been there for a week`,
        "look at the jobs below, or run them by CALL run_job(…)",
      )
    : ok("chunks", what);
}

async function inspectPolicies(database: Database): Promise<Finding[]> {
  const rows = await database.query(
    `SELECT h.hypertable_name AS name,
            p.compress_after_days IS NOT NULL AND NOT EXISTS (SELECT FROM timescaledb_information.jobs j
              WHERE j.hypertable_name = h.hypertable_name AND j.proc_name = 'policy_compression') AS columnstore,
            p.retention_days IS NOT NULL AND NOT EXISTS (SELECT FROM timescaledb_information.jobs j
              WHERE j.hypertable_name = h.hypertable_name AND j.proc_name = 'policy_retention') AS retention
       FROM timescaledb_information.hypertables h JOIN storage_policies p ON p.table_name = h.hypertable_name
      WHERE h.hypertable_schema IN ('public', current_schema()) ORDER BY 1`,
  );
  const missing = rows
    .filter(({ columnstore, retention }) => columnstore || retention)
    .map(
      ({ name, columnstore, retention }) =>
        `${name} (${[columnstore && "columnstore", retention && "retention"].filter(Boolean).join(", ")})`,
    );
  return missing.length > 0
    ? [
        wrong(
          "policies",
          `missing: ${missing.join(", ")}`,
          "run `hes migrate`, which makes them as the configuration says",
        ),
      ]
    : [
        ok(
          "policies",
          `${counted(rows.length, "hypertable")} with the policies that the configuration asks for`,
        ),
      ];
}

/** A run that isn't over yet counts as failed in job_stats. */
async function inspectJobs(database: Database): Promise<Finding[]> {
  const rows = await database.query(
    `SELECT j.job_id AS id, j.proc_name AS name, j.hypertable_name AS "table", j.scheduled, s.last_run_status = 'Failed' AND s.job_status <> 'Running' AS failed,
            (SELECT err_message FROM timescaledb_information.job_errors e WHERE e.job_id = j.job_id ORDER BY finish_time DESC LIMIT 1) AS error
       FROM timescaledb_information.jobs j LEFT JOIN timescaledb_information.job_stats s USING (job_id)
      WHERE j.job_id >= 1000 ORDER BY 1`,
  );
  const findings = rows
    .filter(({ scheduled, failed }) => failed || !scheduled)
    .map(({ id, name, table, scheduled, error }) =>
      wrong(
        "jobs",
        `job ${id} (${name} of ${table ?? "the database"}) ${scheduled ? `failed: ${error ?? "see the server's log"}` : "is switched off"}`,
        scheduled ? `mend the cause, then CALL run_job(${id})` : `SELECT alter_job(${id}, scheduled => true)`,
      ),
    );
  return findings.length > 0 ? findings : [ok("jobs", `none of ${rows.length} failed at its last run`)];
}
