/**
 * The tables that a capture of a meter ends in, column by column, as the mapping fills them and the storage writes them.
 * A row is an array of cells in the order of `columns`. A test compares these lists with the migrated database.
 */

/**
 * Instants are milliseconds since 1970 UTC (`timestamp`), everything else is as its column type says. Octets of a `bytea` may be a text in Latin-1.
 */
export type Cell = number | string | boolean | bigint | Uint8Array | null | undefined;

export type ColumnType =
  | "timestamptz"
  | "uuid"
  | "text"
  | "smallint"
  | "integer"
  | "bigint"
  | "double precision"
  | "numeric"
  | "boolean"
  | "jsonb"
  | "bytea";

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** A time-series table: `key` columns decide what is a duplicate, the others what is a conflict. */
export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  /** Columns that tell how a row came and take no part in the comparison of two rows with the same key. */
  readonly provenance: readonly string[];
  /** Position of each column, by name. */
  readonly position: ReadonlyMap<string, number>;
  /** A row with nothing in it, to be copied: that is one move of memory. */
  readonly empty: readonly Cell[];
  /** Its number among all tables, from 0: what is kept for each of them during a batch stands in an array. */
  readonly ordinal: number;
  /** Position of the column that decides in which partition a row stands. */
  readonly time: number;
  /** Position of the column that refers to the frame that a row came in; −1 where none does. */
  readonly frameId: number;
}

/** One row for `table`, its cells in the order of `table.columns`; a missing cell is NULL. */
export interface Row {
  readonly table: Table;
  readonly cells: Cell[];
}

type Definition = readonly [type: ColumnType, ...names: string[]];

const PARTITIONED_BY = ["time", "started_at", "received_at"];
let tables = 0;

function table(name: string, key: string[], provenance: string[], ...definitions: Definition[]): Table {
  const columns = definitions.flatMap(([type, ...names]) => names.map((column) => ({ name: column, type })));
  const position = new Map(columns.map((column, index) => [column.name, index]));
  const time = position.get(PARTITIONED_BY.find((column) => position.has(column))!)!;
  const frameId = position.get("frame_id") ?? -1;
  const empty = columns.map(() => null);
  return { name, key, provenance, columns, position, empty, ordinal: tables++, time, frameId };
}

const DOUBLE = "double precision";
const PHASES = ["l1", "l2", "l3"];
const TARIFFS = [1, 2, 3, 4, 5, 6, 7, 8];
const perPhase = (name: string, unit: string) => PHASES.map((phase) => `${name}_${phase}_${unit}`);
const withTariffs = (name: string, unit: string) => [
  `${name}_${unit}`,
  ...TARIFFS.map((tariff) => `${name}_t${tariff}_${unit}`),
];

/** How a capture was made: the kind of profile that it belongs to. Part of the key of every measurement. */
export type CaptureSource = "instant" | "block" | "daily" | "billing" | "event" | "single";
/** How a capture reached the head-end. Never part of a key. */
export type Origin = "push" | "poll";

const HOW = ["origin", "received_at"];
const PROFILE_HOW = ["origin", "received_at", "frame_id"];
const CUMULATIVE = [
  "active_import_wh",
  "active_export_wh",
  "apparent_import_vah",
  "apparent_export_vah",
  "reactive_import_varh",
  "reactive_export_varh",
  "reactive_q1_varh",
  "reactive_q2_varh",
  "reactive_q3_varh",
  "reactive_q4_varh",
];
const PER_INTERVAL = CUMULATIVE.map((name) => `block_${name}`);

export const ENERGY_MEASUREMENTS = table(
  "energy_measurements",
  ["meter_id", "time", "source"],
  HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "source", "origin"],
  ["timestamptz", "received_at"],
  [DOUBLE, ...CUMULATIVE, ...PER_INTERVAL],
  ["integer", "interval_seconds"],
);

