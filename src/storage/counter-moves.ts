import { boundedCache } from "../bounded-cache.ts";
import type { AcceptedPush, CounterMove } from "./accepted-push.ts";
import { type CounterName, counterName } from "./counter-name.ts";
import type { Client, QueryRow } from "./database.ts";

/** Counter keys that are remembered; the least recently moved are forgotten first. */
const REMEMBERED_MAX = 200_000;

/** SQLSTATE of `move_counters`. */
export const COUNTERS_NOT_MOVED = "HC001";

export type RaceVerdict = "accepted" | "retransmission" | "replay";

const rowName = (row: QueryRow) => counterName(row["key_id"], row["system_title"], row["client_sap"]).text;
const frameName = (keyId: number, counter: number, digest: string) => `${keyId}/${counter}/${digest}`;

interface Group {
  readonly name: CounterName;
  low: number;
  high: number;
  readonly moves: CounterMove[];
}

/** Moves received counters by compare-and-set, in the transaction of the caller. */
export class CounterMoves {
  /** Highest counter that this process handed to the database, in whatever batch: those were judged when they were accepted. */
  private readonly submitted = boundedCache<number>(REMEMBERED_MAX);

  /** Called before the first attempt to commit. */
  submit(pushes: readonly Pick<AcceptedPush, "counter">[]): void {
    for (const { counter } of pushes) {
      if (counter === null) continue;
      const { text } = counter.name;
      if ((this.submitted.get(text) ?? -1) < counter.counter) this.submitted.set(text, counter.counter);
    }
  }

  /** Moves all counters of `moves`, or raises COUNTERS_NOT_MOVED: a statement without parameters; null where there are none. */
  statement(moves: readonly CounterMove[]): string | null {
    if (moves.length === 0) return null;
    const groups = groupMoves(moves);
    // Each frame must be above what the database has, and not only the last of its counter.
    const lowest = moveStatement(groups, ({ low }) => low);
    const several = groups.filter(({ low, high }) => low < high);
    return several.length === 0 ? lowest : `${lowest};\n${moveStatement(several, ({ high }) => high)}`;
  }

  /**
   * Moves the counters of `moves`. Answers a verdict for those whose counter in the database wasn't lower already: the frame is stored
   * (`retransmission`), another batch of this process overtook this one (`accepted`), or another daemon was faster. `ownIds`: the batch's history rows, written before.
   */
  async move(
    client: Client,
    moves: readonly CounterMove[],
    ownIds: readonly number[],
  ): Promise<ReadonlyMap<CounterMove, RaceVerdict>> {
    if (moves.length === 0) return new Map();
    const groups = groupMoves(moves);
    const moved = await raise(client, groups, ({ low }) => low);
    const others = groups.filter(({ name }) => !moved.has(name.text));
    const verdicts = others.length === 0 ? new Map() : await this.judge(client, others, ownIds);
    const several = groups.filter(({ low, high }) => low < high);
    if (several.length > 0) await raise(client, several, ({ high }) => high);
    return verdicts;
  }

  private async judge(
    client: Client,
    groups: readonly Group[],
    ownIds: readonly number[],
  ): Promise<ReadonlyMap<CounterMove, RaceVerdict>> {
    const { rows: counters } = await client.query(
      `SELECT key_id, system_title, client_sap, counter FROM invocation_counters
         JOIN unnest($1::int[], $2::text[], $3::smallint[]) AS x(k, t, s) ON key_id = k AND system_title = t AND client_sap = s`,
      [
        groups.map(({ name }) => name.keyId),
        groups.map(({ name }) => name.systemTitle),
        groups.map(({ name }) => name.clientSap),
      ],
    );
    const inDatabase = new Map(counters.map((row) => [rowName(row), row.counter as number]));
    const isForeign = ({ name }: Group) =>
      (inDatabase.get(name.text) ?? 0) > (this.submitted.get(name.text) ?? -1);
    const seen = await this.seen(
      client,
      groups.flatMap(({ moves }) => moves),
      ownIds,
    );
    const verdicts = new Map<CounterMove, RaceVerdict>();
    for (const group of groups) {
      for (const move of group.moves) {
        if (seen.has(frameName(move.name.keyId, move.counter, move.digest)))
          verdicts.set(move, "retransmission");
        else {
          const isOvertaken = isForeign(group) && move.counter <= (inDatabase.get(group.name.text) ?? -1);
          verdicts.set(move, isOvertaken && !move.isFinal ? "replay" : "accepted");
        }
      }
    }
    return verdicts;
  }

