import { type CosemDateTime, UNSPECIFIED } from "../dlms/encoding/date-time.ts";

/**
 * Times with wildcards as text, as they stand in schedule_entries.execution_times and push_setups.communication_windows:
 *
 *     00:15            a time; seconds are 0
 *     *:15:00          a quarter past every hour
 *     06:00 *-*-01     the first of every month
 *     02:00 *-*-last   also second-last; months also dst-begin, dst-end
 *     08:00 *-*-* mon  days of the week: mon tue wed thu fri sat sun
 *
 * A date that is left out is every day.
 */
const TIME = /^(\d{1,2}|\*):(\d{1,2}|\*)(?::(\d{1,2}|\*))?$/;
const DATE = /^(\d{4}|\*)-(\d{1,2}|\*|dst-begin|dst-end)-(\d{1,2}|\*|last|second-last)$/;
const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: Readonly<Record<string, number>> = { "dst-end": 0xfd, "dst-begin": 0xfe };
const DAYS: Readonly<Record<string, number>> = { "second-last": 0xfd, last: 0xfe };

/** A time and a date of a pattern. Hundredths are 0, deviation and status unspecified. @throws TimePatternError */
export function parseTimePattern(text: string): CosemDateTime {
  const [timeText = "", dateText = "*-*-*", weekday, ...more] = text.trim().split(/\s+/);
  const time = TIME.exec(timeText);
  if (time === null || more.length > 0) throw new TimePatternError(text);
  const date = DATE.exec(dateText);
  if (date === null) throw new TimePatternError(text);
  const dayOfWeek = weekday === undefined ? null : WEEKDAYS.indexOf(weekday.toLowerCase()) + 1;
  if (dayOfWeek === 0) throw new TimePatternError(text);
  const pattern: CosemDateTime = {
    ...UNSPECIFIED,
    year: numberOf(date[1]!),
    month: MONTHS[date[2]!] ?? numberOf(date[2]!),
    dayOfMonth: DAYS[date[3]!] ?? numberOf(date[3]!),
    dayOfWeek,
    hour: numberOf(time[1]!),
    minute: numberOf(time[2]!),
    second: numberOf(time[3] ?? "0"),
    hundredths: 0,
  };
  if (!isPossible(pattern)) throw new TimePatternError(text);
  return pattern;
}

const numberOf = (text: string): number | null => (text === "*" ? null : Number(text));

function isPossible({ month, dayOfMonth, hour, minute, second }: CosemDateTime): boolean {
  const within = (value: number | null, min: number, max: number) =>
    value === null || (value >= min && value <= max);
  return (
    (within(month, 1, 12) || month! >= 0xfd) &&
    (within(dayOfMonth, 1, 31) || dayOfMonth! >= 0xfd) &&
    within(hour, 0, 23) &&
    within(minute, 0, 59) &&
    within(second, 0, 59)
  );
}

export class TimePatternError extends Error {
  constructor(text: string) {
    super(
      `${JSON.stringify(text)} is no time such as 00:15, *:15:00, "06:00 *-*-01" or "08:00 *-*-* mon": HH:MM[:SS] [YYYY-MM-DD [weekday]], * for any`,
    );
    this.name = "TimePatternError";
  }
}

/** The text of a pattern, as parseTimePattern reads it. */
export function formatTimePattern(pattern: CosemDateTime): string {
  const { year, month, dayOfMonth, dayOfWeek } = pattern;
  const time = `${two(pattern.hour)}:${two(pattern.minute)}:${two(pattern.second)}`;
  if (year === null && month === null && dayOfMonth === null && dayOfWeek === null) return time;
  const date = `${year ?? "*"}-${named(MONTHS, month)}-${named(DAYS, dayOfMonth)}`;
  return dayOfWeek === null ? `${time} ${date}` : `${time} ${date} ${WEEKDAYS[dayOfWeek - 1] ?? dayOfWeek}`;
}

const two = (value: number | null) => (value === null ? "*" : String(value).padStart(2, "0"));

function named(names: Readonly<Record<string, number>>, value: number | null): string {
  const name = Object.entries(names).find(([, number]) => number === value)?.[0];
  return name ?? two(value);
}
