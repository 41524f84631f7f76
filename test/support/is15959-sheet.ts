/*
 * The lists of IS 15959 as the fact sheet has them, typed from it and not taken from obis/: what a push carries, as what type, with which
 * scaler the meters of these tests send it, and in which column it must end. Codes are written without their last group, 255.
 */

export type Wire = "u8" | "u16" | "i16" | "u32" | "i32" | "bool" | "time";

export interface SheetColumn {
  readonly code: string;
  readonly attribute: number;
  readonly classId: number;
  readonly wire: Wire;
  readonly scaler: number;
  readonly unit: string;
  /** Column of the profile table; null: it stands in `extra`. */
  readonly column: string | null;
  /** Measurement table and column, where the quantity has one. */
  readonly measurement: string | null;
}

export type Category = "D1" | "D2" | "D3";

function register(
  code: string,
  wire: Wire,
  scaler: number,
  unit: string,
  column: string,
  table: string | null,
): SheetColumn {
  const measurement = table === null ? null : `${table}.${column}`;
  return { code, attribute: 2, classId: 3, wire, scaler, unit, column, measurement };
}

function count(code: string, column: string | null, wire: Wire = "u32", classId = 1): SheetColumn {
  return { code, attribute: 2, classId, wire, scaler: 0, unit: "", column, measurement: null };
}

function demand(code: string, unit: "W" | "VA", column: string, measured: boolean): SheetColumn[] {
  const table = measured ? "power_readings" : null;
  const of = (attribute: number, wire: Wire, name: string): SheetColumn => ({
    ...{ code, attribute, classId: 4, wire, scaler: 0, column: name },
    unit: attribute === 2 ? unit : "",
    measurement: table === null ? null : `${table}.${name}`,
  });
  return [of(2, "u32", column), of(5, "time", `${column}_at`)];
}

const V = (code: string, phase: number) =>
  register(code, "u16", -1, "V", `voltage_l${phase}_v`, "voltage_measurements");
const A = (code: string, phase: number) =>
  register(code, "u16", -2, "A", `current_l${phase}_a`, "current_measurements");
const PF = (code: string, suffix = "") =>
  register(code, "i16", -3, "", `power_factor${suffix}`, "power_readings");
const energy = (code: string, unit: string, column: string) =>
  register(code, "u32", 1, unit, column, "energy_measurements");
const block = (code: string, unit: string, column: string) =>
  register(code, "u32", 0, unit, `block_${column}`, "energy_measurements");
const minutes = (code: string, column: string) => register(code, "u32", 0, "min", column, null);

const CLOCK: SheetColumn = { ...count("0.0.1.0.0", "time", "time", 8) };
const WH = energy("1.0.1.8.0", "Wh", "active_import_wh");
const WH_EXPORT = energy("1.0.2.8.0", "Wh", "active_export_wh");
const VAH = energy("1.0.9.8.0", "VAh", "apparent_import_vah");
const VAH_EXPORT = energy("1.0.10.8.0", "VAh", "apparent_export_vah");
const QUADRANTS = [5, 6, 7, 8].map((c) => energy(`1.0.${c}.8.0`, "varh", `reactive_q${c - 4}_varh`));
const MD_W = demand("1.0.1.6.0", "W", "max_demand_import_w", true);
const MD_VA = demand("1.0.9.6.0", "VA", "max_demand_import_va", true);
const VA = register("1.0.9.7.0", "u32", 0, "VA", "apparent_import_va", "power_readings");
const W = register("1.0.1.7.0", "i32", 0, "W", "active_import_w", "power_readings");
const VAR = register("1.0.3.7.0", "i32", 0, "var", "reactive_import_var", "power_readings");
const HZ = register("1.0.14.7.0", "u16", -2, "Hz", "frequency_hz", "power_readings");
const TAMPER = count("0.0.94.91.0", "tamper_count");
const BILLINGS = count("0.0.0.1.0", "billing_count");
const PROGRAMMINGS = count("0.0.96.2.0", "programming_count");
const RELAY = count("0.0.96.3.10", "relay_connected", "bool", 70);
const LIMIT: SheetColumn = {
  ...register("0.0.17.0.0", "u32", 0, "W", "load_limit_w", null),
  attribute: 3,
  classId: 71,
};
const HEALTH = count("0.0.96.10.1", "meter_health", "u8");

/** Section 5.1 */
const INSTANT_D1 = [
  ...[CLOCK, V("1.0.12.7.0", 1), A("1.0.11.7.0", 1)],
  register("1.0.91.7.0", "u16", -2, "A", "current_neutral_a", "current_measurements"),
  ...[PF("1.0.13.7.0"), HZ, VA, W, WH, VAH, ...MD_W, ...MD_VA],
  minutes("0.0.94.91.14", "power_on_min"),
  ...[TAMPER, BILLINGS, PROGRAMMINGS, WH_EXPORT, VAH_EXPORT, RELAY, LIMIT],
];

/** Section 5.2, columns 1 to 21 */
const INSTANT_THREE_PHASE = [
  CLOCK,
  ...[31, 51, 71].map((c, i) => A(`1.0.${c}.7.0`, i + 1)),
  ...[32, 52, 72].map((c, i) => V(`1.0.${c}.7.0`, i + 1)),
  ...[33, 53, 73].map((c, i) => PF(`1.0.${c}.7.0`, `_l${i + 1}`)),
  ...[PF("1.0.13.7.0"), HZ, VA, W, VAR],
  count("0.0.96.7.0", "power_failures"),
  minutes("0.0.94.91.8", "power_off_min"),
  ...[TAMPER, BILLINGS, PROGRAMMINGS],
  count("0.0.0.1.2", "last_billing_at", "time", 3),
];

