import type { AcceptedDigest } from "../../src/dlms/security/invocation-counter.ts";
import { PUSH_HISTORY } from "../../src/mapping/rows.ts";
import type {
  AcceptedPush,
  CommitOutcome,
  CommitUnit,
  CommitVerdict,
  PushStore,
} from "../../src/storage/accepted-push.ts";
import { counterName } from "../../src/storage/counter-name.ts";
import type { CounterStore, StoredCounter } from "../../src/storage/ingest-stores.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import type { VirtualClock } from "./virtual-clock.ts";

const DIGEST = PUSH_HISTORY.position.get("digest")!;
const COUNTER = PUSH_HISTORY.position.get("invocation_counter")!;

export interface StoredPush {
  readonly meterId: string;
  readonly counter: number;
  times: number;
}

/** What the daemon asks of PostgreSQL, with transactions that happen or don't, and answers that get lost. */
export class FakeDatabase {
  away = false;
  /** How much longer an answer takes, at most. */
  slowestMs = 0;
  /** Share of the batches that it doesn't take although it is there. */
  faultShare = 0;
  /** Meters of which such batches held pushes. */
  readonly faulted = new Set<string>();
  /** By digest in hex, in the order of their COMMITs. */
  readonly stored = new Map<string, StoredPush>();
  private readonly clock: VirtualClock;
  private readonly random: () => number;
  private readonly highs = new Map<string, number>();
  private readonly digests = new Map<number, AcceptedDigest[]>();

  constructor(clock: VirtualClock, random: () => number) {
    this.clock = clock;
    this.random = random;
  }

  async ask<T>(answer: () => T): Promise<T> {
    await this.clock.pause(1 + this.random() * 5);
    if (this.away) throw new StorageError("unavailable", "away");
    const answered = answer();
    // What is done is done soon, and told late: a transaction that goes on after the death of its daemon is waited for by a real database's locks.
    if (this.slowestMs > 0) await this.clock.pause(this.random() * this.slowestMs);
    return answered;
  }

  readonly counters: CounterStore = {
    loadCounter: (keyId, systemTitle, clientSap): Promise<StoredCounter> =>
      this.ask(() => ({
        high: this.highs.get(counterName(keyId, systemTitle, clientSap).text) ?? null,
        digests: (this.digests.get(keyId) ?? []).slice(-64),
      })),
  };

  /** A store of one life: what it doubts is forgotten with it, as in the daemon. */
  openStore(): PushStore {
    const doubtful = new WeakSet<CommitUnit>();
    return {
      commit: async (pushes) => {
        if (this.random() < this.faultShare) {
          for (const { meterId } of pushes) this.faulted.add(meterId);
          throw new StorageError("internal", "a fault that nobody expects");
        }
        try {
          const outcomes = await this.ask(() =>
            pushes.map((push) => this.store(push as AcceptedPush, doubtful)),
          );
          if (this.random() < 0.03) throw new StorageError("unavailable", "the answer to COMMIT was lost");
          return outcomes;
        } catch (error) {
          for (const push of pushes) doubtful.add(push);
          throw error;
        }
      },
    };
  }

  private store(push: AcceptedPush, doubtful: WeakSet<CommitUnit>): CommitOutcome {
    const digest = Buffer.from(push.history.cells[DIGEST] as string, "latin1").toString("hex");
    const known = this.stored.get(digest);
    const outcome = (verdict: CommitVerdict): CommitOutcome => ({
      ...{ verdict, rowsStored: 0, rowsDuplicate: 0, rowsConflicting: 0, rowsNew: [] },
    });
    if (known !== undefined && (push.again || doubtful.has(push))) return outcome("duplicate");
    const { counter: move } = push;
    if (move !== null) {
      const { keyId, text: name } = move.name;
      const high = this.highs.get(name) ?? -1;
      if (!move.isFinal && move.counter <= high)
        return outcome(known === undefined ? "replay" : "retransmission");
      this.highs.set(name, Math.max(high, move.counter));
      const list = this.digests.get(keyId) ?? [];
      list.push({ counter: move.counter, digest: move.digest });
      this.digests.set(keyId, list);
    }
    if (known !== undefined) known.times++;
    else
      this.stored.set(digest, {
        meterId: push.meterId,
        counter: push.history.cells[COUNTER] as number,
        times: 1,
      });
    return outcome("applied");
  }
}
