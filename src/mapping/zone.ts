import type { ZoneRule } from "../dlms/encoding/date-time.ts";

const MS_PER_MINUTE = 60_000;
const MS_PER_DAY = 86_400_000;
/** Days whose offset is remembered, per zone; a zone changes its offset at most once a day. */
const DAYS_MAX = 4_096;

/** How to ask for offsets of an IANA zone. Throws RangeError for a zone that does not exist. */
class Zone {
  private readonly format: Intl.DateTimeFormat;
  /** Minutes east of UTC by UTC day; NaN where it changes within the day. */
  private readonly days = new Map<number, number>();

  constructor(name: string) {
    this.format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  offsetMinutesAtUtc(utcMs: number): number {
    const day = Math.floor(utcMs / MS_PER_DAY);
    let offset = this.days.get(day);
    if (offset === undefined) {
      const start = this.computed(day * MS_PER_DAY);
      offset = start === this.computed((day + 1) * MS_PER_DAY) ? start : Number.NaN;
      if (this.days.size >= DAYS_MAX) this.days.clear();
      this.days.set(day, offset);
    }
    return Number.isNaN(offset) ? this.computed(utcMs) : offset;
  }

  /**
   * At a local time that exists twice, the earlier of the two instants, or the later one where the clock status says that it isn't
   * summer time; at one that is skipped, as if the clock had not been put forward.
   */
  offsetMinutesAtLocal(localMs: number, daylightSaving: boolean | null): number {
    const before = this.offsetMinutesAtUtc(localMs - MS_PER_DAY);
    const after = this.offsetMinutesAtUtc(localMs + MS_PER_DAY);
    if (after === before) return before;
    const isBefore = this.offsetMinutesAtUtc(localMs - before * MS_PER_MINUTE) === before;
    const isAfter = this.offsetMinutesAtUtc(localMs - after * MS_PER_MINUTE) === after;
    if (isBefore && isAfter) return daylightSaving === false ? after : before;
    return isAfter ? after : before;
  }

  private computed(utcMs: number): number {
    const part: Record<string, number> = {};
    for (const { type, value } of this.format.formatToParts(utcMs)) part[type] = Number(value);
    const local = Date.UTC(
      part["year"]!,
      part["month"]! - 1,
      part["day"]!,
      part["hour"]!,
      part["minute"]!,
      part["second"]!,
    );
    return Math.round((local - utcMs) / MS_PER_MINUTE);
  }
}

const zones = new Map<string, Zone>();
const rules = { standard: new Map<string, ZoneRule>(), reversed: new Map<string, ZoneRule>() };

/** The rule for an IANA zone and a deviation's sign, shared. Throws RangeError for a zone that does not exist. */
export function zoneRule(name: string, deviationSign: "standard" | "reversed"): ZoneRule {
  const known = rules[deviationSign].get(name);
  if (known !== undefined) return known;
  const zone = zoneOf(name);
  const rule: ZoneRule = {
    deviationSign,
    offsetMinutesAt: (localMs, daylightSaving) => zone.offsetMinutesAtLocal(localMs, daylightSaving),
  };
  rules[deviationSign].set(name, rule);
  return rule;
}

/** Minutes east of UTC in an IANA zone at an instant. Throws RangeError for a zone that does not exist. */
export const utcOffsetMinutes = (name: string, utcMs: number): number =>
  zoneOf(name).offsetMinutesAtUtc(utcMs);

function zoneOf(name: string): Zone {
  const zone = zones.get(name) ?? new Zone(name);
  zones.set(name, zone);
  return zone;
}

/** Whether the runtime knows a zone of this name. */
export function isZone(name: string): boolean {
  try {
    zoneRule(name, "standard");
    return true;
  } catch {
    return false;
  }
}

/** A meter's zone: its own, where it is one, else the configured one. */
export function zoneOfMeter({ timeZone }: { readonly timeZone: string | null }, configured: string): string {
  return timeZone !== null && isZone(timeZone) ? timeZone : configured;
}