export const POWER_READINGS = table(
  "power_readings",
  ["meter_id", "time", "source"],
  HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "source", "origin"],
  ["timestamptz", "received_at"],
  [DOUBLE, "active_import_w", ...perPhase("active_import", "w")],
  [DOUBLE, "active_export_w", ...perPhase("active_export", "w")],
  [DOUBLE, "reactive_import_var", ...perPhase("reactive_import", "var")],
  [DOUBLE, "reactive_export_var", ...perPhase("reactive_export", "var")],
  [DOUBLE, "apparent_import_va", ...perPhase("apparent_import", "va")],
  [DOUBLE, "apparent_export_va", ...perPhase("apparent_export", "va")],
  [DOUBLE, "power_factor", "power_factor_l1", "power_factor_l2", "power_factor_l3", "frequency_hz"],
  [DOUBLE, "demand_import_w", "demand_export_w"],
  [DOUBLE, "max_demand_import_w", "max_demand_import_va", "max_demand_export_w", "max_demand_export_va"],
  ["timestamptz", "max_demand_import_w_at", "max_demand_import_va_at"],
  ["timestamptz", "max_demand_export_w_at", "max_demand_export_va_at"],
);

export const VOLTAGE_MEASUREMENTS = table(
  "voltage_measurements",
  ["meter_id", "time", "source"],
  HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "source", "origin"],
  ["timestamptz", "received_at"],
  [DOUBLE, ...perPhase("voltage", "v"), "voltage_neutral_v"],
  [DOUBLE, "voltage_l12_v", "voltage_l23_v", "voltage_l31_v"],
  [DOUBLE, "angle_l12_deg", "angle_l23_deg", "angle_l13_deg"],
);

export const CURRENT_MEASUREMENTS = table(
  "current_measurements",
  ["meter_id", "time", "source"],
  HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "source", "origin"],
  ["timestamptz", "received_at"],
  [DOUBLE, ...perPhase("current", "a"), "current_neutral_a", "current_total_a"],
  [DOUBLE, ...perPhase("current_angle", "deg")],
);

export const METER_READINGS = table(
  "meter_readings",
  ["meter_id", "time", "obis_code_id", "attribute", "source"],
  HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["integer", "obis_code_id"],
  ["smallint", "attribute"],
  ["text", "source", "origin"],
  ["timestamptz", "received_at"],
  [DOUBLE, "value"],
  ["text", "value_text"],
  ["text", "unit"],
  ["smallint", "quality"],
);

export const INSTANT_PROFILE = table(
  "instant_profile",
  ["meter_id", "time"],
  PROFILE_HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "origin"],
  ["timestamptz", "received_at"],
  ["bigint", "frame_id"],
  ["smallint", "clock_status", "clock_deviation_min"],
  [DOUBLE, ...perPhase("voltage", "v"), ...perPhase("current", "a"), "current_neutral_a"],
  [DOUBLE, "power_factor", "power_factor_l1", "power_factor_l2", "power_factor_l3", "frequency_hz"],
  [DOUBLE, "apparent_import_va", "active_import_w", "reactive_import_var"],
  [DOUBLE, ...CUMULATIVE],
  [DOUBLE, "max_demand_import_w", "max_demand_import_va", "max_demand_export_w", "max_demand_export_va"],
  ["timestamptz", "max_demand_import_w_at", "max_demand_import_va_at"],
  ["timestamptz", "max_demand_export_w_at", "max_demand_export_va_at"],
  ["bigint", "power_on_min", "power_off_min", "power_failures", "tamper_count", "billing_count"],
  ["bigint", "programming_count"],
  ["timestamptz", "last_billing_at"],
  ["boolean", "relay_connected"],
  [DOUBLE, "load_limit_w", "signal_strength_dbm"],
  ["jsonb", "extra"],
);

export const BLOCK_LOAD_PROFILE = table(
  "block_load_profile",
  ["meter_id", "time"],
  PROFILE_HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "origin"],
  ["timestamptz", "received_at"],
  ["bigint", "frame_id"],
  ["smallint", "clock_status", "clock_deviation_min"],
  ["integer", "interval_seconds"],
  [DOUBLE, ...perPhase("voltage", "v"), ...perPhase("current", "a"), "current_neutral_a", "power_factor"],
  [DOUBLE, ...PER_INTERVAL, ...CUMULATIVE],
  ["smallint", "meter_health"],
  [DOUBLE, "signal_strength_dbm"],
  ["jsonb", "extra"],
);

