import type { AppendOutcome, LogEntry } from "../durable-log/durable-log.ts";
import { isNearlyFull } from "../durable-log/durable-log.ts";
import type { Acceptance } from "./accepted.ts";
import { loggedFrame, readAcceptedRecord, writeAcceptedRecord } from "./accepted-record.ts";
import { ADMISSION_LIMITS, Admission, type AdmissionLimits } from "./admission.ts";
import type { Log } from "./dependencies.ts";
import type { LoggedFrame } from "./logged-counters.ts";
import type { MappedPush, PushReceiver } from "./receive-push.ts";
import { RecordMapper } from "./record-mapper.ts";
import { StoppedError } from "./steps.ts";
import { DrainedPush, Storing, type StoringParts } from "./storing.ts";
import { WarmPushes } from "./warm-pushes.ts";

export interface DrainLimits extends AdmissionLimits {
  /** Mapped pushes that wait in memory for the database; what is accepted beyond is mapped when it is read from the log. */
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

export interface DrainParts extends Omit<StoringParts, "admission" | "retryMs"> {
  readonly receiver: PushReceiver;
  readonly log: Log;
}

/** Of the event loop, after a turn in which pushes were mapped. */
const ROUNDS_OF_METERS = 8;

/**
 * The way of accepted pushes through the durable log into the database. While the database keeps up, a push is mapped when it is accepted, and
 * goes to both at the same time. Otherwise, and after a restart, it goes to the log alone, and is opened and mapped again when it is read from
 * there. All pushes are mapped in the order of the log: once one isn't mapped at acceptance, none is until the log is read to its end, because
 * the bits of a status word are compared with those before. Of a log that is shared with other daemons everything is mapped when it is read,
 * by whichever daemon reads it.
 */
export class Drain {
  private readonly parts: DrainParts;
  private readonly limits: DrainLimits;
  private readonly warm = new WarmPushes();
  /** Pushes in the log, or on their way to it, that aren't mapped. */
  private cold: number;
  /** On their way to the log. */
  private appending = 0;
  private readonly admission: Admission;
  private readonly storing: Storing;
  private readonly mapper: RecordMapper;
  /** null: it has not begun. */
  private running: Promise<void> | null = null;
  private whenSafe: (() => void)[] = [];
  private whenApplied: (() => void)[] = [];

  constructor(parts: DrainParts, limits: Partial<DrainLimits> = {}) {
    this.parts = parts;
    this.limits = { ...DRAIN_LIMITS, ...limits };
    this.admission = new Admission(this.limits);
    const { admission } = this;
    this.storing = new Storing({
      ...parts,
      admission,
      released: () => this.released(),
      retryMs: this.limits.retryMs,
    });
    const { isShared } = parts.durableLog;
    this.mapper = new RecordMapper({ ...parts, isShared });
    this.cold = isShared ? 0 : parts.durableLog.state().records;
  }

  /** Pushes that are accepted and aren't in the database. */
  private get behind(): number {
    return this.cold + this.storing.behind;
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
    if (this.parts.durableLog.isShared || this.running === null) return false;
    return this.cold === 0 && this.storing.held < this.limits.warmMax;
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
   * Of a push that is mapped when it is read from the log. `answered` is told when the log has it, or that it doesn't take it; the acceptance
   * that it is given is no view.
   */
  append(acceptance: Acceptance, answered: (outcome: AppendOutcome, own: Acceptance) => void): void {
    this.cold++;
    const frame = loggedFrame(acceptance);
    const record = this.log(acceptance, frame, (outcome) => {
      const isInLog = outcome.kind === "durable";
      if (!isInLog || this.parts.durableLog.isShared) {
        // Not in the log, or for whichever daemon reads it there.
        this.cold--;
        if (frame !== null) {
          if (isInLog) this.parts.logged.applied(frame);
          else this.parts.logged.refused(frame);
        }
        this.released();
      }
      answered(outcome, isInLog ? acceptance : readAcceptedRecord(record));
    });
  }

  /**
   * Of a push that is mapped: to the log and to the database at the same time, and safe as soon as either has it. `settled` is told once, also
   * that neither takes it.
   */
  appendMapped(mapped: MappedPush, settled: (isSafe: boolean) => void): void {
    const push = new DrainedPush(mapped, settled);
    this.log(mapped.acceptance, push.frame, (outcome) => {
      if (outcome.kind === "durable") this.warm.add(outcome.position, push);
      this.storing.logged(push, outcome.kind === "durable");
    });
    this.storing.store(push);
  }

  /** The record that is on its way now. */
  private log(
    acceptance: Acceptance,
    frame: LoggedFrame | null,
    answered: (outcome: AppendOutcome) => void,
  ): Buffer {
    this.appending++;
    this.admission.noteAccepted();
    if (frame !== null) this.parts.logged.log(frame);
    const record = writeAcceptedRecord(acceptance);
    this.parts.durableLog.append(record, acceptance.meterId, (outcome) => {
      this.appending--;
      answered(outcome);
      if (this.appending === 0) for (const resolve of this.whenSafe.splice(0)) resolve();
    });
    return record;
  }

  /** Resolves when nothing is on its way to the log. */
  safe(): Promise<void> {
    return this.appending === 0 ? Promise.resolve() : new Promise((resolve) => this.whenSafe.push(resolve));
  }

  /** Resolves when everything is in the database and trimmed in the log, or where nothing is going to be. */
  applied(): Promise<void> {
    if (this.isDone || this.running === null) return Promise.resolve();
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
    const mapping: Promise<DrainedPush>[] = [];
    const lastOf = new Map<string, Promise<DrainedPush>>();
    for (const entry of entries) {
      const warm = this.warm.take(entry.position);
      if (warm !== undefined) {
        this.storing.read(warm, entry.position);
        continue;
      }
      const acceptance = this.mapper.read(entry);
      if (acceptance === null) {
        this.cold--;
        this.released();
        continue;
      }
      const { meterId } = acceptance;
      const mapped = (lastOf.get(meterId) ?? Promise.resolve()).then(async () =>
        DrainedPush.ofLog(entry, await this.mapper.map(acceptance, entry)),
      );
      lastOf.set(meterId, mapped);
      mapping.push(mapped);
    }
    const pushes = await Promise.all(mapping);
    this.cold -= pushes.length;
    this.parts.batcher.isBacklog = this.cold >= this.limits.readMax;
    for (const push of pushes) this.storing.store(push);
    if (pushes.length > 0) await this.meters();
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

  private get isDone(): boolean {
    return this.cold === 0 && this.storing.held === 0;
  }

  private released(): void {
    this.parts.released();
    if (this.isDone) for (const resolve of this.whenApplied.splice(0)) resolve();
  }

  /** Of a shared log it is known what there is to do when it is read. */
  private found(entries: readonly LogEntry[]): void {
    this.cold += entries.length;
  }
}
