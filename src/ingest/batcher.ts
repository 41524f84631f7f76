import type { AcceptedPush, CommitOutcome, PushStore } from "../storage/accepted-push.ts";
import type { Log } from "./dependencies.ts";
import type { IngestObserver } from "./observer.ts";
import { RestingEntries } from "./resting-entries.ts";
import { type Patience, untilAvailable } from "./steps.ts";

/** A push on its way to the database, and who wants to know when it is there. */
export interface PendingPush {
  readonly push: AcceptedPush;
  /** null: it was not stored and is not acknowledged. */
  settled(outcome: CommitOutcome | null): void;
}

export interface BatchLimits {
  /** Pushes of one transaction. */
  readonly pushesMax: number;
  /**
   * How long a push waits for others while pushes keep coming: a transaction of seven COPYs costs much the same for one or fifty.
   */
  readonly gatherMs: number;
  /**
   * With no transaction in flight a push waits for others no longer than until this has passed since the last one began: what comes while one
   * is in flight gathers anyway, for the longer the more there is to do.
   */
  readonly apartMs: number;
  /** How long pushes gather while the rest of an outage is stored: nobody waits for those, and the next ones are there already. */
  readonly gatherBacklogMs: number;
  /** Transactions at once. */
  readonly inFlightMax: number;
  /**
   * Pushes that may wait for their COMMIT while the database keeps up: what it takes in `waitingMs` and the time of a transaction, within
   * these bounds. What is read beyond would only grow old in memory.
   */
  readonly waitingMin: number;
  readonly waitingMax: number;
  readonly waitingMs: number;
  /** A database from which no COMMIT has come for so long is away: then memory is what pushes are taken into, up to its limit. */
  readonly awayMs: number;
}

export const BATCH_LIMITS: BatchLimits = {
  pushesMax: 500,
  gatherMs: 20,
  apartMs: 5,
  gatherBacklogMs: 200,
  inFlightMax: 3,
  waitingMin: 250,
  waitingMax: 4_000,
  waitingMs: 35,
  awayMs: 1_000,
};

/** What a meter has on its way. */
interface MeterLine {
  /** Of the batch that its pushes are in; 0: none. */
  batch: number;
  /** Its pushes that wait for the end of that one. */
  held: PendingPush[];
}

/** The weight of the last COMMIT in the average pace. */
const PACE_SHARE = 0.1;
const PACE_PAUSE_MS = 200;
/** How fast it is forgotten that a transaction was short, from one to the next. */
const FORGET_SHORTEST = 1.02;

/**
 * Gathers pushes into transactions. A push that comes alone goes at once; while others come, batches grow: the busier the line or the
 * slower the database, the larger they are. Pushes of one meter never are in two transactions at a time, so their order and their
 * counters' order hold. While the database is away batches are tried again until it is back; nothing is given up.
 */
export class Batcher {
  private readonly store: PushStore;
  private readonly limits: BatchLimits;
  private readonly observer: IngestObserver;
  private readonly log: Log;
  private readonly patience: Patience;
  /** Whether many more will be added at once, so that batches had better be full. */
  isBacklog = false;
  private readonly queue: PendingPush[] = [];
  private inFlight = 0;
  /** Pushes that were added and are not settled. */
  private unsettled = 0;
  /** Before the first COMMIT the database counts as there. */
  private lastCommitAt: number;
  /**
   * Pushes of a COMMIT, and milliseconds from one to the next, on average. Each is averaged by itself, because COMMITs come in twos and threes: the
   * mean of their quotients is many times the pace.
   */
  private committedPushes = 0;
  private committedMs = 0;
  /** The shortest time of a transaction lately, ms: what the way to the database takes where nothing stands in it. */
  private shortestMs = 0;
  private lastSentAt = Number.NEGATIVE_INFINITY;
  private batches = 0;
  private readonly lines = new RestingEntries<MeterLine>(
    () => ({ batch: 0, held: [] }),
    ({ batch }) => batch === 0,
  );
  private cancelTimer: (() => void) | null = null;
  private immediate = false;
  private idle: (() => void)[] = [];
  private waitingForOne: (() => void)[] = [];

  constructor(
    store: PushStore,
    observer: IngestObserver,
    log: Log,
    patience: Patience,
    limits: BatchLimits = BATCH_LIMITS,
  ) {
    this.store = store;
    this.observer = observer;
    this.log = log;
    this.patience = patience;
    this.lastCommitAt = patience.clock.monotonic();
    this.limits = limits;
  }

  add(pending: PendingPush): void {
    this.queue.push(pending);
    this.unsettled++;
    this.schedule();
  }

  /** Whether as much waits as is worth keeping in memory. */
  get isLoaded(): boolean {
    return this.unsettled >= this.limits.waitingMax;
  }

  /** Whether as much waits as a database that keeps up should be given. */
  isFull(): boolean {
    return (
      this.unsettled > this.worthWaiting &&
      this.patience.clock.monotonic() - this.lastCommitAt < this.limits.awayMs
    );
  }

  /** Pushes that come to COMMIT soon: what is read beyond would only grow old in memory. */
  get worthWaiting(): number {
    const { waitingMin, waitingMax, waitingMs, inFlightMax } = this.limits;
    // What is in flight is a batch less than all that waits. With less the pace that is seen would only shrink where transactions are long.
    const inFlightMs = (this.shortestMs * (inFlightMax + 1)) / inFlightMax;
    return Math.min(waitingMax, Math.max(waitingMin, this.pace * (waitingMs + inFlightMs)));
  }

