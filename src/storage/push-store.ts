import { PUSH_HISTORY, RAW_FRAMES, ROW_TABLES, type Table } from "../mapping/rows.ts";
import type { CommitOutcome, CommitUnit, CounterMove, PushStore } from "./accepted-push.ts";
import { queryWithCopies } from "./batch-query.ts";
import { type BinaryCopy, CopyPool } from "./binary-copy.ts";
import { collidingItems } from "./collisions.ts";
import { copyIn } from "./copy-in.ts";
import { COUNTERS_NOT_MOVED, CounterMoves, type RaceVerdict, repeatedMoves } from "./counter-moves.ts";
import { changedDaysStatement, noteChangedDays } from "./daily-load-changes.ts";
import type { Client, Database } from "./database.ts";
import { mergeRows } from "./merge.ts";
import type { Partitions } from "./partitions.ts";
import { historyCells, type Item, identify, rowsOf, timeOf, timeSpans, verdictOf } from "./push-batch.ts";
import { PushIds } from "./push-ids.ts";
import { quarantinePushes, quarantineUnstorable } from "./push-quarantine.ts";
import { StorageError } from "./storage-error.ts";
import { readTwice, storedAlready } from "./stored-already.ts";

const UNIQUE_VIOLATION = "23505";
const CHECK_VIOLATION = "23514";
/** A deadlock or a serialisation failure is tried again at once, this often. */
const ATTEMPTS_MAX = 4;

export interface PushStoreOptions {
  /** IANA name of the zone that the daily load profile's days are cut in; Asia/Kolkata. */
  readonly timeZone?: string;
  /** Told of pushes that the database refused; they stand in quarantine then. */
  readonly onUnstorable?: (error: Error, push: CommitUnit) => void;
}

/**
 * Commits batches of pushes. The happy path is one transaction in one message: each table's rows by one COPY straight into it, then the
 * counters by compare-and-set. Counters that another daemon moved, and rows that are there already, make the batch go a longer way,
 * statement by statement and with merge.ts; a push that the database refuses is found by halving the batch and put into quarantine,
 * without the others. Several batches may be in flight at once.
 */
export function openPushStore(
  database: Database,
  partitions: Partitions,
  options: PushStoreOptions = {},
): PushStore {
  return new CopyingPushStore(database, partitions, options);
}

class CopyingPushStore implements PushStore {
  private readonly database: Database;
  private readonly partitions: Partitions;
  private readonly options: PushStoreOptions;
  private readonly counters = new CounterMoves();
  private readonly pool = new CopyPool();
  private readonly ids: PushIds;
  /** Pushes of batches that failed: a COMMIT may have come through all the same, and parts of a batch are committed before others. */
  private readonly doubtful = new WeakSet<CommitUnit>();

  constructor(database: Database, partitions: Partitions, options: PushStoreOptions) {
    this.database = database;
    this.partitions = partitions;
    this.options = options;
    this.ids = new PushIds(database);
  }

  async commit(pushes: readonly CommitUnit[]): Promise<CommitOutcome[]> {
    if (pushes.length === 0) return [];
    const ids = await this.ids.take(pushes.length);
    const items = pushes.map((push, index) => identify(push, ids[index]!));
    this.counters.submit(pushes);
    const repeated = repeatedMoves(movesOf(items));
    for (const item of items) if (repeated.has(item.push.counter!)) item.verdict = "retransmission";
    // Every batch touches meters in the same order, so that two of them never wait for each other.
    const ordered = [...items].sort((a, b) =>
      a.push.meterId < b.push.meterId ? -1 : a.push.meterId > b.push.meterId ? 1 : 0,
    );
    await this.passOverStored(ordered);
    try {
      await this.commitItems(ordered);
    } catch (error) {
      for (const push of pushes) this.doubtful.add(push);
      throw error;
    }
    return items.map(outcomeOf);
  }

