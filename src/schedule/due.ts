import type { CronTimes } from "./cron-times.ts";

/** What becomes of runs that passed while nobody was there to fire them. */
export type MissedRuns =
  /** One run, the latest, stands for all of them. */
  | "collapse"
  /** Each is made up for. */
  | "all"
  /** They are left out, unless the latest is still within its window. */
  | "skip";

/** A schedule as far as the question goes of what is due. */
export interface TimedSchedule {
  readonly times: CronTimes;
  readonly missedRuns: MissedRuns;
  /** How late a run may start, in milliseconds; null: as late as it comes. */
  readonly windowMs: number | null;
  /** Runs until then, inclusive, are fired or not owed. Milliseconds since 1970 UTC. */
  readonly firedUntilMs: number;
}

/** A run that is to be fired now. */
export interface Firing {
  /** When it was due: with the schedule the key that keeps it from being fired twice. */
  readonly dueAtMs: number;
  /** Earlier runs that it stands for. */
  readonly missed: number;
}

export interface Due {
  readonly firings: readonly Firing[];
  /** What `firedUntilMs` is afterwards; unchanged where nothing was due. */
  readonly firedUntilMs: number;
}

/** A mark this far ahead of the clock means that the clock was set back; less is the difference between two daemons' clocks. */
export const CLOCK_STEP_MS = 60_000;
/** How late a run of a schedule without a window may be before it counts as missed where missed runs are skipped. */
const PUNCTUAL_MS = 300_000;
/** Runs that are made up for at once where every missed run is; older ones are counted as missed. */
const MADE_UP_MAX = 1_000;
/** Longer ago is not looked for: nobody owes a run of last year. */
const LOOK_BACK_MS = 400 * 86_400_000;

/**
 * What is due at this instant. Nothing is remembered here: the mark says what was fired, so lost ticks, restarts and long pauses only make
 * the interval longer that is looked through. Where the clock was set back, the mark goes back with it, and the key (schedule, due_at)
 * keeps what was fired from being fired again, while what never was is fired when its time really comes.
 */
export function dueNow(schedule: TimedSchedule, nowMs: number): Due {
  const { times, missedRuns, firedUntilMs } = schedule;
  if (firedUntilMs > nowMs) {
    const setBack = firedUntilMs - nowMs > CLOCK_STEP_MS;
    return { firings: [], firedUntilMs: setBack ? nowMs : firedUntilMs };
  }
  const runs = times.between(Math.max(firedUntilMs, nowMs - LOOK_BACK_MS), nowMs);
  const latest = runs.at(-1);
  if (latest === undefined) return { firings: [], firedUntilMs };
  if (missedRuns === "all") {
    const madeUp = runs.slice(-MADE_UP_MAX);
    const left = runs.length - madeUp.length;
    const firings = madeUp.map((dueAtMs, index) => ({ dueAtMs, missed: index === 0 ? left : 0 }));
    return { firings, firedUntilMs: nowMs };
  }
  const tooLate = missedRuns === "skip" && nowMs - latest > (schedule.windowMs ?? PUNCTUAL_MS);
  const firings = tooLate ? [] : [{ dueAtMs: latest, missed: runs.length - 1 }];
  return { firings, firedUntilMs: nowMs };
}
