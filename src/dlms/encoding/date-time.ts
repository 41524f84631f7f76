import { DecodeError } from "../bytes/errors.ts";

/**
 * The twelve octets of a COSEM date-time:
 *
 *     year 2 · month 1 · day of month 1 · day of week 1 · hour 1 · minute 1 · second 1 · hundredths 1 ·
 *     deviation 2 · clock status 1
 *
 * FF (year FFFF, deviation 8000) means unspecified. Month FD is the end and FE the begin of daylight saving; day FD is
 * the second last and FE the last of the month. A date is the first five octets, a time the four after them.
 *
 * Example: 07EA 07 18 FF 0A 0F 1E 00 FEB6 00 is 2026-07-24 10:15:30, 330 minutes before UTC is reached (India).
 */
export interface CosemDateTime {
  /** null: unspecified, here and below. */
  readonly year: number | null;
  /** 1–12; 0xFD daylight saving end, 0xFE daylight saving begin. */
  readonly month: number | null;
  /** 1–31; 0xFD second last, 0xFE last day of the month. */
  readonly dayOfMonth: number | null;
  /** 1 Monday … 7 Sunday. */
  readonly dayOfWeek: number | null;
  readonly hour: number | null;
  readonly minute: number | null;
  readonly second: number | null;
  readonly hundredths: number | null;
  /** Minutes as sent. By the standard UTC minus local time; some meters send local time minus UTC. */
  readonly deviation: number | null;
  /** Bits: 0 invalid value, 1 doubtful value, 2 different clock base, 3 invalid status, 7 daylight saving. */
  readonly clockStatus: number | null;
}

/** How local times without, or with an odd, deviation become UTC. */
export interface ZoneRule {
  /** "standard": deviation is UTC − local. "reversed": local − UTC. */
  readonly deviationSign: "standard" | "reversed";
  /**
   * Minutes east of UTC at a local wall-clock time given as if it were UTC; used where no deviation was sent.
   * @param daylightSaving what the clock status says, which tells two hours of the same name apart; null: nothing
   */
  offsetMinutesAt(localMs: number, daylightSaving: boolean | null): number;
}

export const DATE_TIME_OCTETS = 12;

const MS_PER_MINUTE = 60_000;
/** Beyond ±14 hours a deviation can't be one; it is taken as unspecified. */
const DEVIATION_MAX = 840;
const DEVIATION_UNSPECIFIED = -0x8000;
/** Bit of the clock status. */
const DAYLIGHT_SAVING = 0x80;

/** Throws DecodeError "truncated" where fewer than twelve octets are there; any octets are a value. */
export function readDateTime(octets: Buffer, offset: number): CosemDateTime {
  requireOctets(octets, offset, DATE_TIME_OCTETS);
  const year = (octets[offset]! << 8) | octets[offset + 1]!;
  const deviation = ((octets[offset + 9]! << 24) >> 16) | octets[offset + 10]!;
  return {
    year: year === 0xffff ? null : year,
    month: specified(octets[offset + 2]!),
    dayOfMonth: specified(octets[offset + 3]!),
    dayOfWeek: specified(octets[offset + 4]!),
    hour: specified(octets[offset + 5]!),
    minute: specified(octets[offset + 6]!),
    second: specified(octets[offset + 7]!),
    hundredths: specified(octets[offset + 8]!),
    deviation: deviation === DEVIATION_UNSPECIFIED ? null : deviation,
    clockStatus: specified(octets[offset + 11]!),
  };
}

/** Five octets: year, month, day of month, day of week. Throws DecodeError "truncated". */
export function readDate(octets: Buffer, offset: number): CosemDateTime {
  requireOctets(octets, offset, 5);
  const year = (octets[offset]! << 8) | octets[offset + 1]!;
  return {
    ...UNSPECIFIED,
    year: year === 0xffff ? null : year,
    month: specified(octets[offset + 2]!),
    dayOfMonth: specified(octets[offset + 3]!),
    dayOfWeek: specified(octets[offset + 4]!),
  };
}

/** Four octets: hour, minute, second, hundredths. Throws DecodeError "truncated". */
export function readTime(octets: Buffer, offset: number): CosemDateTime {
  requireOctets(octets, offset, 4);
  return {
    ...UNSPECIFIED,
    hour: specified(octets[offset]!),
    minute: specified(octets[offset + 1]!),
    second: specified(octets[offset + 2]!),
    hundredths: specified(octets[offset + 3]!),
  };
}

/** The twelve octets of a date-time. */
export function writeDateTime(dateTime: CosemDateTime): Buffer {
  const octets = Buffer.alloc(DATE_TIME_OCTETS);
  octets.writeUInt16BE(dateTime.year ?? 0xffff, 0);
  octets[2] = dateTime.month ?? 0xff;
  octets[3] = dateTime.dayOfMonth ?? 0xff;
  octets[4] = dateTime.dayOfWeek ?? 0xff;
  octets[5] = dateTime.hour ?? 0xff;
  octets[6] = dateTime.minute ?? 0xff;
  octets[7] = dateTime.second ?? 0xff;
  octets[8] = dateTime.hundredths ?? 0xff;
  octets.writeInt16BE(dateTime.deviation ?? DEVIATION_UNSPECIFIED, 9);
  octets[11] = dateTime.clockStatus ?? 0xff;
  return octets;
}

