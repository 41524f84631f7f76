import { describeRefusal } from "../dlms/association/requests.ts";
import { clock } from "../dlms/cosem/classes/clock.ts";
import { dateTime } from "../dlms/cosem/classes/data-strings.ts";
import { attributeOf, attributeValue } from "../dlms/cosem/classes/interface-class.ts";
import { obisOf } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data-types.ts";
import { type CosemDateTime, dateTimeAt, toEpochMs, type ZoneRule } from "../dlms/encoding/date-time.ts";
import { utcOffsetMinutes } from "../mapping/zone.ts";
import type { MeterAssociation } from "../polling/meter-association.ts";

/** What must be known of a meter to understand its clock, and to set it. */
export interface MeterZone {
  /** IANA name. */
  readonly timeZone: string;
  readonly rule: ZoneRule;
}

/** A meter's clock against ours. */
export interface ClockReading {
  /** As the meter gave it. */
  readonly data: Data;
  readonly time: CosemDateTime;
  /** Milliseconds that the meter is ahead of us, behind where negative; null: its time is unspecified or none that exists. */
  readonly offsetMs: number | null;
  /** The offset may be wrong by so much: half of the time that reading took. */
  readonly uncertaintyMs: number;
}

const CLOCK = obisOf(0, 0, 1, 0, 0, 255);

/** Milliseconds since 1970 UTC, as true as this machine's clock. */
export type Now = () => number;

export class ClockUnreadable extends Error {
  constructor(reason: string) {
    super(`the meter's clock could not be read: ${reason}`);
    this.name = "ClockUnreadable";
  }
}

/** Reads the clock; the offset counts from the middle between question and answer. @throws ClockUnreadable, PollError, DataMismatch */
export async function readClock(
  association: MeterAssociation,
  zone: MeterZone,
  now: Now,
): Promise<ClockReading> {
  const askedMs = now();
  const [outcome] = await association.read([{ attribute: attributeOf(clock, CLOCK, "time") }]);
  const answeredMs = now();
  if (outcome!.kind !== "data") throw new ClockUnreadable(describeRefusal(outcome!));
  return compareClock(outcome!.value, zone, askedMs, answeredMs);
}

/** @throws DataMismatch where the Data is no time */
export function compareClock(
  data: Data,
  { rule }: MeterZone,
  askedMs: number,
  answeredMs: number,
): ClockReading {
  const time = attributeValue(clock, "time", data);
  const meterMs = toEpochMs(time, rule);
  return {
    data,
    time,
    offsetMs: meterMs === null ? null : meterMs - (askedMs + answeredMs) / 2,
    uncertaintyMs: Math.max(0, answeredMs - askedMs) / 2,
  };
}

/**
 * The Data to be written so that the clock shows `epochMs`: in the meter's zone, and in the form in which the meter gave its time, which is
 * with or without deviation and hundredths, and in the sign that it uses.
 */
export function clockData(epochMs: number, { timeZone, rule }: MeterZone, like: ClockReading): Data {
  const hasHundredths = like.time.hundredths !== null;
  const ms = hasHundredths ? epochMs : Math.round(epochMs / 1000) * 1000;
  const offset = utcOffsetMinutes(timeZone, ms);
  const deviation = rule.deviationSign === "standard" ? -offset : offset;
  const time = dateTimeAt(ms, like.time.deviation === null ? null : deviation, offset);
  const written: CosemDateTime = {
    ...time,
    dayOfWeek: like.time.dayOfWeek === null ? null : time.dayOfWeek,
    hundredths: hasHundredths ? time.hundredths : null,
    clockStatus: like.time.clockStatus === null ? null : daylightSaving(timeZone, ms) ? DAYLIGHT_SAVING : 0,
  };
  const octetString = dateTime.write(written);
  return like.data.type === "date-time"
    ? { type: "date-time", value: octetString.value as Buffer }
    : octetString;
}

const DAYLIGHT_SAVING = 0x80;
const HALF_A_YEAR_MS = 182 * 86_400_000;

/** Whether the zone's clocks are put forward then, against the other half of the year. */
function daylightSaving(timeZone: string, ms: number): boolean {
  const offset = utcOffsetMinutes(timeZone, ms);
  return [-HALF_A_YEAR_MS, HALF_A_YEAR_MS].some((away) => utcOffsetMinutes(timeZone, ms + away) < offset);
}

export const clockTime = attributeOf(clock, CLOCK, "time");
