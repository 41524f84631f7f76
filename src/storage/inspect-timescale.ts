import { counted, type Finding, note, ok, wrong } from "../finding.ts";
import type { Database, QueryRow } from "./database.ts";
import { inspect } from "./inspection.ts";
import { DONE_ALL_THE_SAME, timescaleCapabilities } from "./timescale.ts";
import { unmadeAggregates } from "./timescale-daily.ts";
import { DAILY_AGGREGATE_NAMES } from "./timescale-daily-definition.ts";

/** Chunks, columnstore, policies and jobs, from timescaledb_information. Nothing without TimescaleDB. */
export async function inspectTimescale(database: Database): Promise<Finding[]> {
  const timescale = await database.withClient(timescaleCapabilities);
  if (!timescale) return [];
  const community = [
    ["policies", () => inspectPolicies(database)],
    ["days", () => inspectAggregates(database)],
    ["jobs", () => inspectJobs(database)],
  ] as const;
  return inspect([["chunks", () => inspectChunks(database)], ...(timescale.community ? community : [])]);
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

/** Their policies come when what is older than these refresh is made. */
async function inspectAggregates(database: Database): Promise<Finding> {
  const unmade = await database.withClient(unmadeAggregates);
  if (unmade.size > 0) {
    return note(
      "days",
      `${[...unmade].join(" and ")} lack older days, which are made of raw rows whenever somebody asks: that is slow`,
      "run `hes migrate`, which makes them",
    );
  }
  const rows = await database.query(
    `SELECT a.view_name AS name FROM timescaledb_information.continuous_aggregates a
      WHERE a.view_schema = current_schema() AND a.view_name = ANY($1) AND NOT EXISTS (
        SELECT FROM timescaledb_information.jobs j WHERE j.proc_name = 'policy_refresh_continuous_aggregate'
           AND (j.hypertable_schema, j.hypertable_name) IN ((a.view_schema, a.view_name),
             (a.materialization_hypertable_schema, a.materialization_hypertable_name))) ORDER BY 1`,
    [DAILY_AGGREGATE_NAMES],
  );
  return rows.length > 0
    ? wrong(
        "policies",
        `no policy refreshes ${rows.map(({ name }) => name).join(" and ")}`,
        "run `hes migrate`, which makes it",
      )
    : ok("days", "older ones are made, and policies refresh the last ones");
}

/** A run that isn't over yet counts as failed in job_stats. */
async function inspectJobs(database: Database): Promise<Finding[]> {
  const rows = await database.query(
    `SELECT j.job_id AS id, j.proc_name AS name, j.hypertable_name AS "table", j.scheduled, s.last_run_status = 'Failed' AND s.job_status <> 'Running' AS failed,
            e.err_message AS error, e.sqlerrcode AS code
       FROM timescaledb_information.jobs j LEFT JOIN timescaledb_information.job_stats s USING (job_id)
       LEFT JOIN LATERAL (SELECT err_message, sqlerrcode FROM timescaledb_information.job_errors e
         WHERE e.job_id = j.job_id ORDER BY finish_time DESC LIMIT 1) e ON true
      WHERE j.job_id >= 1000 ORDER BY 1`,
  );
  const named = ({ id, name, table }: QueryRow) => `job ${id} (${name} of ${table ?? "the database"})`;
  const off = rows
    .filter(({ scheduled }) => !scheduled)
    .map((job) =>
      wrong("jobs", `${named(job)} is switched off`, `SELECT alter_job(${job["id"]}, scheduled => true)`),
    );
  // One cause makes many fail.
  const failures = new Map<string, QueryRow[]>();
  for (const job of rows.filter(({ scheduled, failed }) => scheduled && failed)) {
    const error = job["error"] ?? "see the server's log";
    failures.set(error, [...(failures.get(error) ?? []), job]);
  }
  const failed = [...failures].map(([error, jobs]) =>
    jobs[0]!["code"] === DONE_ALL_THE_SAME
      ? note(
          "jobs",
          `${counted(jobs.length, "job")} did the work and ended in an error: ${error}`,
          "this TimescaleDB doesn't go with this minor version of PostgreSQL: jobs run up to five times more rarely than they are told to; update either",
        )
      : wrong(
          "jobs",
          `${jobs.map(named).join(", ")} failed: ${error}`,
          `mend the cause, then ${jobs.map(({ id }) => `CALL run_job(${id})`).join("; ")}`,
        ),
  );
  const findings = [...off, ...failed];
  return findings.length > 0 ? findings : [ok("jobs", `none of ${rows.length} failed at its last run`)];
}
