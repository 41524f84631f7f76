import type { Data } from "../dlms/encoding/data.ts";
import { type CellValue, cellOf, convert, Instant, textOf, UNSTORABLE } from "./convert.ts";
import type { ColumnPlan, MappingPlan, PlannedTable } from "./plan.ts";
import type { PushOrigin, RowTime, StatusWord } from "./push-origin.ts";
import { type Cell, type ColumnType, METER_EVENTS, METER_READINGS, type Row, type Table } from "./rows.ts";
import { UnmappableError } from "./unmappable.ts";

/** A value that the meter has none of. */
export function isEmpty({ type }: Data): boolean {
  return type === "null-data" || type === "dont-care";
}

/** What the rows of a push have become so far. */
export interface Mapped {
  readonly rows: Row[];
  readonly statusWords: StatusWord[];
  /** Objects whose integers can't be stored, because nobody knows their scaler. */
  readonly unscaled: string[];
  valueCount: number;
}

/** The rows of tables that one row of a capture becomes, while its values are put in one by one. */
export class CaptureRow {
  private readonly out: Mapped;
  private readonly plan: MappingPlan;
  private readonly how: PushOrigin;
  private readonly time: RowTime;
  /** Cells of the plan's tables, once something is to stand in them. */
  private readonly slots: (Cell[] | undefined)[];
  /** Values without a column, which stand behind the rows with columns. */
  private readings: Row[] | null = null;
  /** Values without a column, and the context of an event. */
  private named: Record<string, CellValue> | null = null;
  private eventCode: number | null = null;
  private eventSequence = 0;

  constructor(plan: MappingPlan, how: PushOrigin, time: RowTime, out: Mapped) {
    this.out = out;
    this.plan = plan;
    this.how = how;
    this.time = time;
    this.slots = plan.noRows.slice();
    if (plan.profileSlot >= 0) this.cells(plan.profileSlot);
  }

  /** Throws UnmappableError where an event's number or a status word is none. */
  add(data: Data, column: ColumnPlan): void {
    if (isEmpty(data)) return;
    this.out.valueCount++;
    if (column.role === "event-code") this.eventCode = wholeNumber(data, column);
    else if (column.role === "event-sequence") this.eventSequence = wholeNumber(data, column);
    else if (column.role === "status-word" && isWord(data)) this.addStatusWord(data, column);
    else this.addValue(data, column);
  }

  private addValue(data: Data, column: ColumnPlan): void {
    const value = convert(data, column, this.how.zone);
    if (value === undefined) {
      this.out.unscaled.push(column.name);
      return;
    }
    const placed = this.place(value, column);
    if (column.leftover === "context") this.name(value, column);
    else if (placed) return;
    else if (column.leftover === "extra") this.name(value, column);
    else this.addReading(readingRow(value, column, this.plan.source, this.how, this.time.ms));
  }

  /** Writes a value into all its cells; false where the profile's row, or any row at all, has none that can hold it. */
  private place(value: CellValue, column: ColumnPlan): boolean {
    const { targets } = column;
    let inProfile = this.plan.profileSlot < 0;
    let everywhere = targets.length > 0;
    for (const { slot, position, type } of targets) {
      const cell = cellOf(value, type);
      if (cell === UNSTORABLE) everywhere = this.unstorable(value, type, column);
      else this.cells(slot)[position] = cell;
      inProfile ||= slot === this.plan.profileSlot;
    }
    return everywhere && inProfile;
  }

  /** A number that a column can't hold stands elsewhere; a time in place of a number means that the list is another one. */
  private unstorable(value: CellValue, type: ColumnType, column: ColumnPlan): false {
    const isTime = value instanceof Instant;
    if (isTime !== (type === "timestamptz") && (isTime || typeof value === "number")) {
      const what = isTime ? "a time" : "a number";
      throw new UnmappableError(
        "unmappable",
        `${column.name} came as ${what}: the list does not fit what was sent`,
      );
    }
    return false;
  }

  private name(value: CellValue, column: ColumnPlan): void {
    this.named ??= {};
    this.named[column.name] = value;
  }

  private addStatusWord(data: Data, column: ColumnPlan): void {
    const bits =
      typeof data.value === "number" ? bitsOf(data) : textOf(convert(data, column, this.how.zone)!);
    this.addReading(readingRow(bits, column, "event", this.how, this.time.ms));
    this.out.statusWords.push({
      timeMs: this.time.ms,
      code: column.column.code,
      codeId: column.codeId!,
      bits,
    });
  }

  private addReading(row: Row): void {
    this.readings ??= [];
    this.readings.push(row);
  }

  private cells(slot: number): Cell[] {
    let cells = this.slots[slot];
    if (cells === undefined) {
      cells = newCells(this.plan.tables[slot]!, this.how, this.time);
      this.slots[slot] = cells;
    }
    return cells;
  }

