import { type CosemDateTime, dateTimeAt, type ZoneRule } from "../src/dlms/encoding/date-time.ts";

/** Where meters of a model stand: what their clocks show. */
export interface LocalZone {
  /** Name in the time zone database, as a head-end's configuration has it. */
  readonly name: string;
  /** Minutes ahead of UTC, in winter. */
  readonly standardMinutes: number;
  /** An hour more from the last Sunday of March to that of October, 01:00 UTC, as in the European Union. */
  readonly hasSummer: boolean;
}

export const INDIA: LocalZone = { name: "Asia/Kolkata", standardMinutes: 330, hasSummer: false };
export const CENTRAL_EUROPE: LocalZone = { name: "Europe/Vienna", standardMinutes: 60, hasSummer: true };
export const ZONES = { india: INDIA, "central europe": CENTRAL_EUROPE } as const;

const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 3_600_000;
const MS_PER_DAY = 86_400_000;
const SUMMER_MINUTES = 60;
/** Bit of the clock status. */
const DAYLIGHT_SAVING_ACTIVE = 0x80;

/** 01:00 UTC of the last Sunday of a month of 31 days. */
function lastSunday(year: number, month: number): number {
  const last = Date.UTC(year, month, 31, 1);
  return last - new Date(last).getUTCDay() * MS_PER_DAY;
}

const MARCH = 2;
const OCTOBER = 9;

export function isSummer(zone: LocalZone, epochMs: number): boolean {
  if (!zone.hasSummer) return false;
  const year = new Date(epochMs).getUTCFullYear();
  return epochMs >= lastSunday(year, MARCH) && epochMs < lastSunday(year, OCTOBER);
}

/** Two hours before Central European clocks next go forward (spring) or back (autumn). */
export function beforeChange(season: "spring" | "autumn", epochMs: number): number {
  const month = season === "spring" ? MARCH : OCTOBER;
  const year = new Date(epochMs).getUTCFullYear();
  const change = lastSunday(year, month);
  return (change > epochMs ? change : lastSunday(year + 1, month)) - 2 * MS_PER_HOUR;
}

/** Minutes that local time is ahead of UTC. */
export function offsetMinutes(zone: LocalZone, epochMs: number): number {
  return zone.standardMinutes + (isSummer(zone, epochMs) ? SUMMER_MINUTES : 0);
}

/** Local time as if it were UTC. */
const localMs = (zone: LocalZone, epochMs: number) =>
  zone.hasSummer
    ? epochMs + offsetMinutes(zone, epochMs) * MS_PER_MINUTE
    : epochMs + zone.standardMinutes * MS_PER_MINUTE;

/** When a local time is. Of one that comes twice the first, of one that never comes an hour later. */
function instantOf(zone: LocalZone, local: number): number {
  const winter = local - zone.standardMinutes * MS_PER_MINUTE;
  const summer = winter - SUMMER_MINUTES * MS_PER_MINUTE;
  return isSummer(zone, summer) ? summer : winter;
}

/** Hour of the local day as a fraction, 0 ≤ h < 24. */
export function localHour(zone: LocalZone, epochMs: number): number {
  return (((localMs(zone, epochMs) % MS_PER_DAY) + MS_PER_DAY) % MS_PER_DAY) / MS_PER_HOUR;
}

/** Local days since 1970. */
export function localDay(zone: LocalZone, epochMs: number): number {
  return Math.floor(localMs(zone, epochMs) / MS_PER_DAY);
}

/** Saturday or Sunday. Day 0 was a Thursday. */
export function isWeekend(day: number): boolean {
  const weekday = (((day + 3) % 7) + 7) % 7;
  return weekday >= 5;
}

export function isLocalMidnight(zone: LocalZone, epochMs: number): boolean {
  return localMs(zone, epochMs) % MS_PER_DAY === 0;
}

/** Begin of the local month that `epochMs` lies in. */
export function monthStart(zone: LocalZone, epochMs: number): number {
  const local = new Date(localMs(zone, epochMs));
  return instantOf(zone, Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), 1));
}

/** Local months since 1970. */
export function localMonth(zone: LocalZone, epochMs: number): number {
  const local = new Date(localMs(zone, epochMs));
  return (local.getUTCFullYear() - 1970) * 12 + local.getUTCMonth();
}

/** Where in the year, 0 at the first of January. */
export function partOfYear(zone: LocalZone, epochMs: number): number {
  const local = localMs(zone, epochMs);
  const year = new Date(local).getUTCFullYear();
  const start = Date.UTC(year, 0, 1);
  return (local - start) / (Date.UTC(year + 1, 0, 1) - start);
}

/**
 * The last instant `leadMs` before a local month begins that lies before `epochMs`: where a demonstration starts that wants to see
 * blocks, a midnight and a billing date within minutes.
 */
export function beforeMonthEnd(zone: LocalZone, epochMs: number, leadMs: number): number {
  const start = monthStart(zone, epochMs) - leadMs;
  return start <= epochMs ? start : monthStart(zone, start - 1) - leadMs;
}

/** How one meter tells the time: where it stands, and the deviation with the standard's sign, the other, or none. */
export interface TimeStyle {
  readonly zone: LocalZone;
  readonly deviation: "standard" | "reversed" | "absent";
  /** With the day of week, and without hundredths and clock status; the other way round where absent. */
  readonly sparse?: boolean;
}

/** What its clock shows. */
export function meterTime({ zone, deviation, sparse }: TimeStyle, epochMs: number): CosemDateTime {
  const offset = offsetMinutes(zone, epochMs);
  const sent = deviation === "absent" ? null : deviation === "standard" ? -offset : offset;
  const clockStatus = isSummer(zone, epochMs) ? DAYLIGHT_SAVING_ACTIVE : 0;
  const told = dateTimeAt(epochMs, sent, offset);
  // Where no deviation is told, only the status tells two hours of the same name apart.
  return sparse
    ? { ...told, hundredths: null, clockStatus: sent === null ? clockStatus : null }
    : { ...told, dayOfWeek: null, clockStatus };
}

/** How it reads a time that somebody tells it. Where none of its own is told, the hour that comes twice is the first. */
export function zoneRuleOf({ zone, deviation }: TimeStyle): ZoneRule {
  return {
    deviationSign: deviation === "reversed" ? "reversed" : "standard",
    offsetMinutesAt: (localAsUtcMs) => (localAsUtcMs - instantOf(zone, localAsUtcMs)) / MS_PER_MINUTE,
  };
}