  /**
   * A batch is a part of what may wait, so that others are read, logged and written meanwhile: if it were all of it, socket, log and database
   * would wait for each other in turns. Where more waits than that, the database is behind, and full batches are what helps.
   */
  private get mostOfBatch(): number {
    const { pushesMax, inFlightMax } = this.limits;
    const { worthWaiting } = this;
    return this.isBacklog || this.unsettled > 2 * worthWaiting
      ? pushesMax
      : Math.min(pushesMax, Math.ceil(worthWaiting / (inFlightMax + 1)));
  }

  /** Pushes that the database takes in a millisecond, as seen lately. */
  private get pace(): number {
    return this.committedMs === 0 ? 0 : this.committedPushes / this.committedMs;
  }

  /** Resolves when the next batch is settled. */
  settledOne(): Promise<void> {
    return new Promise((resolve) => this.waitingForOne.push(resolve));
  }

  /** Resolves when everything that was added is settled. */
  drained(): Promise<void> {
    if (this.isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private isIdle(): boolean {
    return this.inFlight === 0 && this.queue.length === 0;
  }

  private schedule(): void {
    const waiting = this.queue.length;
    if (waiting === 0 || this.inFlight >= this.limits.inFlightMax) return;
    if (waiting >= this.mostOfBatch) {
      // The database has something to do while the rest is read.
      this.send();
      return;
    }
    const waitMs = this.waitMs;
    if (waitMs > 0) this.cancelTimer ??= this.patience.clock.after(waitMs, () => this.send());
    else if (!this.immediate) {
      this.immediate = true;
      // After the sockets that are readable now were read: their pushes come along.
      this.patience.clock.soon(() => {
        this.immediate = false;
        this.send();
      });
    }
  }

  /** How long the next batch may gather. */
  private get waitMs(): number {
    const { gatherMs, gatherBacklogMs, apartMs } = this.limits;
    if (this.isBacklog) return gatherBacklogMs;
    return this.inFlight > 0 ? gatherMs : this.lastSentAt + apartMs - this.patience.clock.monotonic();
  }

  private cancelGathering(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
  }

  private send(): void {
    this.cancelGathering();
    if (this.inFlight >= this.limits.inFlightMax) return;
    const batch = this.compose();
    if (batch.length === 0) return;
    this.lastSentAt = this.patience.clock.monotonic();
    this.inFlight++;
    this.commit(batch).finally(() => {
      this.inFlight--;
      this.release(batch);
      if (this.inFlight === 0) this.cancelGathering();
      this.schedule();
      for (const resolve of this.waitingForOne.splice(0)) resolve();
      if (this.isIdle()) for (const resolve of this.idle.splice(0)) resolve();
    });
    this.schedule();
  }

  /** The next pushes, without those of meters that another transaction has. */
  private compose(): PendingPush[] {
    const batch: PendingPush[] = [];
    const number = ++this.batches;
    const most = this.mostOfBatch;
    let looked = 0;
    while (looked < this.queue.length && batch.length < most) {
      const pending = this.queue[looked++]!;
      const line = this.lines.of(pending.push.meterId);
      if (line.batch !== 0 && line.batch !== number) line.held.push(pending);
      else {
        line.batch = number;
        batch.push(pending);
      }
    }
    this.queue.splice(0, looked);
    return batch;
  }

  /** Puts what waited for the batch's meters in front of the queue: it is older than what stands there. */
  private release(batch: readonly PendingPush[]): void {
    const released: PendingPush[] = [];
    for (const { push } of batch) {
      const line = this.lines.peek(push.meterId)!;
      line.batch = 0;
      if (line.held.length === 0) continue;
      for (const pending of line.held) released.push(pending);
      line.held = [];
    }
    if (released.length === 0) return;
    this.queue.unshift(...released);
  }

  /** Keeps an average of the pace over the last COMMITs; pauses in which nothing waited tell nothing. */
  private committed(pushes: number, started: number): void {
    const now = this.patience.clock.monotonic();
    const forgotten = this.shortestMs === 0 ? Number.POSITIVE_INFINITY : this.shortestMs * FORGET_SHORTEST;
    this.shortestMs = Math.min(now - started, forgotten);
    const elapsed = now - this.lastCommitAt;
    if (elapsed < PACE_PAUSE_MS) {
      this.committedPushes += (pushes - this.committedPushes) * PACE_SHARE;
      this.committedMs += (elapsed - this.committedMs) * PACE_SHARE;
    }
    this.lastCommitAt = now;
  }

  private async commit(batch: readonly PendingPush[]): Promise<void> {
    const outcomes = await this.outcomesOf(batch);
    this.unsettled -= batch.length;
    // An error in here is none of the database's: what is committed must not be told to be lost, and stored again.
    for (let i = 0; i < batch.length; i++) batch[i]!.settled(outcomes === null ? null : outcomes[i]!);
  }

  /** null: nothing of it is to be acknowledged. */
  private async outcomesOf(batch: readonly PendingPush[]): Promise<readonly CommitOutcome[] | null> {
    const started = this.patience.clock.monotonic();
    const pushes = batch.map(({ push }) => push);
    try {
      const outcomes = await untilAvailable(() => this.store.commit(pushes), this.patience);
      this.committed(batch.length, started);
      this.observer.dbWriteSeconds((this.lastCommitAt - started) / 1_000);
      return outcomes;
    } catch (error) {
      // The store sets aside what the database refuses; what comes here is a fault of ours, or the end of the daemon.
      this.log.error(
        { err: error, pushes: batch.length },
        "a batch could not be stored and is not acknowledged",
      );
      return null;
    }
  }
}
