import { readFileSync } from "node:fs";
import { join } from "node:path";
import { catalogueFolder } from "../../src/catalogue/catalogue.ts";
import type { Mechanism } from "../../src/dlms/association/mechanisms.ts";
import { UNIT_NONE, unitFromSymbol } from "../../src/dlms/cosem/unit.ts";
import { dataOfTree } from "../../src/dlms/encoding/data-tree.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import type { Model, ModelColumn, ModelList, PushKind } from "../model.ts";
import { type CellWriter, cellWriter } from "../row-writer.ts";

/** An association that a meter offers. */
export interface DeviceAssociation {
  readonly name: string;
  readonly clientSap: number;
  readonly logicalName: string;
  readonly mechanism: Mechanism;
  readonly ciphered: boolean;
  /** Bits of the security control that every request must have. */
  readonly required: number;
  readonly conformance: number;
  readonly preEstablished: boolean;
}

/** A profile whose rows the meter tells from its life. */
export interface DeviceProfile {
  readonly list: ModelList;
  readonly kind: PushKind;
  /** Seconds; 0: on events. */
  readonly periodSeconds: number;
  /** Rows that it holds. */
  readonly entries: number;
  /** Only the present row. */
  readonly present: boolean;
}

export interface DeviceObject {
  readonly classId: number;
  readonly version: number;
  readonly logicalName: string;
  /** Values at first. */
  readonly attributes: ReadonlyMap<number, Data>;
  /** Values that the meter measures or counts. */
  readonly cells: ReadonlyMap<number, CellWriter>;
  readonly profile: DeviceProfile | null;
  /** Whether the public client may read it. */
  readonly isPublic: boolean;
  readonly writable: readonly number[];
  readonly methods: readonly number[];
  /** Where they were read from a meter: access modes by client SAP, in bits. They decide alone then. */
  readonly rights?: ReadonlyMap<
    number,
    { readonly attributes: ReadonlyMap<number, number>; readonly methods: ReadonlyMap<number, number> }
  >;
}

/** Highest attribute that an object has, as far as anybody knows. */
export function lastAttributeOf({ classId, rights }: DeviceObject): number {
  if (rights === undefined) return attributesOf(classId);
  return Math.max(1, ...[...rights.values()].flatMap(({ attributes }) => [...attributes.keys()]));
}

/** What all meters of a model have in common, seen from an association. */
export interface DeviceModel {
  readonly associations: readonly DeviceAssociation[];
  /** By `class/logical name`. */
  readonly objects: ReadonlyMap<string, DeviceObject>;
}

export const objectKey = (classId: number, logicalName: string) => `${classId}/${logicalName}`;

interface File {
  readonly associations: readonly (Omit<
    DeviceAssociation,
    "conformance" | "clientSap" | "logicalName" | "preEstablished"
  > & {
    client_sap: number;
    logical_name: string;
    conformance: string;
    pre_established?: boolean;
  })[];
  readonly objects: readonly {
    class: number;
    version: number;
    logical_name: string;
    public?: boolean;
    attributes?: Readonly<Record<string, unknown>>;
    write?: readonly number[];
    methods?: readonly number[];
  }[];
}

const DAYS_OF_BLOCKS = 35;
const SECONDS_PER_DAY = 86_400;
/** Attributes of each class that an object list names, by class. */
const ATTRIBUTES: Readonly<Record<number, number>> = {
  ...{
    1: 2,
    3: 3,
    4: 5,
    7: 8,
    8: 9,
    9: 2,
    15: 9,
    17: 2,
    18: 7,
    20: 10,
    22: 4,
    23: 9,
    40: 7,
    41: 6,
    45: 4,
    64: 5,
    70: 4,
    71: 11,
  },
};
export const attributesOf = (classId: number): number => ATTRIBUTES[classId] ?? 1;

