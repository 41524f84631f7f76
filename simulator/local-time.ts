/** Simulated meters keep a fixed offset from UTC: India has no daylight saving. */
export const OFFSET_MINUTES = 330;

const MS_PER_HOUR = 3_600_000;
const MS_PER_DAY = 86_400_000;
const OFFSET_MS = OFFSET_MINUTES * 60_000;

/** Hour of the local day as a fraction, 0 ≤ h < 24. */
export function localHour(epochMs: number): number {
  return ((((epochMs + OFFSET_MS) % MS_PER_DAY) + MS_PER_DAY) % MS_PER_DAY) / MS_PER_HOUR;
}

/** Local days since 1970. */
export function localDay(epochMs: number): number {
  return Math.floor((epochMs + OFFSET_MS) / MS_PER_DAY);
}

/** Saturday or Sunday. Day 0 was a Thursday. */
export function isWeekend(day: number): boolean {
  const weekday = (((day + 3) % 7) + 7) % 7;
  return weekday >= 5;
}

export function isLocalMidnight(epochMs: number): boolean {
  return (epochMs + OFFSET_MS) % MS_PER_DAY === 0;
}

/** Begin of the local month that `epochMs` lies in. */
export function monthStart(epochMs: number): number {
  const local = new Date(epochMs + OFFSET_MS);
  return Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), 1) - OFFSET_MS;
}

/** Local months since 1970. */
export function localMonth(epochMs: number): number {
  const local = new Date(epochMs + OFFSET_MS);
  return (local.getUTCFullYear() - 1970) * 12 + local.getUTCMonth();
}

/**
 * The last instant `leadMs` before a local month begins that lies before `epochMs`: where a demonstration starts that wants to see
 * blocks, a midnight and a billing date within minutes.
 */
export function beforeMonthEnd(epochMs: number, leadMs: number): number {
  const start = monthStart(epochMs) - leadMs;
  return start <= epochMs ? start : monthStart(start - 1) - leadMs;
}
