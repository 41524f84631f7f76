import { type Finding, note, ok, wrong } from "../finding.ts";
import { COLUMNSTORE_CHUNK_DAYS } from "../partition-settings.ts";
import type { Database } from "./database.ts";
import { timescaleCapabilities } from "./timescale.ts";

/** The setting is said in multiples of this. */
const STEP = 64;
const YEAR_DAYS = 365;

/*
 * Tables that have partitions or chunks with their indexes: now, and as many as a year adds or retention leaves room for. Of chunks that join in the
 * columnstore each has a second table there. pg_dump locks every table that there is, in one transaction; a query without bounds of time those of its
 * table and their indexes.
 */
const RELATIONS = `
WITH roots AS (
  SELECT c.oid, p.retention_days, p.partition_days AS width, 1 AS each
    FROM pg_partitioned_table t JOIN pg_class c ON c.oid = t.partrelid JOIN storage_policies p ON p.table_name = c.relname
   WHERE c.relnamespace IN ('public'::regnamespace, current_schema()::regnamespace)
  UNION ALL
  SELECT c.oid, p.retention_days, CASE WHEN joins THEN greatest(p.partition_days, ${COLUMNSTORE_CHUNK_DAYS}) ELSE p.partition_days END,
         CASE WHEN joins THEN 2 ELSE 1 END
    FROM pg_class c JOIN storage_policies p ON p.table_name = c.relname
    CROSS JOIN LATERAL (SELECT $1 AND p.compress_after_days IS NOT NULL AS joins) j
   WHERE c.relkind = 'r' AND p.partition_days IS NOT NULL AND c.relnamespace IN ('public'::regnamespace, current_schema()::regnamespace)),
counted AS (
  SELECT r.*, (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = r.oid) AS here,
         r.each * (1 + (SELECT count(*) FROM pg_index x WHERE x.indrelid = r.oid)) AS relations
    FROM roots r)
SELECT current_setting('max_locks_per_transaction')::int AS setting,
       current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int AS times,
       coalesce(sum(here * relations), 0)::float8 AS here,
       coalesce(sum(relations * greatest(0, least(${YEAR_DAYS} / width, coalesce(ceil(retention_days::numeric / width) + 3 - here, ${YEAR_DAYS})))), 0)::float8 AS coming
  FROM counted`;

interface Locks {
  /** max_locks_per_transaction, and how many times over the server has room for it. */
  readonly setting: number;
  readonly times: number;
  /** Tables and indexes of partitions that there are, and that come within a year. */
  readonly here: number;
  readonly coming: number;
}

/**
 * Whether the server has room for the locks on all partitions and chunks that are there, and on those of a year more. Where it hasn't, a backup or a
 * query over years ends in "out of shared memory".
 */
export async function inspectLocks(database: Database): Promise<Finding> {
  // The Apache licence has no columnstore, whatever the policies say.
  const timescale = await database.withClient(timescaleCapabilities);
  const [row] = await database.query(RELATIONS, [timescale?.community ?? false]);
  return judgeLocks(row as unknown as Locks);
}

export function judgeLocks({ setting, times, here, coming }: Locks): Finding {
  const room = setting * times;
  const wanted = here + Math.round(coming);
  const locks = `room for ${room} locks, and ${here} tables and indexes of partitions or chunks`;
  if (wanted <= room) return ok("partitions", `${locks}, about ${wanted} in a year`);
  const enough = Math.ceil(wanted / times / STEP) * STEP;
  const todo = `ALTER SYSTEM SET max_locks_per_transaction = ${enough} (it is ${setting}), and restart PostgreSQL`;
  const end = "a backup, or a query over all of them,";
  return here > room
    ? wrong("partitions", `${locks}: ${end} ends in "out of shared memory"`, todo)
    : note(
        "partitions",
        `${locks}, about ${wanted} in a year: ${end} will end in "out of shared memory"`,
        todo,
      );
}
