import type { Data } from "../dlms/encoding/data.ts";
import { readEpochMs, type ZoneRule } from "../dlms/encoding/date-time.ts";
import { CaptureRow, isEmpty, type Mapped, meterEventRow } from "./capture-row.ts";
import type { CapturedEvent, CapturedPush } from "./captured.ts";
import { convert } from "./convert.ts";
import type { MappingPlan } from "./plan.ts";
import type { PushOrigin, RowTime, StatusWord } from "./push-origin.ts";
import type { Cell, Row } from "./rows.ts";
import { UnmappableError } from "./unmappable.ts";

export interface MappedPush {
  readonly rows: Row[];
  readonly valueCount: number;
  readonly statusWords: readonly StatusWord[];
}

/** Before this no meter captured anything: its clock was never set. */
const EARLIEST_MS = Date.UTC(2005, 0, 1);
/** A clock may run ahead; a year it does not. */
const AHEAD_MAX_MS = 366 * 86_400_000;
/** Before this there was no daemon: a machine that says so has not got the time yet, and nothing can be said of a meter's by it. */
const OWN_CLOCK_UNSET_MS = Date.UTC(2026, 0, 1);

const NO_EVENTS: readonly CapturedEvent[] = [];

/**
 * Rows of tables from the rows of a push. Nothing in them is a view of the body.
 * Throws UnmappableError. `plan.unknown` must be empty: its objects are registered first.
 */
export function mapPush(push: CapturedPush, plan: MappingPlan, how: PushOrigin): MappedPush {
  const mapped: Mapped = { rows: [], statusWords: [], unscaled: [], valueCount: 0 };
  let previousMs: number | null = null;
  for (const row of push.rows) {
    const time = rowTime(push, row, plan, how, previousMs);
    const capture = new CaptureRow(plan, how, time, mapped);
    for (const column of plan.columns) {
      const data = row[push.first + column.index];
      if (data !== undefined && column.role !== "none" && column.role !== "time") capture.add(data, column);
    }
    capture.finish();
    previousMs = time.ms;
  }
  const { rows, statusWords, unscaled } = mapped;
  if (unscaled.length > 0) throw scalerUnknown(unscaled);
  const events = push.events ?? NO_EVENTS;
  for (const event of events) rows.push(eventRow(event, push, plan, how));
  const valueCount = mapped.valueCount + events.length;
  return { rows: push.rows.length > 1 ? merged(rows) : rows, valueCount, statusWords };
}

/** Whether the push holds integers whose scaler nobody knows, so that `mapPush` would refuse it. */
export function lacksScalers(push: CapturedPush, plan: MappingPlan, zone: ZoneRule): boolean {
  return plan.unscaled.some((column) =>
    push.rows.some((row) => {
      const data = row[push.first + column.index];
      return data !== undefined && !isEmpty(data) && convert(data, column, zone) === undefined;
    }),
  );
}

/** An event that the body itself reports. */
function eventRow(event: CapturedEvent, push: CapturedPush, plan: MappingPlan, how: PushOrigin): Row {
  const { log, code, context } = event;
  const own = event.time ?? push.clock;
  const time = (own === null ? null : clockTime(own, how.zone)) ?? receivedTime(how);
  const known = plan.configuration.event(plan.category, log, code);
  const name = known?.name ?? event.name ?? `event ${code}`;
  const severity = known?.severity ?? "info";
  const clears = known?.clears ?? null;
  const details = { sequence: 0, name, severity, active: clears === null, clears, context };
  return meterEventRow({ log, code, ...details }, how, plausible(time, how).ms);
}

function receivedTime(how: PushOrigin): RowTime {
  return { ms: how.notifiedAtMs ?? how.receivedAtMs, status: null, deviation: null };
}

function scalerUnknown(unscaled: readonly string[]): UnmappableError {
  const objects = [...new Set(unscaled)].join(", ");
  return new UnmappableError(
    "scaler_unknown",
    `integers without a known scaler: ${objects}; configure them for the meter type with \`hes meter-types import\`, then run \`hes replay\``,
  );
}

