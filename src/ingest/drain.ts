import { boundedCache } from "../bounded-cache.ts";
import type { AppendOutcome, DurableLog, LogEntry } from "../durable-log/durable-log.ts";
import { isNearlyFull } from "../durable-log/durable-log.ts";
import type { CommitOutcome } from "../storage/accepted-push.ts";
import type { Acceptance } from "./accepted.ts";
import { loggedFrame, readAcceptedRecord, writeAcceptedRecord } from "./accepted-record.ts";
import { ADMISSION_LIMITS, Admission, type AdmissionLimits } from "./admission.ts";
import type { Batcher } from "./batcher.ts";
import type { Log } from "./dependencies.ts";
import type { LoggedCounters } from "./logged-counters.ts";
import type { MappedPush, PushReceiver } from "./receive-push.ts";
import { type Patience, run, StoppedError } from "./steps.ts";
import { WarmPushes } from "./warm-pushes.ts";

export interface DrainLimits extends AdmissionLimits {
  /** Mapped pushes that wait in memory for their turn; what is accepted beyond is mapped when it is read from the log. */
  readonly warmMax: number;
  /** Entries read from the log at once. */
  readonly readMax: number;
  /** Entries mapped before sockets have their turn; those of different meters at the same time. */
  readonly turnMax: number;
  /** After a batch that could not be stored for a fault of ours. */
  readonly retryMs: number;
}

export const DRAIN_LIMITS: DrainLimits = {
  warmMax: 4_000,
  readMax: 500,
  turnMax: 25,
  retryMs: 5_000,
  ...ADMISSION_LIMITS,
};

export interface DrainParts {
  readonly durableLog: DurableLog;
  readonly receiver: PushReceiver;
  readonly batcher: Batcher;
  readonly logged: LoggedCounters;
  readonly patience: Patience;
  readonly log: Log;
  /** A push is in the database. */
  readonly applied: (outcome: CommitOutcome, mapped: MappedPush) => void;
  /** There may be room again. */
  readonly released: () => void;
}

/** Of the event loop, after a turn in which pushes were mapped. */
const ROUNDS_OF_METERS = 8;

/** Meters whose epochs are remembered. */
const EPOCHS_MAX = 100_000;

/**
 * The way of accepted pushes through the durable log into the database: written there first, then read from it, stored and trimmed. While the
 * database keeps up, what was mapped at acceptance is kept until it is read, so that nothing is decoded twice. Otherwise, and after a
 * restart, it is opened and mapped again when its turn has come. All pushes are mapped in the order of the log: once one isn't mapped at
 * acceptance, none is until the log is read to its end, because the bits of a status word are compared with those before. Of a log that is
 * shared with other daemons everything is mapped when it is read, by whichever daemon reads it.
 */
export class Drain {
  private readonly parts: DrainParts;
  private readonly limits: DrainLimits;
  private readonly warm = new WarmPushes();
  /** Pushes in the log, or on their way to it, that aren't mapped. */
  private cold: number;
  /** Pushes in the log, or on their way to it, that aren't applied. */
  private behind: number;
  /** On their way to the log. */
  private appending = 0;
  /** Positions of what is applied, to be trimmed together. */
  private readonly trimmed: number[] = [];
  private readonly admission: Admission;
  /** Of a shared log: since when this daemon reads what a meter sends. */
  private readonly epochs = boundedCache<number>(EPOCHS_MAX);
  /** null: it has not begun. */
  private running: Promise<void> | null = null;
  private whenSafe: (() => void)[] = [];
  private whenApplied: (() => void)[] = [];

  constructor(parts: DrainParts, limits: Partial<DrainLimits> = {}) {
    this.parts = parts;
    this.limits = { ...DRAIN_LIMITS, ...limits };
    this.admission = new Admission(this.limits);
    this.cold = parts.durableLog.isShared ? 0 : parts.durableLog.state().records;
    this.behind = this.cold;
  }

  begin(): void {
    this.turnLater();
    this.running = this.drain().catch((error: unknown) => {
      if (!(error instanceof StoppedError))
        this.parts.log.error({ err: error }, "the durable log can't be drained");
    });
  }