const billingDemand = (unit: string) => withTariffs("max_demand_import", unit);

export const BILLING_PROFILE = table(
  "billing_profile",
  ["meter_id", "time"],
  PROFILE_HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "origin"],
  ["timestamptz", "received_at"],
  ["bigint", "frame_id"],
  ["smallint", "clock_status", "clock_deviation_min"],
  [DOUBLE, "average_power_factor"],
  ["numeric", ...withTariffs("active_import", "wh"), ...withTariffs("active_export", "wh")],
  ["numeric", ...withTariffs("apparent_import", "vah"), ...withTariffs("apparent_export", "vah")],
  ["numeric", "reactive_import_varh", "reactive_export_varh"],
  ["numeric", "reactive_q1_varh", "reactive_q2_varh", "reactive_q3_varh", "reactive_q4_varh"],
  [DOUBLE, ...billingDemand("w"), ...billingDemand("va"), "max_demand_export_w", "max_demand_export_va"],
  ["timestamptz", ...billingDemand("w").map((name) => `${name}_at`)],
  ["timestamptz", ...billingDemand("va").map((name) => `${name}_at`)],
  ["timestamptz", "max_demand_export_w_at", "max_demand_export_va_at"],
  ["bigint", "power_on_min", "tamper_count", "billing_count"],
  ["jsonb", "extra"],
);

/** The four tables by kind of quantity, and those by profile. */
export const MEASUREMENT_TABLES = [
  ENERGY_MEASUREMENTS,
  POWER_READINGS,
  VOLTAGE_MEASUREMENTS,
  CURRENT_MEASUREMENTS,
] as const;
export const PROFILE_TABLES = [INSTANT_PROFILE, BLOCK_LOAD_PROFILE, BILLING_PROFILE] as const;

/** What a meter reported: a row of an event log, a bit of the event status word, an alarm. */
export const METER_EVENTS = table(
  "meter_events",
  ["meter_id", "log", "time", "code", "sequence"],
  PROFILE_HOW,
  ["timestamptz", "time"],
  ["uuid", "meter_id"],
  ["text", "log"],
  ["integer", "code", "sequence"],
  ["text", "name", "severity", "origin"],
  ["timestamptz", "received_at"],
  ["bigint", "frame_id"],
  ["boolean", "active"],
  ["integer", "clears_code"],
  ["jsonb", "context"],
);

/** One attempt, or one received push. */
export const PUSH_HISTORY = table(
  "push_history",
  ["id", "started_at", "meter_id"],
  [],
  ["bigint", "id"],
  ["timestamptz", "started_at", "finished_at", "due_at"],
  ["uuid", "meter_id"],
  ["text", "kind", "verdict"],
  ["integer", "push_schedule_id", "push_setup_id", "push_object_id"],
  ["smallint", "attempt"],
  ["integer", "value_count", "row_count", "octet_count"],
  ["bigint", "invocation_counter"],
  ["integer", "key_id"],
  ["bytea", "digest"],
  ["bigint", "frame_id"],
  ["text", "error"],
);

/** Every accepted APDU as it was received, so that it can be decoded again. */
export const RAW_FRAMES = table(
  "raw_frames",
  ["id", "received_at", "meter_id"],
  [],
  ["bigint", "id"],
  ["timestamptz", "received_at"],
  ["uuid", "meter_id"],
  ["text", "peer", "framing"],
  ["bytea", "apdu"],
  ["bigint", "invocation_counter"],
  ["integer", "key_id"],
  ["smallint", "security_control"],
  ["boolean", "verified"],
);

export const ROW_TABLES: readonly Table[] = [
  ...MEASUREMENT_TABLES,
  METER_READINGS,
  ...PROFILE_TABLES,
  METER_EVENTS,
  PUSH_HISTORY,
  RAW_FRAMES,
];
