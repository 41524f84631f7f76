import { unitSymbol } from "../dlms/cosem/unit.ts";
import { BLOCK_SECONDS } from "./capture-lists.ts";
import type { CapturedColumn, CaptureList } from "./captured.ts";
import type { MappingConfiguration, MeterTypeRecord, ObjectRecord } from "./configuration.ts";
import {
  BILLING_PROFILE,
  BLOCK_LOAD_PROFILE,
  type CaptureSource,
  type Cell,
  type ColumnType,
  ENERGY_MEASUREMENTS,
  INSTANT_PROFILE,
  MEASUREMENT_TABLES,
  type Table,
} from "./rows.ts";

/** A cell that a value is written to: of the plan's table number `slot`. */
export interface CellTarget {
  readonly slot: number;
  readonly position: number;
  readonly type: ColumnType;
}

/** What becomes of one column of a list. */
export interface ColumnPlan {
  /** Position in the list. */
  readonly index: number;
  readonly column: CapturedColumn;
  /** What it is to the row; an identifier or a push setup's name is no value. */
  readonly role: "time" | "value" | "event-code" | "event-sequence" | "status-word" | "none";
  /** raw × 10^scaler; null: not known, so an integer can't be stored. */
  readonly scaler: number | null;
  /** Whether floating-point values are scaled too: only where the frame itself says the scaler. */
  readonly scalesFloats: boolean;
  readonly targets: readonly CellTarget[];
  /** Where the value goes that has no cell. */
  readonly leftover: "extra" | "reading" | "context";
  /** Key of `extra` and `context`. */
  readonly name: string;
  /** Row of `obis_codes`; null: the code is not registered yet. */
  readonly codeId: number | null;
  readonly unit: string | null;
}

/** A table that a row of the list fills, with the positions of the cells that every row of it has. */
export interface PlannedTable {
  readonly table: Table;
  /** A row with what is the same in all of them, to be copied. */
  readonly template: readonly Cell[];
  readonly time: number;
  readonly meterId: number;
  readonly origin: number;
  readonly receivedAt: number;
  readonly clockStatus: number;
  readonly clockDeviation: number;
}

/** How rows of one list become rows of tables, for meters of one type. */
export interface MappingPlan {
  readonly source: CaptureSource;
  readonly tables: readonly PlannedTable[];
  /** A place for a row of each table, with none in it, to be copied. */
  readonly noRows: readonly undefined[];
  /** Slot of the profile table among `tables`, −1 without one. A profile's row is written even where all its cells are empty. */
  readonly profileSlot: number;
  readonly extra: number;
  readonly columns: readonly ColumnPlan[];
  /** Rows of `obis_codes` of the columns that are status words; null among them where `unknown` isn't empty. */
  readonly statusWords: readonly (number | null)[];
  /** Of the columns, those whose integers can't be stored. */
  readonly unscaled: readonly ColumnPlan[];
  readonly timeColumn: number;
  /** Where a time of day and a date stand in place of a clock; −1: nowhere. */
  readonly timeOfDayColumn: number;
  readonly dateColumn: number;
  readonly intervalSeconds: number | null;
  /** `meter_events.log` of the rows of an event log. */
  readonly log: string | null;
  readonly category: string;
  readonly configuration: MappingConfiguration;
  /** Objects that no catalogue knows; they must be registered before rows can be made. */
  readonly unknown: readonly CapturedColumn[];
}

const CLOCK = "0.0.1.0.0.255";
/** Kamstrup's channel is 1. */
const CLOCK_OF_CHANNEL = "0.1.1.0.0.255";
const TIME_OF_DAY = "1.0.0.9.1.255";
const DATE = "1.0.0.9.2.255";
const BILLING_DATE = "0.0.0.1.2.255";
const LOAD_LIMIT = "0.0.17.0.0.255";
const ACTIVE_POWER = "1.0.1.7.0.255";
const PUSH_SETUP_CLASS = 40;
/** Logs of IS 15959 by the last group but one of 0.0.96.11.x (event code) and 0.0.96.15.x (sequence number). */
const LOGS = ["voltage", "current", "power", "transaction", "other", "non-rollover", "control"];
const EVENT_CODE = /^0\.0\.96\.11\.(\d+)\.255$/;
const EVENT_SEQUENCE = /^0\.0\.96\.15\.(\d+)\.255$/;
const PROFILES: Partial<Record<CaptureSource, Table>> = {
  instant: INSTANT_PROFILE,
  block: BLOCK_LOAD_PROFILE,
  billing: BILLING_PROFILE,
};

