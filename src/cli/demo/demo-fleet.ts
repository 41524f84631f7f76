import type { Clock } from "../../../simulator/clock.ts";
import { Fleet } from "../../../simulator/fleet.ts";
import { beforeMonthEnd, INDIA } from "../../../simulator/local-time.ts";
import type { SocketAddress } from "../../transports/address.ts";

export interface DemoFleetOptions {
  readonly meters: number;
  /** How much faster the meters' clocks run. */
  readonly speed: number;
  readonly target: SocketAddress;
  /** Milliseconds since 1970 UTC: captures that are there already end here; null: there are none. */
  readonly capturedUntil: number | null;
  readonly now: number;
}

/** Two hours of the meters' time before a month ends: blocks at once, then a midnight, then the billing date. */
const LEAD_MS = 2 * 3_600_000;
/** Counters begin at tenths of seconds since then: no meter pushes ten times a second for long. */
const COUNTERS_SINCE = Date.UTC(2026, 0, 1);
/** Share of block load pushes. */
const HOLES = 0.06;
const DAY_MS = 86_400_000;
/** With months of the past to live through, their clocks don't reach the present soon. */
const PAST_DAYS = 90;

/** A fleet whose clocks begin before the end of a past month and run fast, until they reach the present. */
export function demoFleet(options: DemoFleetOptions): { fleet: Fleet; clock: Clock } {
  const startsAt = startOf(options);
  const clock = fastClock(startsAt, options.speed, Date.now);
  const fleet = new Fleet({
    meters: options.meters,
    models: ["D1", "D2", "D3"],
    seed: 59,
    target: { host: options.target.host, port: options.target.port },
    clock,
    schedule: { instantSeconds: 900, blockPushSeconds: 3_600, incidentsPerDay: 8, history: true },
    spreadSeconds: 600,
    // Captured, and kept back: what polls have to find out and read.
    holes: HOLES,
    // Above every counter of an earlier run on the same database.
    firstCounter: Math.floor((options.now - COUNTERS_SINCE) / 100),
  });
  return { fleet, clock };
}

function startOf({ capturedUntil, now }: DemoFleetOptions): number {
  const first = beforeMonthEnd(INDIA, now - PAST_DAYS * DAY_MS, LEAD_MS);
  if (capturedUntil === null || capturedUntil < first) return first;
  // Captures of an earlier run stay as they are: this one begins at the month end after them.
  for (let day = 1; capturedUntil + day * DAY_MS < now; day++) {
    const next = beforeMonthEnd(INDIA, capturedUntil + day * DAY_MS, LEAD_MS);
    if (next > capturedUntil) return next;
  }
  return Math.max(capturedUntil, now - LEAD_MS);
}

/** Runs `speed` times as fast as time from `startMs` on once it is started, and never ahead of it. */
export function fastClock(startMs: number, speed: number, realNow: () => number): Clock {
  let startedAt: number | null = null;
  const now = () =>
    startedAt === null ? startMs : Math.min(realNow(), startMs + (realNow() - startedAt) * speed);
  return {
    start: () => {
      startedAt ??= realNow();
    },
    now,
    realMsUntil: (instantMs) => Math.max((instantMs - now()) / speed, instantMs - realNow()),
  };
}