  private turnLater(): void {
    const { patience, released } = this.parts;
    const cancel = patience.clock.after(this.limits.turnMs, () => {
      patience.stop.removeEventListener("abort", cancel);
      this.admission.turn(this.behind > 0);
      this.turnLater();
      released();
    });
    patience.stop.addEventListener("abort", cancel);
  }

  /** Whether a push that is accepted now should be mapped at once. */
  get mapsAtOnce(): boolean {
    if (this.parts.durableLog.isShared) return false;
    return this.cold === 0 && this.behind < this.limits.warmMax;
  }

  /**
   * Whether nothing more should be read from the sockets: there is no room, or the database has enough to do. What is in a shared log is
   * for whichever daemon has time.
   */
  isFull(): boolean {
    const { durableLog, batcher } = this.parts;
    const { behind, cold } = this;
    if (isNearlyFull(durableLog.state())) return true;
    return (
      !durableLog.isShared && this.admission.isClosed({ behind, cold, worthWaiting: batcher.worthWaiting })
    );
  }

  /**
   * `mapped` null: it is mapped when it is read. `safe` is told when the log has it, or that it doesn't take it; the acceptance that it is
   * given is no view.
   */
  append(
    acceptance: Acceptance,
    mapped: MappedPush | null,
    safe: (outcome: AppendOutcome, own: Acceptance) => void,
  ): void {
    this.appending++;
    this.behind++;
    this.admission.noteAccepted();
    if (mapped === null) this.cold++;
    const frame = loggedFrame(acceptance);
    if (frame !== null) this.parts.logged.log(frame);
    const record = writeAcceptedRecord(acceptance);
    this.parts.durableLog.append(record, acceptance.meterId, (outcome) => {
      this.appending--;
      if (outcome.kind === "durable" && !this.parts.durableLog.isShared) {
        if (mapped !== null) this.warm.add(outcome.position, mapped);
      } else {
        // Not in the log, or for whichever daemon reads it there.
        this.behind--;
        if (mapped === null) this.cold--;
        if (frame !== null) {
          if (outcome.kind === "durable") this.parts.logged.applied(frame);
          else this.parts.logged.refused(frame);
        }
        this.tellApplied();
      }
      const isNeeded = outcome.kind !== "durable" && mapped === null;
      safe(outcome, isNeeded ? readAcceptedRecord(record) : acceptance);
      if (this.appending === 0) for (const resolve of this.whenSafe.splice(0)) resolve();
    });
  }

  /** Resolves when nothing is on its way to the log. */
  safe(): Promise<void> {
    return this.appending === 0 ? Promise.resolve() : new Promise((resolve) => this.whenSafe.push(resolve));
  }

  /** Resolves when everything is in the database, or where nothing is going to be. */
  applied(): Promise<void> {
    if (this.behind === 0 || this.running === null) return Promise.resolve();
    return new Promise((resolve) => this.whenApplied.push(resolve));
  }

  /** After the log was closed, or everything was stopped. */
  async ended(): Promise<void> {
    await this.running;
  }

  private async drain(): Promise<void> {
    const { durableLog, patience } = this.parts;
    for (;;) {
      const entries = await durableLog.read(this.limits.readMax);
      if (entries.length === 0) return;
      if (durableLog.isShared) this.found(entries);
      for (let from = 0; from < entries.length; from += this.limits.turnMax) {
        const turn = entries.slice(from, from + this.limits.turnMax);
        await this.roomInMemory();
        if (patience.stop.aborted) return;
        await this.takeTurn(turn);
      }
    }
  }

