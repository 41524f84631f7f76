import { join } from "node:path";
import { type Catalogue, readScalers } from "../src/catalogue/catalogue.ts";
import { catalogueFolder } from "../src/catalogue/catalogue-folder.ts";
import type { Mechanism } from "../src/dlms/association/mechanisms.ts";
import type { Capture } from "./capture.ts";
import {
  type DeviceFile,
  type DeviceProfileEntry,
  type DevicePushEntry,
  readDeviceFile,
} from "./device/device-file.ts";
import { INCIDENT_SETS, type IncidentSet } from "./incidents.ts";
import type { Site } from "./load-curve.ts";
import { type LocalZone, ZONES } from "./local-time.ts";
import type { Layout } from "./push-body.ts";
import { type CellWriter, cellWriter, type RowColumn, sentValue } from "./row-writer.ts";

/** Kinds of pushes, as statistics count them. */
export type PushKind =
  | "instant"
  | "block"
  | "daily"
  | "billing"
  | "event"
  | "alert"
  | "name-plate"
  /** Present values of a customer interface that tells no time. */
  | "untimed";
export const PUSH_KINDS: readonly PushKind[] = [
  "instant",
  "block",
  "daily",
  "billing",
  "event",
  "alert",
  "name-plate",
  "untimed",
];

export const MODEL_NAMES = ["D1", "D2", "D3", "HT", "IDIS"] as const;
export type ModelName = (typeof MODEL_NAMES)[number];

export interface ModelColumn extends RowColumn {
  readonly classId: number;
  /** Symbol; null: none. */
  readonly unit: string | null;
}

/** One list that a model pushes, ready to be written. */
export interface ModelList {
  readonly name: string;
  readonly kind: PushKind;
  /** Logical name of the push setup; empty: it is not pushed. */
  readonly pushSetup: string;
  /** Logical name of the profile whose row it is; null: of none. */
  readonly profile: string | null;
  readonly columns: readonly ModelColumn[];
  readonly cells: readonly CellWriter[];
  /** One value of the row as it is sent, in SI units, by which a stored row is compared with the sent one; 0 where it has none. */
  readonly check: (capture: Capture) => number;
}

/** A client that a meter knows, and how it proves who it is. */
export interface ModelClient {
  readonly sap: number;
  readonly mechanism: Mechanism;
  /** As the keys' file names it: ciphered, plain, or auto. */
  readonly context: string;
}

/** A kind of meter: what it pushes and how. All meters of a model share one. */
export interface Model {
  readonly name: ModelName;
  /** Name of the meter type that its scalers are configured for. */
  readonly meterType: string;
  readonly zone: LocalZone;
  readonly site: Site["kind"];
  readonly phases: 1 | 3;
  readonly blockSeconds: number;
  /** Step of a block's energy in Wh. */
  readonly resolution: number;
  readonly averageW: { readonly from: number; readonly to: number };
  /** Between a phase and neutral, V. */
  readonly nominalV: number;
  readonly currentRating: string;
  /** Text of 0.0.94.91.11. */
  readonly category: string;
  /** Value of 0.0.94.91.9. */
  readonly typeCode: number;
  /** Ratios of transformers that meters have, one of each. */
  readonly ctRatios: readonly number[];
  readonly vtRatios: readonly number[];
  /** How all its meters write their bodies; null: as each one's style says. */
  readonly layout: Layout | null;
  readonly clients: readonly ModelClient[];
  /** What it has besides what it measures and captures. */
  readonly device: DeviceFile;
  readonly incidents: IncidentSet;
  readonly instant: ModelList | null;
  readonly block: ModelList;
  readonly daily: ModelList;
  readonly billing: ModelList;
  readonly alert: ModelList;
  readonly namePlate: ModelList;
  /** By number of the log. */
  readonly events: ReadonlyMap<number, ModelList>;
  /** A column with the unit and the scaler that the meter type has for it. */
  readonly column: (entry: ColumnName) => ModelColumn;
}

export type ColumnName = Pick<ModelColumn, "classId" | "code" | "attribute">;

interface Shape {
  readonly meter_type: string;
  readonly device: string;
  readonly zone: keyof typeof ZONES;
  readonly site: Site["kind"];
  readonly phases: 1 | 3;
  readonly block_seconds: number;
  readonly average_w: readonly [from: number, to: number];
  readonly nominal_v: number;
  readonly current_rating: string;
  readonly type_code: number;
  readonly category?: string;
  readonly ct_ratio?: readonly number[];
  readonly vt_ratio?: readonly number[];
  /** Whether powers are signed; else export and capacitive power have objects of their own. */
  readonly signed?: boolean;
  readonly layout?: Layout;
  /** Names of lists in obis/push-lists. */
  readonly lists: Readonly<Partial<Record<Exclude<PushKind, "event" | "untimed">, string>>> & {
    readonly events?: readonly string[];
  };
}

/** Whose value is compared with the stored one, by kind of list: the energy of the block, or the register. */
const CHECKED: Readonly<Record<string, readonly string[]>> = {
  instant: ["1.0.1.8.0.255"],
  block: ["1.0.1.29.0.255", "1.0.1.8.0.255"],
  daily: ["1.0.1.8.0.255"],
  billing: ["1.0.1.8.0.255"],
};