  /** Of what may be stored already, what is, and what comes twice. */
  private async passOverStored(items: readonly Item[]): Promise<void> {
    const doubtful = items.filter(({ push }) => push.again || this.doubtful.has(push));
    if (doubtful.length === 0) return;
    const stored = await this.database.withClient((client) => storedAlready(client, doubtful));
    for (const item of [...stored, ...readTwice(doubtful)]) item.verdict = "duplicate";
  }

  /** @throws StorageError, `unavailable` where it is worth trying again */
  private async commitItems(items: readonly Item[]): Promise<void> {
    let way: Way = copyRows;
    let atOnce = items.every(({ push, verdict }) => push.quarantine === null && verdict === null);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.ensurePartitions(items);
        if (atOnce) await this.commitAtOnce(items);
        else await this.transact(items, way);
        return;
      } catch (error) {
        const wasAtOnce = atOnce;
        atOnce = false;
        if (error instanceof CountersMoved) continue;
        if (!(error instanceof StorageError)) {
          // Encoding: a cell that its column can't hold.
          if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
          return this.halve(items, error);
        }
        if (wasAtOnce && error.sqlState === COUNTERS_NOT_MOVED) continue;
        const next = error.sqlState === UNIQUE_VIOLATION ? NEXT_WAY.get(way) : undefined;
        if (next) {
          way = next;
          continue;
        }
        const again = error.sqlState === CHECK_VIOLATION && /no partition/.test(error.message);
        if (again) await this.partitions.refresh();
        if (attempt < ATTEMPTS_MAX && (again || error.sqlState?.startsWith("40"))) continue;
        if (error.code !== "constraint") throw error;
        return this.halve(items, error);
      }
    }
  }

  private async ensurePartitions(items: readonly Item[]): Promise<void> {
    const { partitions } = this;
    if (timeSpans(items).every(({ table, first, last }) => partitions.covers(table.name, first, last)))
      return;
    const wanted = items.flatMap(rowsOf).map((row) => ({ table: row.table.name, time: timeOf(row) }));
    await partitions.ensure(wanted);
  }

  /** The happy path: every row is new, and every counter higher than the one in the database. */
  private async commitAtOnce(items: readonly Item[]): Promise<void> {
    const copies = new BatchCopies(this.pool);
    appendRows(items, copies);
    appendPushes(items, copies);
    const { statements, messages } = copies.messages();
    const days = changedDaysStatement(items.map(pushOf), this.options.timeZone ?? "Asia/Kolkata");
    const moves = this.counters.statement(movesOf(items));
    for (const statement of [days, moves]) if (statement !== null) statements.push(statement);
    await this.database.withClient((client) => queryWithCopies(client, statements, messages));
    copies.release();
  }

  private async transact(all: readonly Item[], way: Way): Promise<void> {
    const items = all.filter(({ verdict }) => verdict === null);
    for (const item of items) item.merged = null;
    const copies = new BatchCopies(this.pool);
    const write = way(items, copies);
    const moves = movesOf(items);
    await this.database.transaction(async (client) => {
      await write(client);
      await quarantinePushes(client, items);
      await noteChangedDays(client, items.map(pushOf), this.options.timeZone ?? "Asia/Kolkata");
      const lost = await this.counters.move(
        client,
        moves,
        items.map(({ id }) => id),
      );
      if (markLosers(items, lost)) throw new CountersMoved();
    });
    copies.release();
  }

  /** A push that the database refuses must not take the others of its batch with it. */
  private async halve(items: readonly Item[], error: Error): Promise<void> {
    const [only] = items;
    if (items.length > 1) {
      const middle = Math.ceil(items.length / 2);
      await this.commitItems(items.slice(0, middle));
      await this.commitItems(items.slice(middle));
      return;
    }
    if (!only) return;
    await this.database.transaction((client) => quarantineUnstorable(client, only, error.message));
    only.verdict = "quarantined";
    this.options.onUnstorable?.(error, only.push);
  }
}

const pushOf = ({ push }: Item) => push;

function movesOf(items: readonly Item[]): CounterMove[] {
  const moves: CounterMove[] = [];
  for (const { push } of items) if (push.counter !== null) moves.push(push.counter);
  return moves;
}

/** Another daemon was faster with some counters of the batch: all over again without those pushes. */
class CountersMoved extends Error {}