/** The device behind one of the Indian models: objects of its capture lists, and what obis/device-models says of the rest. */
export function indianDevice(model: Model): DeviceModel {
  const path = join(catalogueFolder(), "device-models", "is15959.json");
  const file = JSON.parse(readFileSync(path, "utf8")) as File;
  const objects = new Map<string, DeviceObject>();
  const add = (object: DeviceObject) => objects.set(objectKey(object.classId, object.logicalName), object);
  const profiles = profilesOf(model);
  for (const { list } of profiles.values()) for (const column of list.columns) addColumn(objects, column);
  for (const one of file.objects) add(described(one, objects.get(objectKey(one.class, one.logical_name))));
  for (const [logicalName, profile] of profiles) add(profileObject(logicalName, profile));
  for (const [logicalName, list] of scalerProfiles(model)) add(scalerProfile(logicalName, list));
  for (const list of pushLists(model)) add(pushSetup(list));
  const associations = file.associations.map(
    ({ client_sap, logical_name, conformance, pre_established, ...rest }) => ({
      ...rest,
      clientSap: client_sap,
      logicalName: logical_name,
      conformance: Number.parseInt(conformance, 16),
      preEstablished: pre_established ?? false,
    }),
  );
  for (const logicalName of ["0.0.40.0.0.255", ...associations.map((one) => one.logicalName)]) {
    add(plain(15, 1, logicalName, { isPublic: true, writable: [7], methods: [1, 2] }));
  }
  return { associations, objects };
}

function plain(
  classId: number,
  version: number,
  logicalName: string,
  more: Partial<DeviceObject> = {},
): DeviceObject {
  const nothing = {
    attributes: new Map(),
    cells: new Map(),
    profile: null,
    isPublic: false,
    writable: [],
    methods: [],
  };
  return { classId, version, logicalName, ...nothing, ...more };
}

function described(one: File["objects"][number], known: DeviceObject | undefined): DeviceObject {
  const attributes = new Map(known?.attributes);
  for (const [index, tree] of Object.entries(one.attributes ?? {}))
    attributes.set(Number(index), dataOfTree(tree));
  return plain(one.class, one.version, one.logical_name, {
    attributes,
    cells: known?.cells ?? cellsOf(one.class, one.logical_name),
    isPublic: one.public ?? false,
    writable: one.write ?? [],
    methods: one.methods ?? [],
  });
}

/** The value of a Data object that the meter knows without any list. */
function cellsOf(classId: number, code: string): Map<number, CellWriter> {
  if (classId !== 1) return new Map();
  try {
    return new Map([[2, cellWriter({ code, attribute: 2, dataType: "double-long-unsigned", scaler: 0 })]]);
  } catch {
    return new Map();
  }
}

function addColumn(objects: Map<string, DeviceObject>, column: ModelColumn): void {
  const { classId, code, attribute, scaler, unit } = column;
  if (classId === 8) return;
  const key = objectKey(classId, code);
  const known = objects.get(key) ?? plain(classId, 0, code);
  const cells = new Map(known.cells).set(attribute, cellWriter(column));
  const attributes = new Map(known.attributes);
  if ((classId === 3 || classId === 4) && attribute === 2) attributes.set(3, scalerUnit(scaler, unit));
  if (classId === 4 && !attributes.has(4)) attributes.set(4, { type: "null-data", value: null });
  objects.set(key, { ...known, cells, attributes });
}

function scalerUnit(scaler: number, unit: string | null): Data {
  const number = unit === null ? UNIT_NONE : (unitFromSymbol(unit) ?? UNIT_NONE);
  return {
    type: "structure",
    value: [
      { type: "integer", value: scaler },
      { type: "enum", value: number },
    ],
  };
}

function profilesOf(model: Model): Map<string, DeviceProfile> {
  const { blockSeconds } = model;
  const profile = (
    kind: PushKind,
    list: ModelList,
    periodSeconds: number,
    entries: number,
  ): DeviceProfile => ({
    ...{ kind, list, periodSeconds, entries },
    present: kind === "instant" || kind === "name-plate",
  });
  return new Map([
    ["0.0.94.91.10.255", profile("name-plate", model.namePlate, 0, 1)],
    ["1.0.94.91.0.255", profile("instant", model.instant, 0, 1)],
    [
      "1.0.99.1.0.255",
      profile("block", model.block, blockSeconds, (DAYS_OF_BLOCKS * SECONDS_PER_DAY) / blockSeconds),
    ],
    ["1.0.99.2.0.255", profile("daily", model.daily, SECONDS_PER_DAY, 70)],
    ["1.0.98.1.0.255", profile("billing", model.billing, 0, 13)],
    ...model.events.map((list, log) => [`0.0.99.98.${log}.255`, profile("event", list, 0, 50)] as const),
  ]);
}

