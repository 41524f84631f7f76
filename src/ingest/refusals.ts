import type { RefusalReason } from "../refusal.ts";
import type { SecurityEvent, SecurityEventStore } from "../storage/ingest-stores.ts";
import type { Log } from "./dependencies.ts";
import type { IngestObserver } from "./observer.ts";

/** Rows of one minute; what comes from more sources than that is counted under one name. */
const ROWS_MAX = 2_000;
const SOURCE_OF_THE_REST = "many others";
/** Minutes kept while the database is away; older ones are only in the metrics then. */
const UNWRITTEN_MAX = 10_000;
const MINUTE_MS = 60_000;

interface Count {
  readonly reason: RefusalReason;
  readonly source: string;
  readonly minuteMs: number;
  readonly meterId: string | null;
  readonly text: string;
  count: number;
}

interface RefusalDependencies {
  readonly securityEvents: SecurityEventStore;
  readonly observer: IngestObserver;
  readonly log: Log;
  readonly now: () => number;
  readonly logLinesPerMinute: number;
}

/**
 * What was refused, summed up by source, reason and minute: a forged frame adds to a number and costs no write. `flush` writes
 * the sums; it is called every few seconds.
 */
export class Refusals {
  private readonly with: RefusalDependencies;
  private counts = new Map<string, Count>();
  private unwritten: SecurityEvent[] = [];
  private lines = new Map<string, number>();
  private linesMinute = 0;

  constructor(dependencies: RefusalDependencies) {
    this.with = dependencies;
  }

  add(source: string, reason: RefusalReason, text: string, meterId: string | null): void {
    const { observer, now } = this.with;
    observer.refused(reason);
    const minuteMs = Math.floor(now() / MINUTE_MS) * MINUTE_MS;
    const known = this.counts.get(`${source}|${reason}|${minuteMs}`);
    if (known === undefined) this.addFirst(source, reason, text, meterId, minuteMs);
    else known.count++;
    this.logLine(source, reason, text, minuteMs);
  }

  private addFirst(
    source: string,
    reason: RefusalReason,
    text: string,
    meterId: string | null,
    minuteMs: number,
  ): void {
    const crowded = this.counts.size >= ROWS_MAX;
    const name = crowded ? SOURCE_OF_THE_REST : source;
    const key = `${name}|${reason}|${minuteMs}`;
    const rest = this.counts.get(key);
    if (rest !== undefined) rest.count++;
    else
      this.counts.set(key, {
        source: name,
        reason,
        minuteMs,
        meterId: crowded ? null : meterId,
        text,
        count: 1,
      });
  }

  private logLine(source: string, reason: RefusalReason, text: string, minuteMs: number): void {
    if (minuteMs !== this.linesMinute) this.nextMinute(minuteMs);
    const lines = (this.lines.get(source) ?? 0) + 1;
    if (this.lines.size < ROWS_MAX || lines > 1) this.lines.set(source, lines);
    if (lines <= this.with.logLinesPerMinute) this.with.log.warn({ source, reason }, text);
  }

  /** Says how many lines about a source were not written in the minute before. */
  private nextMinute(minuteMs: number): void {
    for (const [source, lines] of this.lines) {
      const dropped = lines - this.with.logLinesPerMinute;
      if (dropped > 0)
        this.with.log.warn({ source, dropped }, "more was refused from this source in one minute");
    }
    this.lines = new Map();
    this.linesMinute = minuteMs;
  }

  /** Writes what has come together. Where the database is away it is tried again the next time. */
  async flush(): Promise<void> {
    for (const count of this.counts.values()) this.unwritten.push({ ...count });
    this.counts = new Map();
    const events = this.unwritten.slice(-UNWRITTEN_MAX);
    this.unwritten = [];
    if (events.length === 0) return;
    try {
      await this.with.securityEvents.record(events);
    } catch (error) {
      this.unwritten = [...events, ...this.unwritten];
      this.with.log.debug({ err: error }, "security events could not be written yet");
    }
  }
}
