import { DEFAULT_PARTITION_DAYS } from "../partition-settings.ts";
import { type Client, type Database, quoteIdentifier } from "./database.ts";
import { StorageError } from "./storage-error.ts";

const DAY_MS = 86_400_000;
/** 1970-01-05 was a Monday: weeks begin there. */
const MONDAY_MS = 4 * DAY_MS;
/** How many partitions beyond the current one are made ahead. */
const AHEAD = 2;
/** How long writers may queue behind a partition that is to be dropped. */
const DROP_LOCK_MS = 1_000;
const LOCK_NOT_AVAILABLE = "55P03";

/**
 * SQL: the bounds of partition `k` as text. They name no column, so that PostgreSQL needn't be told whose they are: told, it opens the partition, and a
 * connection that has asked for all of them keeps what it read of each.
 */
const BOUNDS_OF_PARTITION = "pg_get_expr(k.relpartbound, 0)";

interface Range {
  readonly from: number;
  readonly to: number;
}

interface PartitionedTable {
  /** Qualified and quoted. */
  readonly qualified: string;
  readonly name: string;
  readonly widthMs: number;
  readonly retentionMs: number | null;
  /** Sorted, not overlapping. */
  ranges: Range[];
}

export interface Partitions {
  /**
   * Whether rows of `table` from `time` to `last` (ms, both included) have a place, all in one partition. True for tables that aren't
   * partitioned.
   */
  covers(table: string, time: number, last?: number): boolean;
  /** Makes the partitions that these rows need. */
  ensure(wanted: Iterable<{ readonly table: string; readonly time: number }>): Promise<void>;
  /** The current partition of every table, the one before and those ahead. */
  ensureAround(now: number): Promise<void>;
  /** Drops partitions that are older than their table's retention, by a connection that may; answers their names. */
  dropExpired(by: Database, now: number): Promise<string[]>;
  /** Looks again at what there is; for when another daemon dropped some. */
  refresh(): Promise<void>;
}

export async function openPartitions(database: Database): Promise<Partitions> {
  const partitions = new NativePartitions(database);
  await partitions.refresh().catch((error: unknown) => {
    // Of a database that is away nothing is known; the first batch that misses a partition makes it look again.
    if (!(error instanceof StorageError && error.retryable)) throw error;
  });
  return partitions;
}

class NativePartitions implements Partitions {
  private readonly database: Database;
  private tables = new Map<string, PartitionedTable>();
  /** One creation at a time: each holds a connection. */
  private creating: Promise<void> = Promise.resolve();

  constructor(database: Database) {
    this.database = database;
  }

  refresh(): Promise<void> {
    return this.database.withClient((client) => this.refreshOn(client));
  }

  private async refreshOn(client: Client): Promise<void> {
    const { rows: found } = await client.query(
      `SELECT n.nspname AS schema, c.relname AS name, coalesce(p.partition_days, ${DEFAULT_PARTITION_DAYS}) AS days, p.retention_days AS kept,
              coalesce(array_agg(${BOUNDS_OF_PARTITION}) FILTER (WHERE k.oid IS NOT NULL), '{}') AS bounds
         FROM pg_partitioned_table t
         JOIN pg_class c ON c.oid = t.partrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN storage_policies p ON p.table_name = c.relname
         LEFT JOIN pg_inherits i ON i.inhparent = c.oid
         LEFT JOIN pg_class k ON k.oid = i.inhrelid
        WHERE n.nspname IN ('public', $1)
        GROUP BY n.nspname, c.relname, p.partition_days, p.retention_days`,
      [this.database.schema],
    );
    this.tables = new Map(
      found.map((row) => [
        row["name"] as string,
        {
          qualified: `${quoteIdentifier(row["schema"])}.${quoteIdentifier(row["name"])}`,
          name: row["name"] as string,
          widthMs: row["days"] * DAY_MS,
          retentionMs: row["kept"] === null ? null : row["kept"] * DAY_MS,
          ranges: (row["bounds"] as string[]).flatMap(boundsOf).sort((a, b) => a.from - b.from),
        },
      ]),
    );
  }

  covers(name: string, time: number, last = time): boolean {
    const table = this.tables.get(name);
    if (table === undefined) return true;
    const range = table.ranges[lastFrom(table.ranges, time)];
    return range !== undefined && last < range.to;
  }

  async ensure(wanted: Iterable<{ readonly table: string; readonly time: number }>): Promise<void> {
    for (const { table: name, time } of wanted) {
      const table = this.tables.get(name);
      if (!table || this.covers(name, time)) continue;
      const turn = this.creating.then(() => this.create(name, time));
      this.creating = turn.catch(() => undefined);
      await turn;
    }
  }

  async ensureAround(now: number): Promise<void> {
    for (const { name, widthMs } of [...this.tables.values()]) {
      for (let step = -1; step <= AHEAD; step += 1) {
        await this.ensure([{ table: name, time: now + step * widthMs }]);
      }
    }
  }

  async dropExpired(by: Database, now: number): Promise<string[]> {
    await this.refresh();
    const dropped: string[] = [];
    for (const table of this.tables.values()) {
      if (table.retentionMs === null) continue;
      for (const range of table.ranges.filter(({ to }) => to <= now - table.retentionMs!)) {
        if (await drop(by, table, range)) dropped.push(partitionName(table, range.from));
      }
    }
    if (dropped.length > 0) await this.refresh();
    return dropped;
  }

  /** One daemon makes it, the others wait for it and find it. */
  private async create(name: string, time: number): Promise<void> {
    await this.database.transaction(async (client) => {
      await client.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`${this.database.schema}.${name}`]);
      await this.refreshOn(client);
      const table = this.tables.get(name);
      if (!table || this.covers(name, time)) return;
      const range = freeRange(table, time);
      await client.query("SELECT make_partition($1, $2, $3)", [
        ...[table.qualified, instant(range.from), instant(range.to)],
      ]);
    });
    await this.refresh();
  }
}

/** Dropping locks the table and `meters` for a moment. Where somebody reads them for long it waits for the next time. */
async function drop(database: Database, { qualified }: PartitionedTable, { from }: Range): Promise<boolean> {
  try {
    await database.transaction(async (client) => {
      await client.query(`SET LOCAL lock_timeout TO ${DROP_LOCK_MS}`);
      await client.query("SELECT drop_partition($1, $2)", [qualified, instant(from)]);
    });
    return true;
  } catch (error) {
    if (error instanceof StorageError && error.sqlState === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}

/** Index of the last range that begins at `time` or before; -1: none. There are years of days, and each batch asks for each of its tables. */
function lastFrom(ranges: readonly Range[], time: number): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.from <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const instant = (ms: number) => new Date(ms).toISOString();
const partitionName = ({ name }: PartitionedTable, from: number) =>
  `${name}_${instant(from).slice(0, 10).replaceAll("-", "")}`;

/** The stretch around `time` that the table's width gives, cut where partitions of another width stand already. */
function freeRange({ widthMs, ranges }: PartitionedTable, time: number): Range {
  let from = Math.floor((time - MONDAY_MS) / widthMs) * widthMs + MONDAY_MS;
  let to = from + widthMs;
  for (const range of ranges) {
    if (range.to <= time) from = Math.max(from, range.to);
    if (range.from > time) to = Math.min(to, range.from);
  }
  return { from, to };
}

function boundsOf(expression: string): Range[] {
  const found = /FROM \('([^']+)'\) TO \('([^']+)'\)/.exec(expression);
  return found ? [{ from: Date.parse(found[1]!), to: Date.parse(found[2]!) }] : [];
}
