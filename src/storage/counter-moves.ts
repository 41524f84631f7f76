import { LRUCache } from "lru-cache";
import type { AcceptedPush, CounterMove } from "./accepted-push.ts";
import type { Client } from "./database.ts";

/** Counter keys that are remembered; the least recently moved are forgotten first. */
const REMEMBERED_MAX = 200_000;

export type RaceVerdict = "accepted" | "retransmission" | "replay";

const nameOf = (move: CounterMove) => `${move.keyId}|${move.systemTitle}|${move.clientSap}`;

interface Group {
  readonly name: string;
  readonly first: CounterMove;
  high: number;
  readonly moves: CounterMove[];
}

/** Moves received counters by compare-and-set, in the transaction of the caller. */
export class CounterMoves {
  /** Highest counter that this process handed to the database, in whatever batch: those were judged when they were accepted. */
  private readonly submitted = new LRUCache<string, number>({ max: REMEMBERED_MAX });

  /** Called before the first attempt to commit. */
  submit(pushes: readonly AcceptedPush[]): void {
    for (const { counter } of pushes) {
      if (counter === null) continue;
      const name = nameOf(counter);
      if ((this.submitted.get(name) ?? -1) < counter.counter) this.submitted.set(name, counter.counter);
    }
  }

  /**
   * Moves the counters of `moves`. Answers a verdict for those whose counter in the database wasn't lower already: another batch of
   * this process overtook this one (`accepted`), or another daemon was faster. `ownIds`: the batch's history rows, written before.
   */
  async move(
    client: Client,
    moves: readonly CounterMove[],
    ownIds: readonly number[],
  ): Promise<ReadonlyMap<CounterMove, RaceVerdict>> {
    if (moves.length === 0) return new Map();
    const groups = groupMoves(moves);
    const { rows } = await client.query({
      name: "move-counters",
      // Sorted, so that batches lock in the same order. Several counters of one key go together: the highest decides.
      text: `INSERT INTO invocation_counters AS c (key_id, system_title, client_sap, counter)
             SELECT k, t, s, high FROM unnest($1::int[], $2::text[], $3::smallint[], $4::bigint[]) AS x(k, t, s, high)
             ON CONFLICT (key_id, system_title, client_sap) DO UPDATE SET counter = excluded.counter
               WHERE c.counter < excluded.counter
             RETURNING key_id, system_title, client_sap`,
      values: [
        groups.map(({ first }) => first.keyId),
        groups.map(({ first }) => first.systemTitle),
        groups.map(({ first }) => first.clientSap),
        groups.map(({ high }) => high),
      ],
    });
    if (rows.length === groups.length) return new Map();
    const moved = new Set(rows.map((row) => `${row.key_id}|${row.system_title}|${row.client_sap}`));
    return this.judge(
      client,
      groups.filter(({ name }) => !moved.has(name)),
      ownIds,
    );
  }

  private async judge(
    client: Client,
    groups: readonly Group[],
    ownIds: readonly number[],
  ): Promise<ReadonlyMap<CounterMove, RaceVerdict>> {
    const verdicts = new Map<CounterMove, RaceVerdict>();
    for (const { name, first, moves } of groups) {
      const { rows } = await client.query(
        "SELECT counter FROM invocation_counters WHERE key_id = $1 AND system_title = $2 AND client_sap = $3",
        [first.keyId, first.systemTitle, first.clientSap],
      );
      const inDatabase = rows[0]?.counter as number;
      const { rows: known } = await client.query(
        `SELECT invocation_counter AS counter, digest FROM push_history
          WHERE meter_id = $1 AND key_id = $2 AND invocation_counter = ANY($3) AND id <> ALL($4)`,
        [first.meterId, first.keyId, moves.map(({ counter }) => counter), ownIds],
      );
      const seen = new Set(known.map((row) => `${row.counter}|${(row.digest as Buffer).toString("hex")}`));
      const ours = inDatabase <= (this.submitted.get(name) ?? -1);
      for (const move of moves) {
        if (seen.has(`${move.counter}|${move.digest.toString("hex")}`)) verdicts.set(move, "retransmission");
        else verdicts.set(move, ours ? "accepted" : "replay");
      }
    }
    return verdicts;
  }
}

function groupMoves(moves: readonly CounterMove[]): Group[] {
  const groups = new Map<string, Group>();
  for (const move of moves) {
    const name = nameOf(move);
    const group = groups.get(name);
    if (!group) {
      groups.set(name, { name, first: move, high: move.counter, moves: [move] });
      continue;
    }
    group.high = Math.max(group.high, move.counter);
    group.moves.push(move);
  }
  return [...groups.values()].sort(
    (a, b) =>
      a.first.keyId - b.first.keyId ||
      (a.first.systemTitle < b.first.systemTitle ? -1 : a.first.systemTitle > b.first.systemTitle ? 1 : 0) ||
      a.first.clientSap - b.first.clientSap,
  );
}
