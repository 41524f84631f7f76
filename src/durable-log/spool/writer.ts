import type { Clock } from "../../clock.ts";
import type { AppendOutcome, LogObserver } from "../durable-log.ts";
import type { SpoolFiles } from "./files.ts";
import { PAYLOAD_OCTETS_MAX, recordOctets, SEGMENT_HEADER, writeRecord } from "./record.ts";
import { FIRST_RECORD, type Segment, type SyncedGroup, segmentName } from "./segment.ts";

export interface WriterLimits {
  /** A segment is closed when it has grown to this. */
  readonly segmentBytes: number;
  /** How long records wait for others while they keep coming: one fdatasync costs the same for one or a thousand. */
  readonly gatherMs: number;
  /** Octets written at once. */
  readonly groupBytesMax: number;
  /** After nothing could be written: when to try again. Until then nothing is taken in. */
  readonly retryMs: number;
}

export const WRITER_LIMITS: WriterLimits = {
  segmentBytes: 16 << 20,
  gatherMs: 20,
  groupBytesMax: 4 << 20,
  retryMs: 1_000,
};

interface Pending {
  readonly payload: Buffer;
  readonly settled: (outcome: AppendOutcome) => void;
  /** Segments on which it failed. */
  failures: number;
}

/** A record goes to a second segment where the first failed, and no further. */
const FAILURES_MAX = 1;

export interface WriterSurroundings {
  readonly files: SpoolFiles;
  readonly clock: Clock;
  readonly observer: LogObserver;
  /** Random, 0 … 2³²−1. */
  readonly nonce: () => number;
  /** A segment was made; it is the one that is written now. */
  readonly opened: (segment: Segment) => void;
  /** A group is safe, and whoever appended its records knows. */
  readonly synced: (group: SyncedGroup) => void;
  /** Nothing more is written to a segment. */
  readonly sealed: () => void;
}

/**
 * Writes records in groups, one write and one fdatasync each. The first error on a file is the last thing that happens to it: nothing
 * more of it is acknowledged, nothing is synced again, and the records go to a new segment.
 */
export class SegmentWriter {
  private readonly with: WriterSurroundings;
  private readonly limits: WriterLimits;
  private next: number;
  private current: Segment | null = null;
  private pending: Pending[] = [];
  private running: Promise<void> | null = null;
  private scheduled = false;
  private lastGroupAt = Number.NEGATIVE_INFINITY;
  private retryAt = Number.NEGATIVE_INFINITY;
  private failure: string | null = null;
  private closed = false;

  constructor(next: number, surroundings: WriterSurroundings, limits: WriterLimits) {
    this.next = next;
    this.with = surroundings;
    this.limits = limits;
  }

  /** Null, or why nothing can be written. */
  get trouble(): string | null {
    return this.failure;
  }

  append(payload: Buffer, settled: (outcome: AppendOutcome) => void): void {
    const refusal = this.refusal(payload);
    if (refusal !== null) {
      this.with.clock.soon(() => settled({ kind: "refused", ...refusal }));
      return;
    }
    this.pending.push({ payload, settled, failures: 0 });
    this.schedule();
  }

  private refusal({ length }: Buffer): { reason: "failed" | "closed"; text: string } | null {
    if (this.closed) return { reason: "closed", text: "the spool is closed" };
    if (length > PAYLOAD_OCTETS_MAX) return { reason: "failed", text: `a record of ${length} octets` };
    const isResting = this.with.clock.monotonic() < this.retryAt;
    return this.failure !== null && isResting ? { reason: "failed", text: this.failure } : null;
  }

  /** Writes what was appended. */
  async close(): Promise<void> {
    this.closed = true;
    while (this.pending.length > 0 || this.running !== null) {
      this.run();
      await this.running;
    }
    if (this.current !== null) this.current.sealed = true;
    this.current = null;
  }

  private schedule(): void {
    if (this.scheduled || this.running !== null || this.pending.length === 0) return;
    this.scheduled = true;
    const { clock } = this.with;
    const waitMs = this.lastGroupAt + this.limits.gatherMs - clock.monotonic();
    const go = () => {
      this.scheduled = false;
      this.run();
    };
    if (waitMs > 0) clock.after(waitMs, go);
    else clock.soon(go);
  }

