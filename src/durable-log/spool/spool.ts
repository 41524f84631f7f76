import type { Clock } from "../../clock.ts";
import type { AppendOutcome, DurableLog, LogEntry, LogObserver, LogState } from "../durable-log.ts";
import { DrainedMark, readDrainedMark, writeDrainedMark } from "./drained-mark.ts";
import type { SpoolFiles } from "./files.ts";
import { SegmentReader } from "./reader.ts";
import { recordOctets } from "./record.ts";
import { type Recovered, recoverSegments } from "./recover.ts";
import { isRead, type Segment, type SyncedGroup } from "./segment.ts";
import { SegmentWriter, WRITER_LIMITS, type WriterLimits } from "./writer.ts";

export interface SpoolOptions {
  readonly files: SpoolFiles;
  readonly clock: Clock;
  readonly observer: LogObserver;
  /** Random, 0 … 2³²−1. */
  readonly nonce: () => number;
  /** Octets of all segments together. */
  readonly bytesMax: number;
  /** Called while opening for every record that is there, in order; `isDrained`: it is applied already. */
  readonly onRecovered?: (payload: Buffer, isDrained: boolean) => void;
  /**
   * Segments that are done with stay until `cover` says that what they tell is kept elsewhere; called when one waits for that. Absent: they
   * are removed at once.
   */
  readonly onRetained?: () => void;
  readonly limits?: Partial<WriterLimits>;
}

/** The local durable log, of which somebody may want to keep more than what is to be applied. */
export interface Spool extends DurableLog {
  /** Everything before it is applied. */
  drainedTo(): number;
  /** What stands before it is kept elsewhere: with `onRetained`, segments are removed up to there. */
  cover(position: number): void;
}

/** How often the file that says how far the spool is drained is written. */
const MARK_MS = 1_000;

/**
 * The local durable log: append-only segments, a CRC-32 a record, one fdatasync a group. Segments of earlier runs are only read; a
 * segment is removed when all that it holds is applied.
 */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const from = await readDrainedMark(options.files);
  const recovered = await recoverSegments(options, from);
  return new SegmentSpool(options, recovered, from);
}

class SegmentSpool implements Spool {
  readonly isShared = false;
  private readonly options: SpoolOptions;
  private readonly segments: Segment[];
  private readonly writer: SegmentWriter;
  private readonly reader: SegmentReader;
  private readonly mark: DrainedMark;
  private writtenMark: number;
  private markTimer: (() => void) | null = null;
  private underway: Promise<void> = Promise.resolve();
  /** Segments that end before it may be removed. */
  private covered: number;
  /** Octets that wait to be written. */
  private appending = 0;
  /** Of all segments. */
  private bytes = 0;
  private records = 0;
  /** Files are another process's by then: what is trimmed now is drained again at the next start, and recognised. */
  private closed = false;

  constructor(options: SpoolOptions, { segments, next }: Recovered, from: number) {
    const { files, clock, observer, nonce } = options;
    this.options = options;
    this.segments = segments;
    this.mark = new DrainedMark(Math.max(from, segments[0]?.first ?? next));
    this.writtenMark = from;
    this.covered = options.onRetained === undefined ? Number.POSITIVE_INFINITY : 0;
    this.reader = new SegmentReader({ segments, clock, observer, from });
    const opened = (segment: Segment) => void segments.push(segment);
    this.count();
    const grown = () => {
      this.count();
      this.reader.grown();
      this.sweep();
    };
    const synced = (group: SyncedGroup) => {
      this.reader.handOver(group);
      grown();
    };
    const surroundings = { files, clock, observer, nonce, opened, synced, sealed: grown };
    this.writer = new SegmentWriter(next, surroundings, { ...WRITER_LIMITS, ...options.limits });
  }

  append(payload: Buffer, _meterId: string, settled: (outcome: AppendOutcome) => void): void {
    const octets = recordOctets(payload);
    if (this.bytes + this.appending + octets > this.options.bytesMax) {
      const text = `the spool holds ${this.bytes} octets of ${this.options.bytesMax} (spool.bytes_max)`;
      this.options.clock.soon(() => settled({ kind: "refused", reason: "full", text }));
      return;
    }
    this.appending += octets;
    this.writer.append(payload, (outcome) => {
      this.appending -= octets;
      settled(outcome);
    });
  }

  read(max: number): Promise<readonly LogEntry[]> {
    return this.reader.read(max);
  }

  trim(positions: readonly number[]): void {
    for (const position of positions) {
      const segment = this.segmentOf(position);
      if (segment !== undefined) {
        segment.untrimmed--;
        this.records--;
      }
      this.mark.trimmed(position);
    }
    if (this.closed) return;
    this.sweep();
    this.markTimer ??= this.options.clock.after(MARK_MS, () => {
      this.markTimer = null;
      this.queue(() => this.writeMark());
    });
  }

  drainedTo(): number {
    return this.mark.sequence;
  }

  cover(position: number): void {
    this.covered = Math.max(this.covered, position);
    if (!this.closed) this.sweep();
  }

  state(): LogState {
    const { bytesMax } = this.options;
    return { records: this.records, bytes: this.bytes, bytesMax, condition: this.writer.trouble ?? "ok" };
  }

  async close(): Promise<void> {
    await this.writer.close();
    this.reader.close();
    this.markTimer?.();
    this.sweep();
    this.closed = true;
    this.queue(() => this.writeMark());
    await this.underway;
    for (const { file } of this.segments) await file.close();
  }

  private count(): void {
    this.bytes = this.segments.reduce((sum, { end }) => sum + end, 0);
    this.records = this.segments.reduce((sum, { untrimmed }) => sum + untrimmed, 0);
  }

  private segmentOf(position: number): Segment | undefined {
    return this.segments.findLast(({ first }) => first <= position);
  }

  /** Removes segments that are done with. */
  private sweep(): void {
    const isApplied = (one: Segment) => one.sealed && one.untrimmed <= 0 && isRead(one);
    const isDone = (one: Segment) => isApplied(one) && one.next <= this.covered;
    for (let at = this.segments.findIndex(isDone); at >= 0; at = this.segments.findIndex(isDone)) {
      const [segment] = this.segments.splice(at, 1);
      this.queue(() => this.remove(segment!));
      this.count();
      if (at === 0) this.mark.skipTo(this.segments[0]?.first ?? segment!.next);
    }
    if (this.segments.some(isApplied)) this.options.onRetained?.();
  }

  private async remove({ name, file, damaged }: Segment): Promise<void> {
    await file.close();
    if (damaged) await this.options.files.setAside(name);
    else await this.options.files.remove(name);
  }

  private async writeMark(): Promise<void> {
    const { sequence } = this.mark;
    if (sequence === this.writtenMark) return;
    await writeDrainedMark(this.options.files, sequence);
    this.writtenMark = sequence;
  }

  /** One thing after another, none in the way of the others. */
  private queue(work: () => Promise<void>): void {
    this.underway = this.underway
      .then(work)
      .catch((error: unknown) => this.options.observer.problem("the spool can't be tidied up", error));
  }
}