/** When a row was captured: by its clock, else by the clock in front of the buffer, else by the notification, else now. */
function rowTime(
  push: CapturedPush,
  row: readonly Data[],
  plan: MappingPlan,
  how: PushOrigin,
  previousMs: number | null,
): RowTime {
  const own = plan.timeColumn < 0 ? undefined : row[push.first + plan.timeColumn];
  const time = own === undefined ? null : clockTime(own, how.zone);
  if (time !== null) return plausible(time, how);
  if (
    own !== undefined &&
    own.type !== "null-data" &&
    own.type !== "octet-string" &&
    own.type !== "date-time"
  ) {
    throw new UnmappableError(
      "unmappable",
      `a ${own.type} in place of the clock: the list does not fit what was sent`,
    );
  }
  if (previousMs !== null && plan.intervalSeconds !== null) {
    return plausible({ ms: previousMs + plan.intervalSeconds * 1_000, status: null, deviation: null }, how);
  }
  if (plan.source === "block" || plan.source === "daily" || plan.source === "billing" || plan.log !== null) {
    throw new UnmappableError("unmappable", `a row of kind ${plan.source} without the time of its capture`);
  }
  const before = push.clock === null ? null : clockTime(push.clock, how.zone);
  if (before !== null) return plausible(before, how);
  return plausible(timeInParts(push, row, plan, how) ?? receivedTime(how), how);
}

/** A row that has its time of day and its date as two octet-strings (1.0.0.9.1 and 1.0.0.9.2) in place of a clock. */
function timeInParts(
  push: CapturedPush,
  row: readonly Data[],
  { timeOfDayColumn, dateColumn }: MappingPlan,
  how: PushOrigin,
): RowTime | null {
  if (timeOfDayColumn < 0 || dateColumn < 0) return null;
  const time = row[push.first + timeOfDayColumn]?.value;
  const date = row[push.first + dateColumn]?.value;
  if (!Buffer.isBuffer(time) || !Buffer.isBuffer(date) || time.length !== 4 || date.length !== 5) return null;
  const ms = readEpochMs(Buffer.concat([date, time, UNSPECIFIED_DEVIATION]), 0, how.zone);
  return ms === null ? null : { ms, status: null, deviation: null };
}

/** Deviation and status that say nothing. */
const UNSPECIFIED_DEVIATION = Buffer.from([0x80, 0x00, 0xff]);

function plausible(time: RowTime, how: PushOrigin): RowTime {
  const isAhead = how.receivedAtMs >= OWN_CLOCK_UNSET_MS && time.ms > how.receivedAtMs + AHEAD_MAX_MS;
  if (time.ms >= EARLIEST_MS && !isAhead) return time;
  const text = `captured at ${new Date(time.ms).toISOString()}: the meter's clock is wrong`;
  throw new UnmappableError("time_implausible", text);
}

function clockTime(data: Data, zone: ZoneRule): RowTime | null {
  if (data.type !== "date-time" && data.type !== "octet-string") return null;
  const octets = data.value;
  if (octets.length !== 12) return null;
  const ms = readEpochMs(octets, 0, zone);
  if (ms === null) return null;
  const deviation = octets.readInt16BE(9);
  return {
    ms,
    status: octets[11] === 0xff ? null : octets[11]!,
    deviation: deviation === -0x8000 ? null : deviation,
  };
}

/** Rows of one push with the same key: missing cells are filled in; rows that contradict are left to the database to tell. */
function merged(rows: readonly Row[]): Row[] {
  const kept = new Map<string, Row>();
  const contradicting: Row[] = [];
  for (const row of rows) {
    const key = `${row.table.name}|${row.table.key.map((name) => row.cells[row.table.position.get(name)!]).join("|")}`;
    const first = kept.get(key);
    if (first === undefined) kept.set(key, row);
    else if (!fillFrom(first.cells, row.cells)) contradicting.push(row);
  }
  return [...kept.values(), ...contradicting];
}

function fillFrom(cells: Cell[], others: readonly Cell[]): boolean {
  const agree = others.every((cell, i) => cell == null || cells[i] == null || cells[i] === cell);
  if (agree) for (let i = 0; i < cells.length; i++) cells[i] ??= others[i];
  return agree;
}
