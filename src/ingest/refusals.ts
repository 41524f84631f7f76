import type { RefusalReason } from "../refusal.ts";
import type { SecurityEvent, SecurityEventStore } from "../storage/ingest-stores.ts";
import type { Log } from "./dependencies.ts";
import type { IngestObserver } from "./observer.ts";

/** Sources that are told apart in one minute; what comes from more than that is counted, and logged, under one name. */
const SOURCES_MAX = 2_000;
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
  /** Sources of this minute, and the lines about each that were written or would have been. */
  private lines = new Map<string, number>();
  private minuteMs = 0;

  constructor(dependencies: RefusalDependencies) {
    this.with = dependencies;
  }

  add(source: string, reason: RefusalReason, text: string, meterId: string | null): void {
    const { observer, now } = this.with;
    observer.refused(reason);
    const minuteMs = Math.floor(now() / MINUTE_MS) * MINUTE_MS;
    if (minuteMs !== this.minuteMs) this.nextMinute(minuteMs);
    const isToldApart = this.lines.has(source) || this.lines.size < SOURCES_MAX;
    const name = isToldApart ? source : SOURCE_OF_THE_REST;
    this.logLine(name, reason, text);
    const key = `${name}|${reason}|${minuteMs}`;
    const known = this.counts.get(key);
    if (known !== undefined) known.count++;
    else {
      const meter = isToldApart ? meterId : null;
      this.counts.set(key, { source: name, reason, minuteMs, meterId: meter, text, count: 1 });
    }
  }

  private logLine(source: string, reason: RefusalReason, text: string): void {
    const lines = (this.lines.get(source) ?? 0) + 1;
    this.lines.set(source, lines);
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
    this.minuteMs = minuteMs;
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