  /** Which of these frames are stored, as they are. */
  private async seen(
    client: Client,
    moves: readonly CounterMove[],
    ownIds: readonly number[],
  ): Promise<ReadonlySet<string>> {
    if (moves.length === 0) return new Set();
    const { rows } = await client.query(
      `SELECT h.key_id, h.invocation_counter, h.digest
         FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS x(meter, key, counter)
         JOIN push_history h ON h.meter_id = x.meter AND h.key_id = x.key AND h.invocation_counter = x.counter
        WHERE h.id <> ALL($4)`,
      [
        moves.map(({ meterId }) => meterId),
        moves.map(({ name }) => name.keyId),
        moves.map(({ counter }) => counter),
        ownIds,
      ],
    );
    return new Set(
      rows.map((row) => frameName(row.key_id, row.invocation_counter, row.digest.toString("latin1"))),
    );
  }
}

/** Raises counters that are lower; the names of those that were. Sorted, so that batches lock in the same order. */
async function raise(client: Client, groups: readonly Group[], to: (group: Group) => number) {
  const { rows } = await client.query({
    name: "move-counters",
    text: `INSERT INTO invocation_counters AS c (key_id, system_title, client_sap, counter)
           SELECT * FROM unnest($1::int[], $2::text[], $3::smallint[], $4::bigint[])
           ON CONFLICT (key_id, system_title, client_sap) DO UPDATE SET counter = excluded.counter
             WHERE c.counter < excluded.counter
           RETURNING key_id, system_title, client_sap`,
    values: [
      groups.map(({ name }) => name.keyId),
      groups.map(({ name }) => name.systemTitle),
      groups.map(({ name }) => name.clientSap),
      groups.map(to),
    ],
  });
  return new Set(rows.map(rowName));
}

function moveStatement(groups: readonly Group[], to: (group: Group) => number): string {
  const list = (of: (group: Group) => number | string) => `'{${groups.map(of).join(",")}}'`;
  const titles = list(({ name }) => `"${hexOnly(name.systemTitle)}"`);
  const keys = list(({ name }) => name.keyId);
  const saps = list(({ name }) => name.clientSap);
  return `SELECT move_counters(${keys}, ${titles}, ${saps}, ${list(to)})`;
}

/** Those of `moves` that say what one before them says: the same frame, accepted by two daemons. */
export function repeatedMoves(moves: readonly CounterMove[]): ReadonlySet<CounterMove> {
  const counters = new Map<string, CounterMove[]>();
  const repeated = new Set<CounterMove>();
  for (const move of moves) {
    const { text } = move.name;
    const before = counters.get(text);
    if (before === undefined) counters.set(text, [move]);
    else if (before.some(({ counter, digest }) => counter === move.counter && digest === move.digest))
      repeated.add(move);
    else before.push(move);
  }
  return repeated;
}

function hexOnly(systemTitle: string): string {
  if (/^[0-9a-f]*$/.test(systemTitle)) return systemTitle;
  throw new TypeError("a system title is hex digits in lower case");
}

function groupMoves(moves: readonly CounterMove[]): Group[] {
  const groups = new Map<string, Group>();
  for (const move of moves) {
    const { name } = move;
    const group = groups.get(name.text);
    if (!group) {
      groups.set(name.text, { name, low: move.counter, high: move.counter, moves: [move] });
      continue;
    }
    group.low = Math.min(group.low, move.counter);
    group.high = Math.max(group.high, move.counter);
    group.moves.push(move);
  }
  return [...groups.values()].sort(
    ({ name: a }, { name: b }) =>
      a.keyId - b.keyId ||
      (a.systemTitle < b.systemTitle ? -1 : a.systemTitle > b.systemTitle ? 1 : 0) ||
      a.clientSap - b.clientSap,
  );
}
