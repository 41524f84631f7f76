import { COLUMNSTORE_US, followColumnstore, rebuildJoinedChunk } from "./columnstore.ts";
import type { Client, Database, QueryRow } from "./database.ts";
import { type TimescaleCapabilities, timescaleCapabilities } from "./timescale.ts";
import { unmadeAggregates } from "./timescale-daily.ts";
import { addRefreshPolicy, DAILY_AGGREGATE_NAMES } from "./timescale-daily-definition.ts";

/** One daemon at a time changes jobs. */
const POLICY_LOCK = 0x706f6c69;

/**
 * Makes hypertables follow storage_policies: width of new chunks, columnstore and its policy, retention. With the Apache licence, which has
 * neither columnstore nor policies, expired chunks are dropped here. Does nothing without TimescaleDB, nor for a role that doesn't own the tables.
 * Answers the chunks dropped.
 *
 * @param rebuild whether chunks that joined in the columnstore are compressed anew, too, one of each hypertable: that may take minutes
 */
export async function followPolicies(database: Database, now: number, rebuild = false): Promise<string[]> {
  return database.withClient(async (client) => {
    const timescale = await timescaleCapabilities(client);
    if (!timescale || !(await ownsTables(client))) return [];
    const { rows: locked } = await client.query("SELECT pg_try_advisory_lock($1) AS mine", [POLICY_LOCK]);
    if (!locked[0]?.mine) return [];
    try {
      const { rows } = await client.query(HYPERTABLES_AND_POLICIES, [database.schema]);
      for (const table of rows) await followOne(client, timescale, table);
      if (timescale.community) {
        await followDaily(client, timescale.home);
        for (const { qualified, partition_days: width } of rebuild ? rows : []) {
          await rebuildJoinedChunk(client, timescale.home, qualified, width);
        }
        return [];
      }
      return await dropExpiredChunks(client, timescale.home, database.schema, now);
    } finally {
      await client.query("SELECT pg_advisory_unlock($1)", [POLICY_LOCK]).catch(() => undefined);
    }
  });
}

/** Policies are their owner's: where the daemon's role is another one, `hes migrate` follows. */
async function ownsTables(client: Client): Promise<boolean> {
  const { rows } = await client.query(
    "SELECT pg_has_role(relowner, 'USAGE') AS owns FROM pg_class WHERE oid = to_regclass('public.meter_readings')",
  );
  return rows[0]?.owns === true;
}

const HYPERTABLES_AND_POLICIES = `
  SELECT format('%I.%I', h.hypertable_schema, h.hypertable_name) AS qualified, h.hypertable_name AS name, h.compression_enabled,
         p.partition_days, p.retention_days, p.compress_after_days, ${COLUMNSTORE_US}::float8 AS columnstore_us,
         d.time_interval = make_interval(days => p.partition_days) AS same_width
    FROM timescaledb_information.hypertables h
    JOIN timescaledb_information.dimensions d USING (hypertable_schema, hypertable_name)
    JOIN storage_policies p ON p.table_name = h.hypertable_name
   WHERE h.hypertable_schema IN ('public', $1) AND p.partition_days IS NOT NULL`;

async function followOne(client: Client, timescale: TimescaleCapabilities, table: QueryRow): Promise<void> {
  const { home, community } = timescale;
  const name = `'${table["qualified"].replaceAll("'", "''")}'::regclass`;
  if (!table["same_width"]) {
    await client.query(
      `SELECT ${home}.set_chunk_time_interval(${name}, make_interval(days => ${table["partition_days"]}))`,
    );
  }
  if (!community) return;
  const compressAfter = table["compress_after_days"] as number | null;
  if (compressAfter !== null) await followColumnstore(client, timescale, table);
  const jobs = await jobsOf(client, table["qualified"]);
  if (jobs.compressAfter !== compressAfter) {
    if (jobs.compressAfter !== null) await client.query(`CALL ${home}.remove_columnstore_policy(${name})`);
    if (compressAfter !== null) {
      await client.query(
        `CALL ${home}.add_columnstore_policy(${name}, after => make_interval(days => ${compressAfter}))`,
      );
    }
  }
  await followRetention(client, home, name, jobs.dropAfter, table["retention_days"]);
}

