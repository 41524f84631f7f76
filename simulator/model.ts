import { join } from "node:path";
import { type Catalogue, catalogueFolder, type ListKind, readScalers } from "../src/catalogue/catalogue.ts";
import type { Capture } from "./capture.ts";
import { type CellWriter, cellWriter, type RowColumn, sentValue } from "./row-writer.ts";

/** Kinds of pushes, as statistics count them. */
export type PushKind = "instant" | "block" | "daily" | "billing" | "event" | "alert" | "name-plate";
export const PUSH_KINDS: readonly PushKind[] = [
  "instant",
  "block",
  "daily",
  "billing",
  "event",
  "alert",
  "name-plate",
];

export const MODEL_NAMES = ["D1", "D2", "D3"] as const;
export type ModelName = (typeof MODEL_NAMES)[number];

/** How long a block lasts. */
export const BLOCK_SECONDS: Readonly<Record<ModelName, number>> = { D1: 1_800, D2: 1_800, D3: 900 };

export interface ModelColumn extends RowColumn {
  readonly classId: number;
  /** Symbol; null: none. */
  readonly unit: string | null;
}

/** One list that a model pushes, ready to be written. */
export interface ModelList {
  readonly name: string;
  readonly kind: ListKind;
  /** Logical name of the push setup. */
  readonly pushSetup: string;
  readonly columns: readonly ModelColumn[];
  readonly cells: readonly CellWriter[];
  /** One value of the row as it is sent, in SI units, by which a stored row is compared with the sent one; 0 where it has none. */
  readonly check: (capture: Capture) => number;
}

/** A kind of meter: what it pushes and how. All meters of a model share one. */
export interface Model {
  readonly name: ModelName;
  /** Name of the meter type that its scalers are configured for. */
  readonly meterType: string;
  readonly phases: 1 | 3;
  readonly blockSeconds: number;
  /** Step of a block's energy in Wh. */
  readonly resolution: number;
  readonly averageW: { readonly from: number; readonly to: number };
  readonly currentRating: string;
  /** Value of 0.0.94.91.9. */
  readonly typeCode: number;
  readonly instant: ModelList;
  readonly block: ModelList;
  readonly daily: ModelList;
  readonly billing: ModelList;
  readonly alert: ModelList;
  readonly namePlate: ModelList;
  /** By number of the log, 0 … 6. */
  readonly events: readonly ModelList[];
}

const SHAPES = {
  D1: {
    phases: 1,
    averageW: { from: 250, to: 1_200 },
    currentRating: "5-30 A",
    typeCode: 6,
  },
  D2: {
    phases: 3,
    averageW: { from: 900, to: 4_000 },
    currentRating: "10-60 A",
    typeCode: 7,
  },
  D3: {
    phases: 3,
    averageW: { from: 15_000, to: 60_000 },
    currentRating: "-/5 A",
    typeCode: 8,
  },
} as const;

/** Whose value is compared with the stored one, by kind of list: the energy of the block, or the register. */
const CHECKED: Readonly<Record<string, string>> = {
  instant: "1.0.1.8.0.255",
  block: "1.0.1.29.0.255",
  daily: "1.0.1.8.0.255",
  billing: "1.0.1.8.0.255",
};

const LOGS = ["voltage", "current", "power", "transaction", "other", "non-rollover", "control"];
/** Logs whose rows tell what was measured; rows of the others have the code and a sequence number. */
const MEASURED_LOGS = ["voltage", "current", "other"];

/** The models, their lists and scalers from `catalogue`: what a simulated meter sends is data. */
export function loadModels(catalogue: Catalogue): Readonly<Record<ModelName, Model>> {
  const scalers = new Map(
    readScalers(join(catalogueFolder(), "example-scalers", "simulated.csv")).map((s) => [
      `${s.meterType}/${s.code}/${s.attribute}`,
      s.scaler,
    ]),
  );
  return {
    D1: modelOf("D1", catalogue, scalers),
    D2: modelOf("D2", catalogue, scalers),
    D3: modelOf("D3", catalogue, scalers),
  };
}

function modelOf(name: ModelName, catalogue: Catalogue, scalers: ReadonlyMap<string, number>): Model {
  const meterType = `SIM-${name}`;
  const list = (what: string) => listOf(`${name} ${what}`, meterType, catalogue, scalers);
  const blockScaler = scalers.get(`${meterType}/1.0.1.29.0.255/2`) ?? 0;
  return {
    name,
    meterType,
    ...SHAPES[name],
    blockSeconds: BLOCK_SECONDS[name],
    resolution: 10 ** blockScaler,
    instant: list("instant"),
    block: list("block"),
    daily: list("daily"),
    billing: list(name === "D3" ? "billing, reactive, tail" : "billing, export demands, tail"),
    alert: list("alert"),
    namePlate: list("name plate"),
    events: LOGS.map((log) =>
      list(MEASURED_LOGS.includes(log) ? `event log ${log}, export` : `event log ${log}, code and sequence`),
    ),
  };
}

function listOf(
  name: string,
  meterType: string,
  catalogue: Catalogue,
  scalers: ReadonlyMap<string, number>,
): ModelList {
  const list = catalogue.pushLists.find((candidate) => candidate.name === name);
  if (list === undefined) throw new Error(`the catalogue has no push list "${name}"`);
  const columns = list.entries.map(({ classId, code, attribute }) => ({
    classId,
    code,
    attribute,
    unit: catalogue.byCode(code, attribute)?.unit ?? null,
    dataType: catalogue.byCode(code, attribute)?.dataType ?? "double-long-unsigned",
    scaler: scalers.get(`${meterType}/${code}/${attribute}`) ?? 0,
  }));
  const checked = columns.find(({ code, attribute }) => attribute === 2 && code === CHECKED[list.kind]);
  return {
    name,
    kind: list.kind,
    pushSetup: list.pushSetup ?? "",
    columns,
    cells: columns.map(cellWriter),
    check: checked === undefined ? () => 0 : sentValue(checked),
  };
}