/** The plan of a list for a meter type, compiled once. */
export function planOf(
  list: CaptureList,
  meterType: { name: string; category: string },
  configuration: MappingConfiguration,
): MappingPlan {
  const known = list.plans.get(meterType.name);
  if (known !== undefined && known.configuration === configuration) return known;
  const plan = compilePlan(list, meterType, configuration);
  list.plans.set(meterType.name, plan);
  return plan;
}

export function compilePlan(
  list: CaptureList,
  meterType: { name: string; category: string },
  configuration: MappingConfiguration,
): MappingPlan {
  const profile = PROFILES[list.kind] ?? null;
  const tables = profile === null ? [...MEASUREMENT_TABLES] : [...MEASUREMENT_TABLES, profile];
  const timeColumn = timeColumnOf(list);
  const codes = list.columns.map((column) => column.code);
  const log = codes
    .map((code) => LOGS[Number(EVENT_CODE.exec(code)?.[1] ?? -1)])
    .find((name) => name !== undefined);
  const taken = new Set<string>();
  const columns = list.columns.map((column, index) => {
    const object = configuration.object(column.code, column.attribute);
    const role = index === timeColumn ? "time" : roleOf(list, column, log !== undefined, configuration);
    const targets = role === "value" ? targetsOf(object, column, tables, profile, taken) : [];
    return columnPlan(list, column, index, role, targets, meterType.name, configuration);
  });
  const type = configuration.meterType(meterType.name);
  const intervalSeconds = list.kind === "block" ? intervalOf(type) : null;
  return {
    source: list.kind,
    tables: tables.map((table) => plannedTable(table, list.kind, intervalSeconds)),
    noRows: tables.map(() => undefined),
    profileSlot: profile === null ? -1 : tables.indexOf(profile),
    extra: profile?.position.get("extra") ?? -1,
    columns,
    statusWords: columns.filter(({ role }) => role === "status-word").map(({ codeId }) => codeId),
    unscaled: columns.filter(({ role, scaler }) => role === "value" && scaler === null),
    timeColumn,
    timeOfDayColumn: codes.indexOf(TIME_OF_DAY),
    dateColumn: codes.indexOf(DATE),
    intervalSeconds,
    log: log ?? null,
    category: meterType.category,
    configuration,
    unknown: columns.flatMap((plan) =>
      plan.codeId === null && (plan.role === "value" || plan.role === "status-word") ? [plan.column] : [],
    ),
  };
}

function intervalOf(type: MeterTypeRecord | undefined): number {
  return type?.intervalSeconds ?? BLOCK_SECONDS;
}

/** The clock; in billing rows the billing date, which stands in its place. −1: rows carry no time of their own. */
function timeColumnOf({ kind, columns }: CaptureList): number {
  const find = (code: string) => columns.findIndex((c) => c.code === code && c.attribute === 2);
  const own = find(CLOCK);
  const clock = own >= 0 ? own : find(CLOCK_OF_CHANNEL);
  if (kind !== "billing") return clock;
  const billing = find(BILLING_DATE);
  return billing >= 0 ? billing : clock;
}

function roleOf(
  list: CaptureList,
  column: CapturedColumn,
  isLog: boolean,
  configuration: MappingConfiguration,
): ColumnPlan["role"] {
  if (column.classId === PUSH_SETUP_CLASS) return "none";
  if (isTimeInParts(list, column)) return "none";
  if (list.identifierColumns.includes(list.columns.indexOf(column))) return "none";
  if (column.attribute === 2 && configuration.isStatusWord(column.code)) return "status-word";
  if (isLog && column.attribute === 2 && EVENT_CODE.test(column.code)) return "event-code";
  if (isLog && column.attribute === 2 && EVENT_SEQUENCE.test(column.code)) return "event-sequence";
  return "value";
}

/** One of a time of day and a date that stand in place of a clock. */
function isTimeInParts({ columns }: CaptureList, { code }: CapturedColumn): boolean {
  const other = code === DATE ? TIME_OF_DAY : code === TIME_OF_DAY ? DATE : null;
  return other !== null && columns.some((column) => column.code === other);
}