  /**
   * Stores some entries, in their order. Those that aren't mapped are mapped at once where they are of different meters, because each may have to
   * wait for look-ups of its own; one meter's follow each other.
   */
  private async takeTurn(entries: readonly LogEntry[]): Promise<void> {
    const pushes: (MappedPush | null)[] = [];
    const mapping: Promise<void>[] = [];
    const lastOf = new Map<string, Promise<void>>();
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index]!;
      const warm = this.warm.take(entry.position);
      const acceptance = warm === undefined ? this.read(entry) : null;
      pushes.push(warm ?? null);
      if (acceptance === null) continue;
      const { meterId } = acceptance;
      const mapped = (lastOf.get(meterId) ?? Promise.resolve()).then(async () => {
        pushes[index] = await this.map(acceptance, entry);
      });
      lastOf.set(meterId, mapped);
      mapping.push(mapped);
    }
    if (mapping.length > 0) await Promise.all(mapping);
    this.cold -= mapping.length;
    this.parts.batcher.isBacklog = this.cold >= this.limits.readMax;
    for (let index = 0; index < entries.length; index++) {
      const mapped = pushes[index];
      if (mapped != null) this.store(entries[index]!, mapped);
    }
    if (mapping.length > 0) await this.meters();
  }

  /** Meters first: in each round of the event loop one that calls is accepted, and what the others have sent is read. */
  private async meters(): Promise<void> {
    const { clock } = this.parts.patience;
    for (let round = 0; round < ROUNDS_OF_METERS; round++) {
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
  }

  private async roomInMemory(): Promise<void> {
    const { batcher } = this.parts;
    while (batcher.isLoaded && !this.parts.patience.stop.aborted) await batcher.settledOne();
  }

  /** null for a record that this version can't read: it stays in the log. */
  private read({ payload }: LogEntry): Acceptance | null {
    try {
      return readAcceptedRecord(payload);
    } catch (error) {
      this.cold--;
      const text = "a record of the durable log can't be read by this version; it stays there";
      this.parts.log.error({ err: error }, text);
      return null;
    }
  }

  /** Whatever goes wrong but a stop, the push is kept aside. */
  private async map(acceptance: Acceptance, { again, epoch }: LogEntry): Promise<MappedPush> {
    const { receiver, log } = this.parts;
    this.forgetOldWords(acceptance.meterId, epoch);
    try {
      return await new Promise((resolve, reject) =>
        run(() => receiver.reopen(acceptance, again), resolve, reject),
      );
    } catch (error) {
      if (error instanceof StoppedError) throw error;
      log.error({ err: error }, "an accepted push could not be mapped; it goes to quarantine");
      return receiver.setAside(acceptance, (error as Error).message, again);
    }
  }

  /** Another daemon has read what the meter sent meanwhile: the database knows its status words better. */
  private forgetOldWords(meterId: string, epoch: number): void {
    if (!this.parts.durableLog.isShared || this.epochs.get(meterId) === epoch) return;
    this.epochs.set(meterId, epoch);
    this.parts.receiver.statusWords.forget(meterId);
  }

  private store(entry: LogEntry, mapped: MappedPush): void {
    const { push } = mapped;
    const bytes = entry.payload.length;
    const settled = (outcome: CommitOutcome | null) => {
      if (outcome === null) this.later(entry, mapped);
      else this.done(entry, mapped, outcome);
    };
    this.parts.batcher.add({ push, bytes, settled });
  }

  private done(entry: LogEntry, mapped: MappedPush, outcome: CommitOutcome): void {
    this.admission.noteStored();
    this.behind--;
    const frame = loggedFrame(mapped.acceptance);
    if (frame !== null) {
      // Of a shared log it was released when it was appended, by whichever daemon that was.
      if (this.parts.durableLog.isShared) this.parts.logged.stored(frame);
      else this.parts.logged.applied(frame);
    }
    this.trimSoon(entry.position);
    this.parts.applied(outcome, mapped);
    this.parts.released();
    this.tellApplied();
  }

  /** All that a transaction has stored at once. */
  private trimSoon(position: number): void {
    if (this.trimmed.push(position) > 1) return;
    queueMicrotask(() => this.parts.durableLog.trim(this.trimmed.splice(0)));
  }

  /** Of a shared log it is known what there is to do when it is read. */
  private found(entries: readonly LogEntry[]): void {
    this.behind += entries.length;
    this.cold += entries.length;
  }

  private tellApplied(): void {
    if (this.behind === 0) for (const resolve of this.whenApplied.splice(0)) resolve();
  }

  /** What was acknowledged is never given up: it stays in the log, and is tried again. */
  private later(entry: LogEntry, mapped: MappedPush): void {
    const { patience } = this.parts;
    if (patience.stop.aborted) return;
    patience.clock.after(this.limits.retryMs, () => {
      if (!patience.stop.aborted) this.store(entry, mapped);
    });
  }
}