/** What can be encoded before a connection is taken is. */
type Way = (items: readonly Item[], copies: BatchCopies) => (client: Client) => Promise<void>;

/** All rows are new. */
const copyRows: Way = (items, copies) => {
  appendRows(items, copies);
  appendPushes(items, copies);
  return (client) => copies.send(client);
};

/** The way of a batch that holds rows which are there already: pushes that meet one are merged, the others copied. */
const mergeColliding: Way = (items, copies) => async (client) => {
  const colliding = await collidingItems(client, items);
  await mergeRows(
    client,
    items.filter((item) => colliding.has(item)),
  );
  appendRows(
    items.filter((item) => !colliding.has(item)),
    copies,
  );
  appendPushes(items, copies);
  await copies.send(client);
};

/** Where another transaction stored a key in the moment between: everything is merged. */
const mergeAll: Way = (items, copies) => async (client) => {
  await mergeRows(client, items);
  appendPushes(items, copies);
  await copies.send(client);
};

/** After a way has met a key that is there. */
const NEXT_WAY = new Map<Way, Way>([
  [copyRows, mergeColliding],
  [mergeColliding, mergeAll],
]);

function appendRows(items: readonly Item[], copies: BatchCopies): void {
  for (const item of items) {
    for (const { table, cells } of item.push.rows) copies.of(table).append(cells);
  }
}

/** What is always new: history and frames. */
function appendPushes(items: readonly Item[], copies: BatchCopies): void {
  for (const item of items) {
    const { history, frame } = item.push;
    if (history !== null) copies.of(PUSH_HISTORY).append(historyCells(item, history));
    if (frame !== null) copies.of(RAW_FRAMES).append(frame.cells);
  }
}

/** The copies of one batch, one a table. */
class BatchCopies {
  private readonly pool: CopyPool;
  /** By the tables' ordinals. */
  private readonly copies: (BinaryCopy | undefined)[] = new Array(ROW_TABLES.length).fill(undefined);

  constructor(pool: CopyPool) {
    this.pool = pool;
  }

  of(table: Table): BinaryCopy {
    let copy = this.copies[table.ordinal];
    if (copy === undefined) {
      copy = this.pool.take(table);
      this.copies[table.ordinal] = copy;
    }
    return copy;
  }

  async send(client: Client): Promise<void> {
    for (const copy of this.sorted()) await copyIn(client, copy.sql, copy.finish());
  }

  /** The statements, and the octets that follow them, in the same order. */
  messages(): { statements: string[]; messages: Buffer[] } {
    const sorted = this.sorted();
    return { statements: sorted.map(({ sql }) => sql), messages: sorted.map((copy) => copy.messages()) };
  }

  /** One order of tables for all batches. */
  private sorted(): BinaryCopy[] {
    return this.taken().sort((a, b) => (a.table.name < b.table.name ? -1 : 1));
  }

  /** After COMMIT; after an error a socket may still hold what was sent. */
  release(): void {
    this.pool.giveBack(this.taken());
  }

  private taken(): BinaryCopy[] {
    return this.copies.filter((copy) => copy !== undefined);
  }
}

/** Whether any push of the batch lost its race. */
function markLosers(items: readonly Item[], lost: ReadonlyMap<unknown, RaceVerdict>): boolean {
  let any = false;
  for (const item of items) {
    const verdict = lost.get(item.push.counter);
    if (verdict === undefined || verdict === "accepted") continue;
    item.verdict = verdict;
    any = true;
  }
  return any;
}

function outcomeOf(item: Item): CommitOutcome {
  const { push, merged, verdict } = item;
  const nothing = verdict !== null;
  return {
    verdict: verdictOf(item),
    rowsStored: nothing ? 0 : (merged?.stored ?? push.rows.length),
    rowsDuplicate: nothing ? 0 : (merged?.duplicate ?? 0),
    rowsConflicting: nothing ? 0 : (merged?.conflicting ?? 0),
    rowsNew: nothing ? [] : (merged?.added ?? push.rows),
  };
}
