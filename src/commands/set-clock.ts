import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";
import { changeAttribute } from "./attribute-change.ts";
import {
  type ClockReading,
  clockData,
  clockTime,
  compareClock,
  type MeterZone,
  type Now,
  readClock,
} from "./clock-reading.ts";
import type { CommandLog, CommandState } from "./command-log.ts";

/** Between which offsets a clock is set. */
export interface ClockLimits {
  /** A clock that is off by no more is left alone. Seconds. */
  readonly toleranceSeconds: number;
  /**
   * A clock that is off by more is not set without being told to: setting it moves or doubles load profile blocks, and it may be ours
   * that is wrong. Seconds.
   */
  readonly stepMaxSeconds: number;
}

export type ClockVerdict = "in-order" | "to-be-set" | "too-far" | "unspecified";

export function judgeClock({ offsetMs }: ClockReading, limits: ClockLimits): ClockVerdict {
  if (offsetMs === null) return "unspecified";
  const off = Math.abs(offsetMs);
  if (off <= limits.toleranceSeconds * 1000) return "in-order";
  return off <= limits.stepMaxSeconds * 1000 ? "to-be-set" : "too-far";
}

export interface ClockOutcome {
  readonly before: ClockReading;
  readonly verdict: ClockVerdict;
  /** What came of setting it; null: it was not set. */
  readonly set: {
    readonly state: CommandState;
    readonly reason: string | null;
    readonly after: ClockReading | null;
  } | null;
}

export interface ClockTask {
  readonly association: MeterAssociation;
  readonly zone: MeterZone;
  readonly limits: ClockLimits;
  readonly log: CommandLog;
  readonly now: Now;
  /** Also where the clock is too far off, or has no time at all. */
  readonly force: boolean;
}

/** Reads the clock, and sets it where it is off by more than the tolerance; every set is in the log with the time before and after. */
export async function keepClock(task: ClockTask): Promise<ClockOutcome> {
  const before = await readClock(task.association, task.zone, task.now);
  const verdict = judgeClock(before, task.limits);
  const set = verdict === "to-be-set" || (task.force && verdict !== "in-order");
  return { before, verdict, set: set ? await setClock(task, before) : null };
}

async function setClock(task: ClockTask, before: ClockReading): Promise<ClockOutcome["set"]> {
  const { association, log, now, limits } = task;
  const commandId = await log.begin({
    meterId: association.meterId,
    kind: "clock",
    clientSap: association.clientSap,
    requested: { offset_seconds: before.offsetMs === null ? null : before.offsetMs / 1000, ...snake(limits) },
  });
  let after: ClockReading | null = null;
  // The value is made at the last moment, for it is about when it arrives: half of the time that reading took from now.
  const sentMs = now();
  try {
    const end = await changeAttribute(association, log, commandId, {
      attribute: clockTime,
      before: before.data,
      value: clockData(sentMs + before.uncertaintyMs, task.zone, before),
      isAsMeant: (data) => {
        after = readingOf(data, task.zone, now());
        return after !== null && isSet(after, before, limits);
      },
    });
    await log.end(commandId, end.state, end.reason);
    return { state: end.state, reason: end.reason, after };
  } catch (error) {
    await log.end(commandId, "failed", (error as Error).message);
    throw error;
  }
}

const snake = (limits: ClockLimits) => ({
  tolerance_seconds: limits.toleranceSeconds,
  step_max_seconds: limits.stepMaxSeconds,
});

/** The clock just read back; when it was asked isn't known here, so that the offset is late by the way back. */
function readingOf(data: ClockReading["data"], zone: MeterZone, nowMs: number): ClockReading | null {
  try {
    return compareClock(data, zone, nowMs, nowMs);
  } catch (error) {
    if (error instanceof DataMismatch) return null;
    throw error;
  }
}

/** A second that the meter rounds away, and the time on the way, belong to what can't be told apart. */
const ROUNDING_MS = 1000;

function isSet(after: ClockReading, before: ClockReading, limits: ClockLimits): boolean {
  if (after.offsetMs === null) return false;
  const allowed = limits.toleranceSeconds * 1000 + ROUNDING_MS + 4 * before.uncertaintyMs;
  return Math.abs(after.offsetMs) <= allowed;
}
