import type { Clock } from "../../clock.ts";
import type { LogEntry, LogObserver } from "../durable-log.ts";
import { parseRecords, RECORD_OCTETS_MAX, recordOctets } from "./record.ts";
import { isRead, type Segment, type SyncedGroup } from "./segment.ts";

/** Read at once; a record that is longer is read whole. */
const CHUNK_OCTETS = 256 << 10;
/** Octets of records that are kept in memory until they are read; beyond, they are read from their file. */
const HANDED_OVER_OCTETS_MAX = 4 << 20;
/** After the disk refused to be read. */
const RETRY_MS = 1_000;

export interface ReaderSurroundings {
  /** Oldest first. */
  readonly segments: readonly Segment[];
  readonly clock: Clock;
  readonly observer: LogObserver;
  /** Records before this were applied before the spool was opened. */
  readonly from: number;
}

/**
 * Reads what is safe, in order: from the files, or, where everything before it was read, as the writer hands it over, which saves reading back
 * what has just been written.
 */
export class SegmentReader {
  private readonly with: ReaderSurroundings;
  private readonly handedOver: LogEntry[] = [];
  private handedOverOctets = 0;
  private wake: (() => void) | null = null;
  private closed = false;

  constructor(surroundings: ReaderSurroundings) {
    this.with = surroundings;
  }

  /** There is more to read. */
  grown(): void {
    this.wake?.();
  }

  /** Takes over a group where it is the next to be read, and there is room. */
  handOver({ segment, from, first, records }: SyncedGroup): void {
    const isNext = this.with.segments.every((one) => (one === segment ? one.cursor === from : isRead(one)));
    const octets = segment.end - from;
    if (!isNext || this.handedOverOctets + octets > HANDED_OVER_OCTETS_MAX) return;
    for (let i = 0; i < records.length; i++) {
      this.handedOver.push({ position: first + i, payload: records[i]!.payload, again: false, epoch: 0 });
    }
    this.handedOverOctets += octets;
    segment.cursor = segment.end;
  }

  close(): void {
    this.closed = true;
    this.wake?.();
  }

  async read(max: number): Promise<readonly LogEntry[]> {
    while (!this.closed) {
      if (this.handedOver.length > 0) return this.takeHandedOver(max);
      const segment = this.with.segments.find((one) => !isRead(one));
      if (segment === undefined) {
        await this.more();
        continue;
      }
      const entries = await this.readFrom(segment, max).catch((error: unknown) =>
        this.unreadable(segment, error),
      );
      if (entries.length > 0) return entries;
    }
    return [];
  }

  /** All of it at once, as a rule. */
  private takeHandedOver(max: number): readonly LogEntry[] {
    const taken = this.handedOver.splice(0, max);
    for (const { payload } of taken) this.handedOverOctets -= recordOctets(payload);
    return taken;
  }

  private more(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = null;
        resolve();
      };
    });
  }

  private async readFrom(segment: Segment, max: number): Promise<LogEntry[]> {
    const { end, cursor, nonce } = segment;
    let parsed = { records: [], next: 0, damaged: 0 } as ReturnType<typeof parseRecords>;
    for (const octets of [CHUNK_OCTETS, RECORD_OCTETS_MAX]) {
      const chunk = Buffer.allocUnsafe(Math.min(octets, end - cursor));
      const got = await segment.file.read(chunk, cursor);
      // A file that is shorter than what was written to it has lost its end.
      const isEnd = cursor + got >= end || got < chunk.length;
      parsed = parseRecords(chunk.subarray(0, got), nonce, max, isEnd);
      if (got < chunk.length && parsed.next === got)
        parsed = { ...parsed, next: chunk.length, damaged: chunk.length - got };
      if (parsed.next > 0) break;
    }
    segment.cursor = cursor + parsed.next;
    if (parsed.damaged > 0 && !segment.recovered) this.damaged(segment, parsed.damaged);
    return parsed.records
      .filter(({ sequence }) => sequence >= this.with.from)
      .map(({ sequence, payload }) => ({
        ...{ position: sequence, payload, again: segment.recovered, epoch: 0 },
      }));
  }

  /** Records that were safe can't be read any more: what is left of the segment is kept for somebody to look at. */
  private damaged(segment: Segment, octets: number): void {
    segment.damaged = true;
    const text = `${octets} octets of ${segment.name} have changed since they were written`;
    this.with.observer.problem(text, new Error(text));
  }

  private async unreadable(segment: Segment, error: unknown): Promise<LogEntry[]> {
    this.with.observer.problem(`${segment.name} can't be read; it is tried again`, error);
    await new Promise<void>((resolve) => this.with.clock.after(RETRY_MS, resolve));
    return [];
  }
}