export const captureObject = ({
  classId,
  code,
  attribute,
}: Pick<ModelColumn, "classId" | "code" | "attribute">): Data => ({
  type: "structure",
  value: [
    { type: "long-unsigned", value: classId },
    { type: "octet-string", value: Buffer.from(code.split(".").map(Number)) },
    { type: "integer", value: attribute },
    { type: "long-unsigned", value: 0 },
  ],
});
const CLOCK = captureObject({ classId: 8, code: "0.0.1.0.0.255", attribute: 2 });
const NO_OBJECT = captureObject({ classId: 0, code: "0.0.0.0.0.0", attribute: 0 });
const u32 = (value: number): Data => ({ type: "double-long-unsigned", value });
const FIFO: Data = { type: "enum", value: 1 };

function profileObject(logicalName: string, profile: DeviceProfile): DeviceObject {
  const { list, periodSeconds, entries } = profile;
  const clocked = list.columns.some(({ classId, attribute }) => classId === 8 && attribute === 2);
  const attributes = new Map<number, Data>([
    [3, { type: "array", value: list.columns.map(captureObject) }],
    [4, u32(periodSeconds)],
    [5, FIFO],
    [6, clocked ? CLOCK : NO_OBJECT],
    [8, u32(entries)],
  ]);
  return plain(7, 1, logicalName, { attributes, profile, isPublic: false });
}

function scalerProfiles(model: Model): [string, readonly ModelList[]][] {
  return [
    ["1.0.94.91.3.255", [model.instant]],
    ["1.0.94.91.4.255", [model.block]],
    ["1.0.94.91.5.255", [model.daily]],
    ["1.0.94.91.6.255", [model.billing]],
    ["1.0.94.91.7.255", model.events],
  ];
}

/** One row: the scaler and unit of every register among the columns. */
function scalerProfile(logicalName: string, lists: readonly ModelList[]): DeviceObject {
  const columns = new Map<string, ModelColumn>();
  for (const { columns: all } of lists) {
    for (const column of all) {
      const scaled = (column.classId === 3 || column.classId === 4) && column.attribute === 2;
      if (scaled) columns.set(column.code, column);
    }
  }
  const all = [...columns.values()];
  const row: Data = { type: "structure", value: all.map(({ scaler, unit }) => scalerUnit(scaler, unit)) };
  const attributes = new Map<number, Data>([
    [2, { type: "array", value: [row] }],
    [3, { type: "array", value: all.map((column) => captureObject({ ...column, attribute: 3 })) }],
    [4, u32(0)],
    [5, FIFO],
    [6, NO_OBJECT],
    [7, u32(1)],
    [8, u32(1)],
  ]);
  return plain(7, 1, logicalName, { attributes });
}

function pushLists(model: Model): ModelList[] {
  const { instant, block, daily, billing, alert, namePlate, events } = model;
  return [instant, block, daily, billing, alert, namePlate, ...events];
}

const RANDOMISED_SECONDS = 300;

function pushSetup(list: ModelList): DeviceObject {
  const named = [
    { classId: 1, code: "0.0.96.1.2.255", attribute: 2 },
    { classId: 40, code: list.pushSetup, attribute: 1 },
    ...list.columns,
  ];
  const destination: Data = {
    type: "structure",
    value: [
      { type: "enum", value: 0 },
      { type: "octet-string", value: Buffer.alloc(0) },
      { type: "enum", value: 0 },
    ],
  };
  const attributes = new Map<number, Data>([
    [2, { type: "array", value: named.map(captureObject) }],
    [3, destination],
    [4, { type: "array", value: [] }],
    [5, { type: "long-unsigned", value: list.pushSetup === "0.4.25.9.0.255" ? RANDOMISED_SECONDS : 0 }],
    [6, { type: "unsigned", value: 0 }],
    [7, { type: "long-unsigned", value: 0 }],
  ]);
  return plain(40, 0, list.pushSetup, { attributes, writable: [2, 3, 4, 5, 6, 7], methods: [1] });
}
