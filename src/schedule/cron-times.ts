import { Cron } from "croner";
import { Temporal } from "temporal-polyfill";

/**
 * The instants at which a cron expression is due in a time zone.
 *
 * croner only walks along the wall clock, on a time line without daylight saving; which instants those times are is decided here, between
 * two changes of the zone's offset at a time, so that no change loses or doubles a run:
 *
 * - An expression whose hours begin with an asterisk (every quarter of an hour, every six hours) speaks of real time: it is due whenever
 *   the wall clock shows its time, in both passes of an hour that comes twice, and not in an hour that is skipped.
 * - Every other expression speaks of the day (`30 2 * * *`): it is due once a day. A time that comes twice counts the first time; a time
 *   that is skipped is due at the moment when the clock is put forward.
 */
export class CronTimes {
  readonly expression: string;
  readonly zone: string;
  private readonly wallClock: Cron;
  private readonly speaksOfDays: boolean;

  /** @throws CronError for an expression or a zone that there is not */
  constructor(expression: string, zone: string) {
    this.expression = expression;
    this.zone = zone;
    try {
      this.wallClock = new Cron(expression, { timezone: "Etc/UTC", paused: true });
    } catch (error) {
      throw new CronError(`"${expression}" is no cron expression: ${(error as Error).message}`);
    }
    try {
      Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    } catch {
      throw new CronError(`there is no time zone "${zone}"; write an IANA name such as Asia/Kolkata`);
    }
    const fields = this.wallClock.getPattern()!.trim().split(/\s+/);
    const hours = fields.length === 5 ? fields[1]! : fields[2]!;
    this.speaksOfDays = !hours.startsWith("*");
  }

  /** Milliseconds since 1970 UTC in `(afterMs, untilMs]`, ascending. */
  between(afterMs: number, untilMs: number): number[] {
    return [...this.walk(afterMs, untilMs)];
  }

  /** The first after `afterMs`; null where none comes within eleven years. */
  next(afterMs: number): number | null {
    for (let days = 1; days <= NEXT_DAYS_MAX; days *= 4) {
      const first = this.walk(afterMs, afterMs + days * DAY_MS).next();
      if (!first.done) return first.value;
    }
    return null;
  }

  private *walk(afterMs: number, untilMs: number): Generator<number, void> {
    for (const span of spansOfOneOffset(this.zone, afterMs, untilMs)) {
      for (const at of this.within(span)) if (at > afterMs && at <= untilMs) yield at;
    }
  }

  private *within({ fromMs, untilMs, offsetMs, changeMs }: Span): Generator<number> {
    let wallMs = fromMs + offsetMs;
    // Shown a second time: what was due then was due the first time.
    if (this.speaksOfDays && changeMs < 0) wallMs -= changeMs;
    // Skipped just now: one run for all of them, and for one that is due at this moment anyway.
    if (this.speaksOfDays && changeMs > 0) {
      const first = this.nextOnWall(wallMs - changeMs);
      if (first !== null && first < wallMs) {
        yield fromMs;
        wallMs += 1;
      }
    }
    for (let at = this.nextOnWall(wallMs); at !== null; at = this.nextOnWall(at + 1)) {
      if (at - offsetMs >= untilMs) return;
      yield at - offsetMs;
    }
  }

  /** The first time at or after `wallMs`, a wall clock's time written as if it were UTC. */
  private nextOnWall(wallMs: number): number | null {
    return this.wallClock.nextRun(new Date(wallMs - 1))?.getTime() ?? null;
  }
}

/** What is written where a time or a zone should be is none. */
export class CronError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CronError";
  }
}

/** A stretch of time, `fromMs` to before `untilMs`, in which a zone keeps one offset. */
interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly offsetMs: number;
  /** How far the clock was put forward at `fromMs` (negative: back); 0 where the span only begins with what was asked for. */
  readonly changeMs: number;
}

const DAY_MS = 86_400_000;
const NEXT_DAYS_MAX = 4_096;
/** Begun this much earlier: what a clock shows twice must be known to have been shown once. */
const LOOK_BACK_MS = DAY_MS;

function* spansOfOneOffset(zone: string, afterMs: number, lastMs: number): Generator<Span> {
  let at = instant(afterMs - LOOK_BACK_MS).toZonedDateTimeISO(zone);
  let changeMs = 0;
  for (;;) {
    const next = at.getTimeZoneTransition("next");
    const nextMs = next?.epochMilliseconds ?? Number.POSITIVE_INFINITY;
    const offsetMs = at.offsetNanoseconds / 1e6;
    const fromMs = changeMs === 0 ? Math.max(at.epochMilliseconds, afterMs) : at.epochMilliseconds;
    if (nextMs > afterMs) yield { fromMs, untilMs: Math.min(nextMs, lastMs + 1), offsetMs, changeMs };
    if (next === null || nextMs > lastMs) return;
    changeMs = next.offsetNanoseconds / 1e6 - offsetMs;
    at = next;
  }
}

const instant = (ms: number): Temporal.Instant => Temporal.Instant.fromEpochMilliseconds(ms);