/** The five octets of a date; what isn't part of one is left out. */
export function writeDate(date: CosemDateTime): Buffer {
  return writeDateTime(date).subarray(0, 5);
}

/** The four octets of a time; what isn't part of one is left out. */
export function writeTime(time: CosemDateTime): Buffer {
  return writeDateTime(time).subarray(5, 9);
}

/** The local date and time at `epochMs` with the deviation as it is to be sent, in the standard's sign. */
export function dateTimeAt(epochMs: number, deviation: number | null, offsetMinutes: number): CosemDateTime {
  const local = new Date(epochMs + offsetMinutes * MS_PER_MINUTE);
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth() + 1,
    dayOfMonth: local.getUTCDate(),
    dayOfWeek: local.getUTCDay() === 0 ? 7 : local.getUTCDay(),
    hour: local.getUTCHours(),
    minute: local.getUTCMinutes(),
    second: local.getUTCSeconds(),
    hundredths: Math.floor(local.getUTCMilliseconds() / 10),
    deviation,
    clockStatus: 0,
  };
}

/**
 * Milliseconds since 1970 UTC, or null where year, month, day, hour or minute is unspecified or none that exists.
 * Unspecified seconds and hundredths count as zero; the day of week is never looked at.
 */
export function toEpochMs(dateTime: CosemDateTime, zone: ZoneRule): number | null {
  const { year, month, dayOfMonth, hour, minute, deviation } = dateTime;
  if (year === null || month === null || dayOfMonth === null || hour === null || minute === null) return null;
  const second = dateTime.second ?? 0;
  const hundredths = dateTime.hundredths ?? 0;
  const localMs = localMsOf(year, month, dayOfMonth, hour, minute, second, hundredths);
  return localMs === null
    ? null
    : toUtc(localMs, deviation ?? DEVIATION_UNSPECIFIED, dateTime.clockStatus ?? 0xff, zone);
}

/** toEpochMs(readDateTime(octets, offset), zone) without the object between. */
export function readEpochMs(octets: Buffer, offset: number, zone: ZoneRule): number | null {
  requireOctets(octets, offset, DATE_TIME_OCTETS);
  const second = octets[offset + 7]!;
  const hundredths = octets[offset + 8]!;
  const localMs = localMsOf(
    (octets[offset]! << 8) | octets[offset + 1]!,
    octets[offset + 2]!,
    octets[offset + 3]!,
    octets[offset + 5]!,
    octets[offset + 6]!,
    second === 0xff ? 0 : second,
    hundredths === 0xff ? 0 : hundredths,
  );
  if (localMs === null) return null;
  const deviation = ((octets[offset + 9]! << 24) >> 16) | octets[offset + 10]!;
  return toUtc(localMs, deviation, octets[offset + 11]!, zone);
}

function localMsOf(
  year: number,
  month: number,
  dayOfMonth: number,
  hour: number,
  minute: number,
  second: number,
  hundredths: number,
): number | null {
  if (year < 1900 || year > 9999 || month < 1 || month > 12 || dayOfMonth < 1) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  if (dayOfMonth > 28 && dayOfMonth > daysIn(year, month)) return null;
  const ms = hundredths <= 99 ? hundredths * 10 : 0;
  return Date.UTC(year, month - 1, dayOfMonth, hour, minute, second, ms);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function toUtc(localMs: number, deviation: number, clockStatus: number, zone: ZoneRule): number {
  if (deviation < -DEVIATION_MAX || deviation > DEVIATION_MAX) {
    const daylightSaving = clockStatus === 0xff ? null : (clockStatus & DAYLIGHT_SAVING) !== 0;
    return localMs - zone.offsetMinutesAt(localMs, daylightSaving) * MS_PER_MINUTE;
  }
  return zone.deviationSign === "standard"
    ? localMs + deviation * MS_PER_MINUTE
    : localMs - deviation * MS_PER_MINUTE;
}

export const UNSPECIFIED: CosemDateTime = {
  year: null,
  month: null,
  dayOfMonth: null,
  dayOfWeek: null,
  hour: null,
  minute: null,
  second: null,
  hundredths: null,
  deviation: null,
  clockStatus: null,
};

function specified(octet: number): number | null {
  return octet === 0xff ? null : octet;
}

function requireOctets(octets: Buffer, offset: number, count: number): void {
  if (offset < 0 || offset + count > octets.length) {
    throw new DecodeError("truncated", offset, `${count} octets needed, ${octets.length - offset} left`);
  }
}