  /** Every value has been put in. */
  finish(): void {
    const { plan, slots, named, readings } = this;
    const out = this.out.rows;
    if (named !== null && plan.profileSlot >= 0)
      this.cells(plan.profileSlot)[plan.extra] = JSON.stringify(named);
    for (let slot = 0; slot < slots.length; slot++) {
      const cells = slots[slot];
      if (cells !== undefined) out.push({ table: plan.tables[slot]!.table, cells });
    }
    if (this.eventCode !== null) out.push(this.event(this.eventCode));
    if (readings !== null) for (const reading of readings) out.push(reading);
  }

  private event(code: number): Row {
    const { plan, eventSequence: sequence, named: context } = this;
    const log = plan.log!;
    const known = plan.configuration.event(plan.category, log, code);
    const name = known?.name ?? `event ${code}`;
    const severity = known?.severity ?? "info";
    const clears = known?.clears ?? null;
    const event = { log, code, sequence, name, severity, active: clears === null, clears, context };
    return meterEventRow(event, this.how, this.time.ms);
  }
}

function newCells(table: PlannedTable, how: PushOrigin, time: RowTime): Cell[] {
  const cells = table.template.slice();
  cells[table.time] = time.ms;
  cells[table.meterId] = how.meterId;
  cells[table.origin] = how.origin;
  cells[table.receivedAt] = how.receivedAtMs;
  if (table.clockStatus >= 0) cells[table.clockStatus] = time.status;
  if (table.clockDeviation >= 0) cells[table.clockDeviation] = time.deviation;
  return cells;
}

const READING = positions(METER_READINGS, "time", "meter_id", "obis_code_id", "attribute", "source");
const READING_HOW = positions(METER_READINGS, "origin", "received_at", "value", "value_text", "unit");
const EVENT = positions(METER_EVENTS, "time", "meter_id", "log", "code", "sequence");
const EVENT_HOW = positions(METER_EVENTS, "name", "severity", "origin", "received_at", "active");
const EVENT_MORE = positions(METER_EVENTS, "clears_code", "context");

function positions(table: Table, ...names: string[]): number[] {
  return names.map((name) => table.position.get(name)!);
}

function fill(cells: Cell[], at: readonly number[], ...values: Cell[]): void {
  for (let i = 0; i < at.length; i++) cells[at[i]!] = values[i];
}

function readingRow(
  value: CellValue,
  column: ColumnPlan,
  source: string,
  how: PushOrigin,
  timeMs: number,
): Row {
  const cells = METER_READINGS.empty.slice();
  const numeric = typeof value === "number" && Number.isFinite(value) ? value : null;
  const text = numeric === null ? textOf(value) : null;
  fill(cells, READING, timeMs, how.meterId, column.codeId, column.column.attribute, source);
  fill(cells, READING_HOW, how.origin, how.receivedAtMs, numeric, text, column.unit);
  return { table: METER_READINGS, cells };
}

/** An event of a meter, before it is a row of `meter_events`. */
export interface MeterEvent {
  readonly log: string;
  readonly code: number;
  readonly sequence: number;
  readonly name: string;
  readonly severity: string;
  readonly active: boolean | null;
  /** The code whose event this one ends. */
  readonly clears: number | null;
  readonly context: Readonly<Record<string, unknown>> | null;
}

export function meterEventRow(event: MeterEvent, how: PushOrigin, timeMs: number): Row {
  const { log, code, sequence, name, severity, active, clears, context } = event;
  const cells = METER_EVENTS.empty.slice();
  fill(cells, EVENT, timeMs, how.meterId, log, code, sequence);
  fill(cells, EVENT_HOW, name, severity, how.origin, how.receivedAtMs, active);
  fill(cells, EVENT_MORE, clears, context === null ? null : JSON.stringify(context));
  return { table: METER_EVENTS, cells };
}

/** Event status words are bit-strings, alarm registers unsigned integers. */
const REGISTER_BITS: Readonly<Record<string, number>> = {
  unsigned: 8,
  "long-unsigned": 16,
  "double-long-unsigned": 32,
};

function isWord({ type }: Data): boolean {
  return type === "bit-string" || type in REGISTER_BITS;
}

/** Bits of an alarm register, the least significant first. */
function bitsOf({ type, value }: Data): string {
  return [...(value as number).toString(2)].reverse().join("").padEnd(REGISTER_BITS[type]!, "0");
}

function wholeNumber(data: Data, column: ColumnPlan): number {
  if (typeof data.value === "number" && Number.isInteger(data.value) && Math.abs(data.value) <= 0x7fffffff) {
    return data.value;
  }
  throw new UnmappableError("unmappable", `${column.name} is a ${data.type}, not the number of an event`);
}