const BLOCK_THREE_PHASE = [
  CLOCK,
  ...[31, 51, 71].map((c, i) => A(`1.0.${c}.27.0`, i + 1)),
  ...[32, 52, 72].map((c, i) => V(`1.0.${c}.27.0`, i + 1)),
];
const B_WH = block("1.0.1.29.0", "Wh", "active_import_wh");
const B_WH_EXPORT = block("1.0.2.29.0", "Wh", "active_export_wh");
const B_VAH = block("1.0.9.29.0", "VAh", "apparent_import_vah");
const B_VAH_EXPORT = block("1.0.10.29.0", "VAh", "apparent_export_vah");
const B_QUADRANTS = [5, 6, 7, 8].map((c) => block(`1.0.${c}.29.0`, "varh", `reactive_q${c - 4}_varh`));

/** Tariff registers have columns in the billing profile alone; the total is a measurement too. */
function zones(total: SheetColumn): SheetColumn[] {
  const zone = (t: number): SheetColumn => ({
    ...total,
    code: total.code.replace(/0$/, String(t)),
    column: total.column!.replace(/_(wh|vah)$/, `_t${t}_$1`),
    measurement: null,
  });
  return [total, ...[1, 2, 3, 4, 5, 6, 7, 8].map(zone)];
}

/** Section 8 */
function billing(demands: readonly SheetColumn[]): SheetColumn[] {
  return [
    { ...count("0.0.0.1.2", "time", "time", 3) },
    { ...PF("1.0.13.0.0"), wire: "u16", column: "average_power_factor", measurement: null },
    ...[...zones(WH), ...zones(VAH), ...demands],
    minutes("0.0.94.91.13", "power_on_min"),
    ...[WH_EXPORT, VAH_EXPORT],
  ];
}

const zoneDemands = (group: 1 | 9, unit: "W" | "VA") =>
  [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((t) => {
    const name = `max_demand_import${t === 0 ? "" : `_t${t}`}_${unit.toLowerCase()}`;
    return demand(`1.0.${group}.6.${t}`, unit, name, t === 0);
  });
const THREE_PHASE_BILLING = billing([...zoneDemands(1, "W"), ...zoneDemands(9, "VA")]);

export const SHEET: Record<
  Category,
  Record<"instant" | "block" | "daily" | "billing", readonly SheetColumn[]>
> = {
  D1: {
    instant: INSTANT_D1,
    block: [
      ...[CLOCK, V("1.0.12.27.0", 1), B_WH, B_VAH, B_WH_EXPORT, B_VAH_EXPORT],
      ...[A("1.0.11.27.0", 1), HEALTH],
    ],
    daily: [CLOCK, WH, VAH, WH_EXPORT, VAH_EXPORT],
    billing: billing([...MD_W, ...MD_VA]),
  },
  D2: {
    instant: [
      ...[...INSTANT_THREE_PHASE, WH, WH_EXPORT, VAH, VAH_EXPORT, ...MD_W, ...MD_VA],
      ...[RELAY, LIMIT, ...QUADRANTS],
    ],
    block: [...BLOCK_THREE_PHASE, B_WH, B_VAH, B_WH_EXPORT, B_VAH_EXPORT, HEALTH],
    daily: [CLOCK, WH, VAH, WH_EXPORT, VAH_EXPORT],
    billing: THREE_PHASE_BILLING,
  },
  D3: {
    instant: [
      ...[...INSTANT_THREE_PHASE, WH, WH_EXPORT, ...QUADRANTS, VAH, VAH_EXPORT],
      ...[...MD_W, ...MD_VA],
    ],
    block: [...BLOCK_THREE_PHASE, B_WH, B_WH_EXPORT, ...B_QUADRANTS, B_VAH, B_VAH_EXPORT, HEALTH],
    daily: [CLOCK, WH, WH_EXPORT, VAH, VAH_EXPORT, ...QUADRANTS],
    billing: THREE_PHASE_BILLING,
  },
};

/** Section 10: rows of the logs with values, and their codes. */
export const EVENT_LOGS: readonly { log: string; index: number; code: number; clearedBy: number | null }[] = [
  { log: "voltage", index: 0, code: 7, clearedBy: 8 },
  { log: "current", index: 1, code: 51, clearedBy: 52 },
  { log: "power", index: 2, code: 101, clearedBy: 102 },
  { log: "transaction", index: 3, code: 151, clearedBy: null },
  { log: "other", index: 4, code: 201, clearedBy: 202 },
  { log: "non-rollover", index: 5, code: 251, clearedBy: null },
  { log: "control", index: 6, code: 301, clearedBy: 302 },
];

/** CSV of the scalers that the meters of one category use, for `hes meter-types import`. */
export function scalerLines(category: Category, meterType: string): string[] {
  const columns = Object.values(SHEET[category]).flat();
  const lines = columns
    .filter(({ wire, unit, scaler }) => wire !== "time" && wire !== "bool" && (unit !== "" || scaler !== 0))
    .map(({ code, attribute, scaler, unit }) => `${meterType},${code}.255,${attribute},${scaler},${unit}`);
  return [...new Set(lines)];
}
