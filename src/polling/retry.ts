import type { ClaimedPoll, Retry } from "../storage/poll-tasks.ts";
import type { PollFailure } from "./meter-association.ts";
import type { ReadingFailure } from "./reading-error.ts";

/** Why a poll came to nothing. `storage`: the database was away; `fault`: an error of ours. */
export type PollResult = "applied" | PollFailure | ReadingFailure | "storage" | "fault";

export const POLL_RESULTS: readonly PollResult[] = [
  "applied",
  "not-configured",
  "key-missing",
  "unreachable",
  "timeout",
  "connection-lost",
  "association-refused",
  "hls-failed",
  "protocol",
  "counter",
  "limit",
  "aborted",
  "refused",
  "unmappable",
  "storage",
  "fault",
];

/** Trying again changes nothing before somebody has changed something. */
const HOPELESS: ReadonlySet<PollResult> = new Set([
  "not-configured",
  "key-missing",
  "hls-failed",
  "unmappable",
]);

/** Longest pause between two attempts. */
const BACK_OFF_MAX_MS = 3_600_000;
/** Each retry stands this much further behind what is due for the first time. */
const STEP_BACK = 1;
/** Of a pause, so much more or less: meters that failed together don't come back together. */
const JITTER = 0.25;

/** When a poll that failed is tried again; null: it is given up. `random` is between 0 and 1. */
export function retryOf(poll: ClaimedPoll, result: PollResult, nowMs: number, random: number): Retry | null {
  // The daemon stops: another one, or the next start, makes this attempt.
  if (result === "aborted") return { startAtMs: nowMs, priority: poll.priority, givenBack: true };
  if (HOPELESS.has(result) || poll.attempt > poll.retryMax) return null;
  const pauseMs = Math.min(poll.retryDelaySeconds * 1_000 * 2 ** (poll.attempt - 1), BACK_OFF_MAX_MS);
  const spreadMs = pauseMs * JITTER * (2 * random - 1);
  return { startAtMs: Math.round(nowMs + pauseMs + spreadMs), priority: poll.priority - STEP_BACK };
}
