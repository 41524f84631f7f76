/**
 * When a cron expression is due, found by another way than the one under test: no library, every minute of the time is looked at, and
 * what the wall clock shows then is asked of Intl. Five fields of numbers, lists, ranges and steps.
 */
export interface OracleExpression {
  readonly text: string;
  /** Day of month or day of week is enough where both are given, as in every cron. */
  readonly matches: (wall: WallTime) => boolean;
  readonly everyHour: boolean;
  /** Minutes of the hour at which it may be due. */
  readonly minutes: ReadonlySet<number>;
}

export interface WallTime {
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly month: number;
  /** 0 Sunday … 6 Saturday. */
  readonly weekday: number;
}

function numbers(field: string, low: number, high: number): Set<number> {
  const all = new Set<number>();
  for (const part of field.split(",")) {
    const [range, step] = part.split("/") as [string, string | undefined];
    const [from, to] = range === "*" ? [low, high] : range.split("-").map(Number);
    const last = to ?? (step === undefined ? from! : high);
    for (let n = from!; n <= last; n += Number(step ?? 1)) all.add(n);
  }
  return all;
}

export function oracleExpression(text: string): OracleExpression {
  const [minute, hour, day, month, weekday] = text.split(" ") as [string, string, string, string, string];
  const minutes = numbers(minute, 0, 59);
  const hours = numbers(hour, 0, 23);
  const days = numbers(day, 1, 31);
  const months = numbers(month, 1, 12);
  const weekdays = new Set([...numbers(weekday, 0, 7)].map((n) => n % 7));
  const matches = (wall: WallTime) => {
    if (!minutes.has(wall.minute) || !hours.has(wall.hour) || !months.has(wall.month)) return false;
    if (day !== "*" && weekday !== "*") return days.has(wall.day) || weekdays.has(wall.weekday);
    return days.has(wall.day) && weekdays.has(wall.weekday);
  };
  return { text, matches, minutes, everyHour: hour.startsWith("*") };
}

const MINUTE = 60_000;

/** Minutes since 1970 of the wall clock in a zone, as if it were UTC; one instant after the other, so that Intl is asked rarely. */
function wallClock(zone: string): (utcMs: number) => number {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    ...{
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    },
  });
  const known = new Map<number, number>();
  return (utcMs) => {
    // Offsets change at whole quarters of an hour.
    const quarter = Math.floor(utcMs / (15 * MINUTE));
    let offset = known.get(quarter);
    if (offset === undefined) {
      const at = quarter * 15 * MINUTE;
      const p = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
      offset = Date.UTC(p["year"]!, p["month"]! - 1, p["day"]!, p["hour"]!, p["minute"]!) - at;
      known.set(quarter, offset);
    }
    return utcMs + offset;
  };
}

function wallTime(wallMs: number): WallTime {
  const at = new Date(wallMs);
  return {
    minute: at.getUTCMinutes(),
    hour: at.getUTCHours(),
    day: at.getUTCDate(),
    month: at.getUTCMonth() + 1,
    weekday: at.getUTCDay(),
  };
}

/** For each expression every instant in `[fromMs, untilMs)`, whole minutes, at which it is due in the zone. */
export function dueMinutes(
  expressions: readonly OracleExpression[],
  zone: string,
  fromMs: number,
  untilMs: number,
): number[][] {
  const clock = wallClock(zone);
  const due = expressions.map((): number[] => []);
  const minutes = new Set(expressions.flatMap((expression) => [...expression.minutes]));
  // Two days before, so that what comes twice is known to have been there.
  const begin = fromMs - 2 * 1_440 * MINUTE;
  let latest = clock(begin - MINUTE);
  for (let at = begin; at < untilMs; at += MINUTE) {
    const wall = clock(at);
    const skipped: WallTime[] = [];
    for (let never = latest + MINUTE; never < wall; never += MINUTE) skipped.push(wallTime(never));
    const again = wall <= latest;
    latest = Math.max(latest, wall);
    if (at < fromMs || (skipped.length === 0 && !minutes.has((wall / MINUTE) % 60))) continue;
    const now = wallTime(wall);
    expressions.forEach((expression, index) => {
      const { matches, everyHour } = expression;
      const isDue = everyHour ? matches(now) : (!again && matches(now)) || skipped.some(matches);
      if (isDue) due[index]!.push(at);
    });
  }
  return due;
}
