import type { DurableLog, LogEntry } from "../durable-log/durable-log.ts";
import type { CommitOutcome } from "../storage/accepted-push.ts";
import { loggedFrame } from "./accepted-record.ts";
import type { Admission } from "./admission.ts";
import type { Batcher } from "./batcher.ts";
import type { LoggedCounters, LoggedFrame } from "./logged-counters.ts";
import type { MappedPush } from "./receive-push.ts";
import type { Patience } from "./steps.ts";

/** A mapped push on its way through the durable log and into the database: what both have said of it so far. */
export class DrainedPush {
  readonly mapped: MappedPush;
  /** null: nothing protected it. */
  readonly frame: LoggedFrame | null;
  /** null: the log has not answered yet. */
  isLogged: boolean | null = null;
  /** null: it is on its way to the database; false: that could not store it for a fault of ours. */
  isStored: boolean | null = null;
  /** Where it stands in the log; null: the log was not read as far as that yet. */
  position: number | null = null;
  private settled: ((isSafe: boolean) => void) | null;

  /** `settled` is told once whether it is safe; null: nobody waits for that. */
  constructor(mapped: MappedPush, settled: ((isSafe: boolean) => void) | null) {
    this.mapped = mapped;
    this.frame = loggedFrame(mapped.acceptance);
    this.settled = settled;
  }

  /** One that was read from the log: whoever waited for it has been told. */
  static ofLog({ position }: LogEntry, mapped: MappedPush): DrainedPush {
    const push = new DrainedPush(mapped, null);
    push.isLogged = true;
    push.position = position;
    return push;
  }

  tell(isSafe: boolean): void {
    this.settled?.(isSafe);
    this.settled = null;
  }
}

export interface StoringParts {
  readonly durableLog: DurableLog;
  readonly batcher: Batcher;
  readonly logged: LoggedCounters;
  readonly admission: Admission;
  readonly patience: Patience;
  /** A push is in the database. */
  readonly applied: (outcome: CommitOutcome, mapped: MappedPush) => void;
  /** There may be room again: a push is in the database, or nothing more is to be done about it. */
  readonly released: () => void;
  /** After a batch that could not be stored for a fault of ours. */
  readonly retryMs: number;
}

/** Takes mapped pushes to the database, and brings together what that and the durable log say of them. */
export class Storing {
  private readonly parts: StoringParts;
  /** Pushes that aren't in the database, and are going to be. */
  private waiting = 0;
  private kept = 0;
  /** Positions of what is stored, to be trimmed together. */
  private readonly trimmed: number[] = [];

  constructor(parts: StoringParts) {
    this.parts = parts;
  }

  /** Pushes that aren't in the database. What only the log has not answered for is not among them: it holds no meter up. */
  get behind(): number {
    return this.waiting;
  }

  /** Pushes in memory: those, and what is in the database while the log has not answered for it, or was not read as far. */
  get held(): number {
    return this.kept;
  }

  store(push: DrainedPush): void {
    this.waiting++;
    this.kept++;
    this.submit(push);
  }

  private submit(push: DrainedPush): void {
    const settled = (outcome: CommitOutcome | null) => {
      push.isStored = outcome !== null;
      if (outcome !== null) {
        this.stored(push, outcome);
        push.tell(true);
      }
      this.goOn(push);
    };
    this.parts.batcher.add({ push: push.mapped.push, settled });
  }

  /** The log has answered. */
  logged(push: DrainedPush, isLogged: boolean): void {
    push.isLogged = isLogged;
    if (isLogged) push.tell(true);
    this.goOn(push);
  }

  /** The log was read as far as this push. */
  read(push: DrainedPush, position: number): void {
    push.position = position;
    this.goOn(push);
  }

  private stored({ frame, mapped }: DrainedPush, outcome: CommitOutcome): void {
    const { admission, durableLog, logged, applied, released } = this.parts;
    this.waiting--;
    admission.noteStored();
    if (frame !== null) {
      // Of a shared log it was released when it was appended, by whichever daemon that was.
      if (durableLog.isShared) logged.stored(frame);
      else logged.applied(frame);
    }
    applied(outcome, mapped);
    released();
  }

  private goOn(push: DrainedPush): void {
    const { isLogged, isStored, position } = push;
    if (isLogged === null || isStored === null) return;
    if (!isLogged) {
      if (!isStored) this.lost(push);
      this.gone();
    } else if (!isStored) this.later(push);
    else if (position !== null) {
      this.trimSoon(position);
      this.gone();
    }
  }

  /** Nothing more is to be done about a push. */
  private gone(): void {
    this.kept--;
    this.parts.released();
  }

  /** Neither the log nor the database takes it: it is sent again. */
  private lost(push: DrainedPush): void {
    this.waiting--;
    if (push.frame !== null) this.parts.logged.refused(push.frame);
    push.tell(false);
  }

  /** What was acknowledged is never given up: it stays in the log, and is tried again. */
  private later(push: DrainedPush): void {
    const { patience, retryMs } = this.parts;
    if (patience.stop.aborted) return;
    push.isStored = null;
    patience.clock.after(retryMs, () => {
      if (!patience.stop.aborted) this.submit(push);
    });
  }

  /** All that a transaction has stored at once. */
  private trimSoon(position: number): void {
    if (this.trimmed.push(position) > 1) return;
    queueMicrotask(() => this.parts.durableLog.trim(this.trimmed.splice(0)));
  }
}
