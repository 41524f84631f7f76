import type { Mechanism } from "../../src/dlms/association/mechanisms.ts";
import { UNIT_NONE, unitFromSymbol } from "../../src/dlms/cosem/unit.ts";
import { dataOfTree } from "../../src/dlms/encoding/data-tree.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import type { Model, ModelColumn, ModelList, PushKind } from "../model.ts";
import { pushObjects } from "../push-body.ts";
import { type CellWriter, cellWriter } from "../row-writer.ts";
import type { DeviceFile, DeviceObjectEntry, DeviceProfileEntry, Role } from "./device-file.ts";

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
  /** What its client may do; where rights were read from a meter they say so instead. */
  readonly role: Role;
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
  /** Client whose invocation counter it holds. */
  readonly counterOf?: number;
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

/** The device behind a model: objects of its capture lists, and what obis/device-models says of the rest. */
export function deviceOf(model: Model): DeviceModel {
  const { device: file } = model;
  const objects = new Map<string, DeviceObject>();
  const add = (object: DeviceObject) => objects.set(objectKey(object.classId, object.logicalName), object);
  const profiles = file.profiles.map((entry) => [entry, listOf(model, entry)] as const);
  for (const list of listsOf(model)) for (const column of list.columns) addColumn(objects, column);
  for (const one of file.objects) {
    const column = registerColumn(model, one.class, one.logical_name);
    if (column !== null) addColumn(objects, column);
  }
  for (const one of file.objects) add(described(one, objects.get(objectKey(one.class, one.logical_name))));
  for (const [entry, list] of profiles) add(profileObject(entry, list, model));
  for (const [logicalName, lists] of scalerProfiles(profiles)) add(scalerProfile(logicalName, lists));
  for (const list of listsOf(model)) if (list.pushSetup !== "") add(pushSetup(list, model));
  const associations = associationsOf(file);
  for (const logicalName of [CURRENT_ASSOCIATION, ...associations.map((one) => one.logicalName)]) {
    add(plain(15, 1, logicalName, { isPublic: true, writable: [7], methods: [1, 2] }));
  }
  return { associations, objects };
}

export const CURRENT_ASSOCIATION = "0.0.40.0.0.255";

function associationsOf({ associations }: DeviceFile): DeviceAssociation[] {
  return associations.map(({ client_sap, logical_name, conformance, pre_established, ...rest }) => ({
    ...rest,
    clientSap: client_sap,
    logicalName: logical_name,
    conformance: Number.parseInt(conformance, 16),
    preEstablished: pre_established ?? false,
  }));
}

function listOf(model: Model, { kind, log }: DeviceProfileEntry): ModelList {
  const { instant, block, daily, billing, alert, namePlate, events } = model;
  const lists = { instant, block, daily, billing, alert, "name-plate": namePlate };
  const list = kind === "event" ? events.get(log!) : kind in lists ? lists[kind as keyof typeof lists] : null;
  if (!list) throw new Error(`model ${model.name} has no list for its profile of kind ${kind}`);
  return list;
}

/** Every list that a model captures or pushes. */
function listsOf({ instant, block, daily, billing, alert, namePlate, events }: Model): ModelList[] {
  return [
    namePlate,
    ...(instant === null ? [] : [instant]),
    block,
    daily,
    billing,
    ...events.values(),
    alert,
  ];
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

function described(one: DeviceObjectEntry, known: DeviceObject | undefined): DeviceObject {
  const attributes = new Map(known?.attributes);
  for (const [index, tree] of Object.entries(one.attributes ?? {}))
    attributes.set(Number(index), dataOfTree(tree));
  return plain(one.class, one.version, one.logical_name, {
    attributes,
    cells: known?.cells ?? cellsOf(one.class, one.logical_name),
    ...(one.counter_of === undefined ? {} : { counterOf: one.counter_of }),
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

/** A register that no list captures: with the scaler that its meter type has. */
function registerColumn(model: Model, classId: number, code: string): ModelColumn | null {
  return classId === 3 ? model.column({ classId, code, attribute: 2 }) : null;
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

function profileObject(entry: DeviceProfileEntry, list: ModelList, model: Model): DeviceObject {
  const { kind, logical_name, period = 0 } = entry;
  const periodSeconds = period === "block" ? model.blockSeconds : period;
  const entries = entry.entries ?? ((entry.days ?? 1) * SECONDS_PER_DAY) / periodSeconds;
  const present = kind === "instant" || kind === "name-plate";
  const profile = { list, kind, periodSeconds, entries, present };
  const clocked = list.columns.some(({ classId, attribute }) => classId === 8 && attribute === 2);
  const attributes = new Map<number, Data>([
    [3, { type: "array", value: list.columns.map(captureObject) }],
    [4, u32(periodSeconds)],
    [5, FIFO],
    [6, clocked ? CLOCK : NO_OBJECT],
    [8, u32(entries)],
  ]);
  return plain(7, 1, logical_name, { attributes, profile, isPublic: false });
}

function scalerProfiles(
  profiles: readonly (readonly [DeviceProfileEntry, ModelList])[],
): ReadonlyMap<string, readonly ModelList[]> {
  const lists = new Map<string, ModelList[]>();
  for (const [{ scalers }, list] of profiles) {
    if (scalers !== undefined) lists.set(scalers, [...(lists.get(scalers) ?? []), list]);
  }
  return lists;
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

function pushSetup(list: ModelList, { layout }: Model): DeviceObject {
  const named =
    layout === "object-list"
      ? pushObjects(list)
      : [
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
  ]);
  return plain(40, 0, list.pushSetup, { attributes, writable: [2, 3, 4, 5, 6, 7], methods: [1] });
}
