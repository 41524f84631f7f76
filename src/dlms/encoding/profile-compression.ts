import type { Data, IntegerType } from "./data-types.ts";
import { DATE_TIME_OCTETS, dateTimeAt, readDateTime, toEpochMs, writeDateTime } from "./date-time.ts";

export interface ProfileCompression {
  /** Position of the clock in a row; null where the profile has none. */
  readonly clockColumn: number | null;
  /** Seconds between two rows; null where unknown: clocks that were left out then stay null-data. */
  readonly capturePeriodSeconds: number | null;
}

/** What a delta is added to keeps its own type; a delta without anything before it becomes this. */
const PLAIN: Partial<Record<Data["type"], IntegerType>> = {
  "delta-integer": "integer",
  "delta-long": "long",
  "delta-double-long": "double-long",
  "delta-unsigned": "unsigned",
  "delta-long-unsigned": "long-unsigned",
  "delta-double-long-unsigned": "double-long-unsigned",
};

/**
 * Rows of a profile buffer as they were before the meter compressed them. null-data means "as in the row before", for
 * the clock (null-data or an empty octet-string) "the time before and one capture period"; a delta is added to the value
 * of the row before. What can't be expanded, because no row precedes it, stays as it is. Rows that need nothing are
 * returned as they came, and elements that aren't structures are passed through.
 */
export function expandProfileRows(rows: readonly Data[], compression: ProfileCompression): Data[] {
  const expanded: Data[] = [];
  let previous: readonly Data[] | null = null;
  for (const row of rows) {
    if (row.type !== "structure") {
      expanded.push(row);
      continue;
    }
    const whole: Data = expandRow(row, previous, compression);
    expanded.push(whole);
    previous = whole.value as Data[];
  }
  return expanded;
}

function expandRow(
  row: Data & { type: "array" | "structure" },
  previous: readonly Data[] | null,
  compression: ProfileCompression,
): Data {
  if (!row.value.some((column, index) => isCompressed(column, index === compression.clockColumn))) return row;
  return {
    type: "structure",
    value: row.value.map((column, index) => {
      const isClock = index === compression.clockColumn;
      if (!isCompressed(column, isClock)) return column;
      const before = previous?.[index] ?? null;
      if (isClock) return nextTime(before, compression.capturePeriodSeconds) ?? column;
      return expandColumn(column, before);
    }),
  };
}

function isCompressed(column: Data, isClock: boolean): boolean {
  if (column.type === "null-data" || PLAIN[column.type] !== undefined) return true;
  return isClock && column.type === "octet-string" && column.value.length === 0;
}

function expandColumn(column: Data, before: Data | null): Data {
  if (column.type === "null-data") return before ?? column;
  const plain = PLAIN[column.type]!;
  const difference = column.value as number;
  if (before === null) return { type: plain, value: difference };
  if (typeof before.value === "number") {
    return { type: before.type, value: before.value + difference } as Data;
  }
  if (typeof before.value === "bigint") {
    return { type: before.type, value: before.value + BigInt(difference) } as Data;
  }
  return column;
}

/** One period later on the same clock: deviation and status stay as they were. */
function nextTime(before: Data | null, periodSeconds: number | null): Data | null {
  if (before === null || periodSeconds === null) return null;
  if (before.type !== "octet-string" && before.type !== "date-time") return null;
  if (before.value.length !== DATE_TIME_OCTETS) return null;
  const time = readDateTime(before.value, 0);
  const localMs = toEpochMs(
    { ...time, deviation: null },
    { deviationSign: "standard", offsetMinutesAt: () => 0 },
  );
  if (localMs === null) return null;
  const { year, month, dayOfMonth, dayOfWeek, hour, minute, second } = dateTimeAt(
    localMs + periodSeconds * 1000,
    null,
    0,
  );
  const next = {
    ...time,
    year,
    month,
    dayOfMonth,
    dayOfWeek: time.dayOfWeek === null ? null : dayOfWeek,
    hour,
    minute,
    second: time.second === null ? null : second,
  };
  return { type: before.type, value: writeDateTime(next) };
}