async function followRetention(
  client: Client,
  home: string,
  relation: string,
  found: number | null,
  wanted: number | null,
): Promise<void> {
  if (found === wanted) return;
  if (found !== null) await client.query(`SELECT ${home}.remove_retention_policy(${relation})`);
  if (wanted !== null) {
    await client.query(
      `SELECT ${home}.add_retention_policy(${relation}, drop_after => make_interval(days => ${wanted}))`,
    );
  }
}

interface Jobs {
  /** Days; null: no such job. */
  readonly compressAfter: number | null;
  readonly dropAfter: number | null;
  /** Whether a policy refreshes it. */
  readonly refreshes: boolean;
}

/** What the policies of a hypertable or continuous aggregate say now. */
async function jobsOf(client: Client, qualified: string): Promise<Jobs> {
  const { rows } = await client.query(
    `SELECT extract(epoch FROM max((j.config ->> 'compress_after')::interval)) / 86400 AS compress_after,
            extract(epoch FROM max((j.config ->> 'drop_after')::interval)) / 86400 AS drop_after,
            coalesce(bool_or(j.proc_name = 'policy_refresh_continuous_aggregate'), false) AS refreshes
       FROM timescaledb_information.jobs j
       LEFT JOIN timescaledb_information.continuous_aggregates a
         ON (a.materialization_hypertable_schema, a.materialization_hypertable_name) = (j.hypertable_schema, j.hypertable_name)
      WHERE j.hypertable_name IS NOT NULL
        AND format('%I.%I', coalesce(a.view_schema, j.hypertable_schema), coalesce(a.view_name, j.hypertable_name)) = $1`,
    [qualified],
  );
  const days = (value: unknown) => (value === null ? null : Number(value));
  const { compress_after: compressAfter, drop_after: dropAfter, refreshes } = rows[0]!;
  return { compressAfter: days(compressAfter), dropAfter: days(dropAfter), refreshes };
}

/** The aggregates below the daily load profile are kept as long as it is, and refreshed by a policy once their older days are made. */
async function followDaily(client: Client, home: string): Promise<void> {
  const { rows } = await client.query(
    `SELECT a.view_name AS name, format('%I.%I', a.view_schema, a.view_name) AS qualified, p.retention_days
       FROM timescaledb_information.continuous_aggregates a, storage_policies p
      WHERE a.view_schema = current_schema() AND a.view_name = ANY($1) AND p.table_name = 'daily_load_profile'`,
    [DAILY_AGGREGATE_NAMES],
  );
  for (const { name, qualified, retention_days: kept } of rows) {
    const relation = `'${qualified.replaceAll("'", "''")}'::regclass`;
    const { dropAfter, refreshes } = await jobsOf(client, qualified);
    if (!refreshes && !(await unmadeAggregates(client)).has(name)) {
      await client.query(addRefreshPolicy(home, relation));
    }
    await followRetention(client, home, relation, dropAfter, kept);
  }
}

async function dropExpiredChunks(
  client: Client,
  home: string,
  schema: string,
  now: number,
): Promise<string[]> {
  const { rows } = await client.query(
    `SELECT ${home}.drop_chunks(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass,
              older_than => to_timestamp($1 / 1000.0) - make_interval(days => p.retention_days)) AS chunk
       FROM timescaledb_information.hypertables h JOIN storage_policies p ON p.table_name = h.hypertable_name
      WHERE h.hypertable_schema IN ('public', $2) AND p.retention_days IS NOT NULL`,
    [now, schema],
  );
  return rows.map((row) => row["chunk"] as string);
}
