import { rowsBetween } from "../dlms/cosem/selective-access.ts";
import { type CosemDateTime, dateTimeAt } from "../dlms/encoding/date-time.ts";
import { utcOffsetMinutes, zoneOfMeter } from "../mapping/zone.ts";
import type { KnownProfile } from "../storage/model-profiles.ts";
import type { ClaimedPoll, PolledMeter } from "../storage/poll-tasks.ts";
import type { PollSurroundings } from "./poll-session.ts";
import type { ProfileBuffer, RefusedRows } from "./profile-buffer.ts";
import type { ReadPart } from "./read-part.ts";

const DAY_MS = 86_400_000;
const HALF_HOUR_MS = 1_800_000;
/** A meter's clock may run ahead of ours; what it has captured by it is wanted too. */
const AHEAD_MS = 3_600_000;

/** Captures that are wanted, both ends included, in milliseconds since 1970 UTC. */
export interface ProfileSpan {
  readonly fromMs: number;
  readonly untilMs: number;
  /** Between two captures, as the meter tells, else as such profiles mostly have it. */
  readonly periodMs: number;
}

/** What the poll names; else everything behind the newest stored capture, as far as the meter's memory reaches. */
export async function spanOf(
  poll: ClaimedPoll,
  { capturePeriodSeconds, profileEntries }: KnownProfile,
  kind: "block" | "daily",
  { now, newest, firstReadMs }: PollSurroundings,
): Promise<ProfileSpan> {
  const usualMs = kind === "daily" ? DAY_MS : HALF_HOUR_MS;
  const periodMs = capturePeriodSeconds ? capturePeriodSeconds * 1_000 : usualMs;
  if (poll.range !== null) return { ...poll.range, periodMs };
  const untilMs = now() + AHEAD_MS;
  const memoryMs = profileEntries ? profileEntries * periodMs : Number.POSITIVE_INFINITY;
  const stored = await newest(poll.meter.id, kind);
  const wantedMs = stored === null ? untilMs - firstReadMs : stored + 1_000;
  return { fromMs: Math.max(wantedMs, untilMs - AHEAD_MS - memoryMs), untilMs, periodMs };
}

/** The rows of a span by range of time, step by step. Returns the meter's refusal of the first range; null: it gave rows. */
export async function* rowsByRange(
  buffer: ProfileBuffer,
  { fromMs, untilMs, periodMs }: ProfileSpan,
  { zone, stepRowsMax }: PollSurroundings,
): AsyncGenerator<ReadPart, RefusedRows | null> {
  const stepMs = stepRowsMax * periodMs;
  for (let at = fromMs; at <= untilMs; at += stepMs) {
    // Both ends are included: the next step begins a second later.
    const until = Math.min(at + stepMs - 1_000, untilMs);
    const part = await buffer.read(
      rowsBetween(clockTime(at, buffer.meter, zone), clockTime(until, buffer.meter, zone)),
    );
    if ("rows" in part) yield part;
    else if (at === fromMs) return part;
    else throw buffer.refusal(part);
  }
  return null;
}

/** An instant as the meter's clock shows it; with the deviation it says which one it is also where an hour comes twice. */
function clockTime(ms: number, meter: PolledMeter, zone: string): CosemDateTime {
  const offset = utcOffsetMinutes(zoneOfMeter(meter, zone), ms);
  return dateTimeAt(ms, meter.deviationSign === "standard" ? -offset : offset, offset);
}
