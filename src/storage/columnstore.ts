import { COLUMNSTORE_CHUNK_DAYS } from "../partition-settings.ts";
import type { Client, QueryRow } from "./database.ts";
import { columnstoreOrder, type TimescaleCapabilities } from "./timescale.ts";

const DAY_US = 86_400_000_000;
/** Rows that TimescaleDB compresses together at most. */
const BATCH_ROWS_MAX = 1_000;
/** How long writers of late rows may queue behind a chunk that is to be rebuilt. */
const LOCK_WAIT_MS = 1_000;
const LOCK_NOT_AVAILABLE = "55P03";
/** From this version on TimescaleDB adds indexes of its own choice to a chunk, and then finds that it can't join it with the next one. */
const CHOOSES_INDEXES = [2, 26] as const;

/** SQL: of the hypertables `h`, microseconds that chunks in the columnstore come to; null where they stay as they are. */
export const COLUMNSTORE_US = `(SELECT d.compress_interval_length FROM _timescaledb_catalog.dimension d
   JOIN _timescaledb_catalog.hypertable t ON t.id = d.hypertable_id
  WHERE d.interval_length IS NOT NULL AND t.schema_name = h.hypertable_schema AND t.table_name = h.hypertable_name)`;

/** A multiple of the chunks' own width. */
export const columnstoreDays = (partitionDays: number): number =>
  Math.max(1, Math.floor(COLUMNSTORE_CHUNK_DAYS / partitionDays)) * partitionDays;

/**
 * Gives a hypertable its columnstore, in which a chunk joins the one before it until they are as long as they may be. `table`: name, qualified,
 * compression_enabled, partition_days and columnstore_us. Chunks that are there already stay as they are.
 */
export async function followColumnstore(
  client: Client,
  { version }: TimescaleCapabilities,
  table: QueryRow,
): Promise<void> {
  const days = columnstoreDays(table["partition_days"]);
  if (table["compression_enabled"] && table["columnstore_us"] === days * DAY_US) return;
  const order = columnstoreOrder(table["name"]);
  const columns = order.replaceAll(" DESC", "").split(", ");
  await client.query(
    `ALTER TABLE ${table["qualified"]} SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'meter_id',
       timescaledb.orderby = '${order}', timescaledb.compress_chunk_time_interval = '${days} days'
       ${columns.length > 1 && isSince(version, CHOOSES_INDEXES) ? `, timescaledb.sparse_index = 'bloom(${columns.join(",")})'` : ""})`,
  );
}

function isSince(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ours = 0, second = 0] = version.split(".").map(Number);
  return ours > major || (ours === major && second >= minor);
}

interface Chunk {
  readonly relation: string;
  /** Where its compressed rows lie. */
  readonly compressed: string;
  readonly note: string;
}

/**
 * Chunks join by laying their compressed rows side by side, where a meter has few in each. The first one of a hypertable that is as long as it will
 * get is compressed anew as one, and so keeps the room that a chunk of a week takes; the others wait for the next call. Answers whether one was.
 */
export async function rebuildJoinedChunk(
  client: Client,
  home: string,
  qualified: string,
  partitionDays: number,
): Promise<boolean> {
  for (const chunk of await joinedChunks(client, qualified, partitionDays)) {
    const rebuild = await hasSmallBatches(client, chunk.compressed);
    if (!(await finish(client, home, chunk, rebuild))) return false;
    if (rebuild) return true;
  }
  return false;
}

/** Longer than they were made, with a younger one behind them in the columnstore that can't join, and not looked at since they have this length. */
async function joinedChunks(client: Client, qualified: string, partitionDays: number): Promise<Chunk[]> {
  const { rows } = await client.query(
    `SELECT format('%I.%I', c.schema_name, c.table_name) AS relation, format('%I.%I', z.schema_name, z.table_name) AS compressed, n.note
       FROM _timescaledb_catalog.chunk c
       JOIN _timescaledb_catalog.hypertable t ON t.id = c.hypertable_id
       JOIN _timescaledb_catalog.chunk z ON z.id = c.compressed_chunk_id
       JOIN timescaledb_information.chunks i ON i.chunk_schema = c.schema_name AND i.chunk_name = c.table_name
       CROSS JOIN LATERAL (SELECT format('In the columnstore as one from %s to %s.', i.range_start AT TIME ZONE 'UTC', i.range_end AT TIME ZONE 'UTC') AS note) n
      WHERE format('%I.%I', t.schema_name, t.table_name)::regclass = $1::regclass
        AND i.range_end - i.range_start > make_interval(days => $2)
        AND (i.range_end - i.range_start > make_interval(days => $3 - $2) OR EXISTS (SELECT FROM timescaledb_information.chunks y
              WHERE (y.hypertable_schema, y.hypertable_name) = (i.hypertable_schema, i.hypertable_name)
                AND y.is_compressed AND y.range_start >= i.range_end))
        AND obj_description(format('%I.%I', c.schema_name, c.table_name)::regclass, 'pg_class') IS DISTINCT FROM n.note
      ORDER BY i.range_start`,
    [qualified, partitionDays, columnstoreDays(partitionDays)],
  );
  return rows as Chunk[];
}

/** Whether the rows of some meter lie in more batches than they need. */
async function hasSmallBatches(client: Client, compressed: string): Promise<boolean> {
  const { rows } = await client.query(
    `SELECT EXISTS (SELECT FROM ${compressed} GROUP BY meter_id
       HAVING count(*) > ceil(sum(_ts_meta_count) / ${BATCH_ROWS_MAX}.0)) AS small`,
  );
  return rows[0]!.small as boolean;
}

/** Readers go on meanwhile, but for a moment at the end. Where somebody reads or writes it for long it waits for the next time. */
async function finish(
  client: Client,
  home: string,
  { relation, note }: Chunk,
  rebuild: boolean,
): Promise<boolean> {
  await client.query("BEGIN");
  try {
    await client.query(`SET LOCAL lock_timeout TO ${LOCK_WAIT_MS}; SET LOCAL statement_timeout TO 0`);
    if (rebuild) {
      await client.query(`SELECT ${home}.compress_chunk($1::regclass, recompress => true)`, [relation]);
    }
    await client.query(`COMMENT ON TABLE ${relation} IS '${note}'`);
    await client.query("COMMIT");
    return true;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}