/** The models, their lists and scalers from `catalogue`: what a simulated meter sends is data. */
export function loadModels(catalogue: Catalogue): Readonly<Record<ModelName, Model>> {
  const scalers = new Map(
    readScalers(join(catalogueFolder(), "example-scalers", "simulated.csv")).map((s) => [
      `${s.meterType}/${s.code}/${s.attribute}`,
      s.scaler,
    ]),
  );
  const { models } = readDeviceFile<{ models: Record<ModelName, Shape> }>("models");
  const all = MODEL_NAMES.map((name) => [
    name,
    new ModelReader(name, models[name], catalogue, scalers).read(),
  ]);
  return Object.fromEntries(all) as Record<ModelName, Model>;
}

/** Attributes of one list, wherever it stands. */
interface ListSource {
  readonly name: string;
  readonly kind: PushKind;
  readonly pushSetup: string;
  readonly profile: string | null;
  readonly entries: readonly ColumnName[];
}

class ModelReader {
  readonly #name: ModelName;
  readonly #shape: Shape;
  readonly #catalogue: Catalogue;
  readonly #scalers: ReadonlyMap<string, number>;
  readonly #device: DeviceFile;

  constructor(name: ModelName, shape: Shape, catalogue: Catalogue, scalers: ReadonlyMap<string, number>) {
    this.#name = name;
    this.#shape = shape;
    this.#catalogue = catalogue;
    this.#scalers = scalers;
    this.#device = readDeviceFile<DeviceFile>(shape.device);
  }

  read(): Model {
    const shape = this.#shape;
    const device = this.#device;
    const [from, to] = shape.average_w;
    const blockScaler = this.#scalers.get(`${shape.meter_type}/1.0.1.29.0.255/2`) ?? 0;
    return {
      name: this.#name,
      meterType: shape.meter_type,
      zone: ZONES[shape.zone],
      site: shape.site,
      phases: shape.phases,
      blockSeconds: shape.block_seconds,
      resolution: 10 ** blockScaler,
      averageW: { from, to },
      nominalV: shape.nominal_v,
      currentRating: shape.current_rating,
      category: shape.category ?? this.#name,
      typeCode: shape.type_code,
      ctRatios: shape.ct_ratio ?? [1],
      vtRatios: shape.vt_ratio ?? [1],
      layout: shape.layout ?? null,
      clients: device.associations.map(({ client_sap: sap, mechanism }) => ({
        ...{ sap, mechanism },
        context: "auto",
      })),
      device,
      incidents: INCIDENT_SETS[shape.device === "idis" ? "idis" : "is15959"],
      instant: this.#find("instant"),
      block: this.#list("block"),
      daily: this.#list("daily"),
      billing: this.#list("billing"),
      alert: this.#list("alert"),
      namePlate: this.#list("name-plate"),
      events: this.#events(),
      column: (entry) => this.#column(entry),
    };
  }

  #list(kind: Exclude<PushKind, "event" | "untimed">): ModelList {
    const list = this.#find(kind);
    if (list === null) throw new Error(`model ${this.#name} has no list of kind ${kind}`);
    return list;
  }

  /** By the name that the model gives it in obis/push-lists, else as the device file has it; null: neither. */
  #find(kind: Exclude<PushKind, "event" | "untimed">): ModelList | null {
    const profile = this.#device.profiles.find((one) => one.kind === kind);
    const name = this.#shape.lists[kind];
    if (name !== undefined) return this.#made(this.#catalogued(name, kind, profile));
    const described = profile ?? this.#device.pushes?.find((one) => one.kind === kind);
    return described?.columns === undefined ? null : this.#made(this.#described(kind, described));
  }

  #events(): ReadonlyMap<number, ModelList> {
    const names = this.#shape.lists.events;
    const logs = this.#device.profiles.filter(({ kind }) => kind === "event");
    return new Map(
      logs.map((profile) => {
        const log = profile.log!;
        const name = names?.[log];
        const source =
          name === undefined ? this.#described("event", profile) : this.#catalogued(name, "event", profile);
        return [log, this.#made(source)] as const;
      }),
    );
  }

  #catalogued(name: string, kind: PushKind, profile: DeviceProfileEntry | undefined): ListSource {
    const list = this.#catalogue.pushLists.find((candidate) => candidate.name === name);
    if (list === undefined) throw new Error(`the catalogue has no push list "${name}"`);
    const pushSetup = profile?.push_setup ?? list.pushSetup ?? "";
    return { name, kind, pushSetup, profile: profile?.logical_name ?? null, entries: list.entries };
  }

  #described(kind: PushKind, entry: DeviceProfileEntry | DevicePushEntry): ListSource {
    const profile = "logical_name" in entry ? entry.logical_name : null;
    return {
      name: `${this.#name} ${kind}`,
      kind,
      pushSetup: entry.push_setup ?? "",
      profile,
      entries: (entry.columns ?? []).map(([classId, code, attribute]) => ({ classId, code, attribute })),
    };
  }

  #made({ name, kind, pushSetup, profile, entries }: ListSource): ModelList {
    const columns = entries.map((entry) => this.#column(entry));
    const checked = (CHECKED[kind] ?? []).flatMap((code) =>
      columns.filter((column) => column.attribute === 2 && column.code === code),
    )[0];
    return {
      name,
      kind,
      pushSetup,
      profile,
      columns,
      cells: columns.map(cellWriter),
      check: checked === undefined ? () => 0 : sentValue(checked),
    };
  }

  #column({ classId, code, attribute }: ColumnName): ModelColumn {
    const { meter_type, signed = true } = this.#shape;
    const known = this.#catalogue.byCode(code, attribute);
    return {
      ...{ classId, code, attribute, signed },
      unit: known?.unit ?? null,
      dataType: known?.dataType ?? "double-long-unsigned",
      scaler: this.#scalers.get(`${meter_type}/${code}/${attribute}`) ?? 0,
    };
  }
}