  private run(): void {
    if (this.running !== null || this.pending.length === 0) return;
    this.lastGroupAt = this.with.clock.monotonic();
    this.running = this.writeGroup(this.takeGroup()).finally(() => {
      this.running = null;
      this.schedule();
    });
  }

  private takeGroup(): Pending[] {
    let bytes = 0;
    let count = 0;
    while (count < this.pending.length) {
      bytes += recordOctets(this.pending[count]!.payload);
      if (count > 0 && bytes > this.limits.groupBytesMax) break;
      count++;
    }
    return this.pending.splice(0, count);
  }

  private async writeGroup(group: readonly Pending[]): Promise<void> {
    const { clock, observer } = this.with;
    const started = clock.monotonic();
    let segment: Segment | null = null;
    let from: number;
    let first: number;
    try {
      segment = await this.segmentFor(octetsOf(group));
      from = segment.end;
      first = await this.writeRecords(group, segment);
    } catch (error) {
      this.failed(group, segment, error);
      return;
    }
    this.failure = null;
    observer.synced(group.length, (clock.monotonic() - started) / 1_000);
    for (let i = 0; i < group.length; i++) group[i]!.settled({ kind: "durable", position: first + i });
    this.with.synced({ segment, from, first, records: group });
  }

  /** Writes and syncs; the sequence of the first. What fails may stand in the file all the same: its sequences are not used again. */
  private async writeRecords(group: readonly Pending[], segment: Segment): Promise<number> {
    const first = this.next;
    this.next += group.length;
    const octets = Buffer.allocUnsafe(octetsOf(group));
    let at = 0;
    for (let i = 0; i < group.length; i++) {
      at = writeRecord(octets, at, segment.nonce, first + i, group[i]!.payload);
    }
    await segment.file.write(octets, segment.end);
    await segment.file.datasync();
    segment.end += octets.length;
    segment.next = this.next;
    segment.untrimmed += group.length;
    return first;
  }

  /** The current segment, or a new one where that is full or there is none. */
  private async segmentFor(octets: number): Promise<Segment> {
    const { current } = this;
    if (current !== null && current.end + octets <= this.limits.segmentBytes) return current;
    if (current !== null && current.end === FIRST_RECORD) return current;
    this.seal();
    const { files } = this.with;
    const first = this.next;
    const nonce = this.with.nonce();
    const name = segmentName(first, nonce);
    const file = await files.create(name);
    try {
      await file.write(SEGMENT_HEADER, 0);
    } catch (error) {
      await file.close().catch(() => undefined);
      await files.remove(name).catch(() => undefined);
      throw error;
    }
    const end = FIRST_RECORD;
    this.current = {
      ...{ name, first, nonce, file, end, next: first, untrimmed: 0, sealed: false, cursor: end },
      ...{ recovered: false, damaged: false },
    };
    this.with.opened(this.current);
    return this.current;
  }

  private seal(): void {
    if (this.current === null) return;
    this.current.sealed = true;
    this.current = null;
    this.with.sealed();
  }

  private failed(group: readonly Pending[], segment: Segment | null, error: unknown): void {
    const { clock, observer } = this.with;
    const text = `the spool can't be written: ${(error as Error).message}`;
    observer.problem(segment === null ? text : `${text}; ${segment.name} is given up`, error);
    this.seal();
    const again: Pending[] = [];
    for (const pending of group) {
      if (segment !== null && pending.failures++ < FAILURES_MAX) again.push(pending);
      else pending.settled({ kind: "refused", reason: "failed", text });
    }
    if (again.length === 0) {
      // No new segment helps: what waits becomes durable elsewhere, or is sent again by its meter.
      this.failure = text;
      this.retryAt = clock.monotonic() + this.limits.retryMs;
      for (const { settled } of this.pending.splice(0)) settled({ kind: "refused", reason: "failed", text });
    } else this.pending.unshift(...again);
  }
}

const octetsOf = (group: readonly Pending[]) =>
  group.reduce((sum, { payload }) => sum + recordOctets(payload), 0);