/** The cells of a value: its column in the measurement table of its kind, and its column in the profile's. */
function targetsOf(
  object: ObjectRecord | undefined,
  column: CapturedColumn,
  tables: readonly Table[],
  profile: Table | null,
  taken: Set<string>,
): CellTarget[] {
  if (object === undefined || !unitFits(object, column)) return [];
  const wanted: [string | null, string | null][] = [
    [object.table, object.column],
    [profile?.name ?? null, object.profileColumn],
  ];
  return wanted.flatMap(([tableName, columnName]) => {
    const slot = tables.findIndex((table) => table.name === tableName);
    const position = columnName === null ? undefined : tables[slot]?.position.get(columnName);
    const key = `${tableName}.${columnName}`;
    if (position === undefined || taken.has(key)) return [];
    taken.add(key);
    return [{ slot, position, type: tables[slot]!.columns[position]!.type }];
  });
}

/** A value in another unit than the column's must not stand in it. */
function unitFits(object: ObjectRecord, column: CapturedColumn): boolean {
  if (column.unit === null) return true;
  return unitSymbol(column.unit) === (object.unit ?? "") || unitSymbol(column.unit) === "";
}

function columnPlan(
  list: CaptureList,
  column: CapturedColumn,
  index: number,
  role: ColumnPlan["role"],
  targets: readonly CellTarget[],
  meterType: string,
  configuration: MappingConfiguration,
): ColumnPlan {
  const object = configuration.object(column.code, column.attribute);
  const codeId = object?.id ?? configuration.codeId(column.code) ?? null;
  const inProfile = PROFILES[list.kind] !== undefined;
  return {
    index,
    column,
    role,
    scaler: scalerOf(column, object, meterType, configuration),
    scalesFloats: column.scaler !== null,
    targets,
    leftover: list.kind === "event" ? "context" : inProfile && object !== undefined ? "extra" : "reading",
    name: column.attribute === 2 ? column.code : `${column.code}/${column.attribute}`,
    codeId,
    unit: (column.unit === null ? null : unitSymbol(column.unit)) || object?.unit || null,
  };
}

/** From the frame, else as configured for the meter type; 0 for what has no scaler at all: counts, codes, states. */
function scalerOf(
  column: CapturedColumn,
  object: ObjectRecord | undefined,
  meterType: string,
  configuration: MappingConfiguration,
): number | null {
  if (column.scaler !== null) return column.scaler;
  const record =
    configuration.scaler(meterType, column.code, column.attribute) ??
    // A limiter's thresholds are in the scaler of the power that it watches.
    (column.code === LOAD_LIMIT ? configuration.scaler(meterType, ACTIVE_POWER, 2) : undefined);
  if (record !== undefined) return record.scaler + prefixOf(record.unit, object?.unit ?? null);
  return hasScaler(column, object) ? null : 0;
}

/** kWh where the catalogue stores Wh, MW where it stores W: people write configured units so. */
function prefixOf(unit: string | null, stored: string | null): number {
  if (unit === null || stored === null || unit === stored || !unit.endsWith(stored)) return 0;
  const prefix = unit.slice(0, unit.length - stored.length);
  return prefix === "k" ? 3 : prefix === "M" ? 6 : prefix === "m" ? -3 : 0;
}

/** Registers, extended registers and demand registers have a scaler_unit; of other objects only those with a unit. */
function hasScaler(column: CapturedColumn, object: ObjectRecord | undefined): boolean {
  const { classId, attribute } = column;
  if (classId === 3 || classId === 4) return attribute === 2;
  if (classId === 5) return attribute === 2 || attribute === 3;
  return object?.unit !== undefined && object.unit !== null && object.unit !== "";
}

function plannedTable(table: Table, source: CaptureSource, intervalSeconds: number | null): PlannedTable {
  const at = (name: string) => table.position.get(name) ?? -1;
  const template = table.empty.slice();
  if (at("source") >= 0) template[at("source")] = source;
  const hasInterval = table === ENERGY_MEASUREMENTS || table === BLOCK_LOAD_PROFILE;
  if (hasInterval) template[at("interval_seconds")] = intervalSeconds;
  return {
    table,
    template,
    time: table.time,
    meterId: at("meter_id"),
    origin: at("origin"),
    receivedAt: at("received_at"),
    clockStatus: at("clock_status"),
    clockDeviation: at("clock_deviation_min"),
  };
}
