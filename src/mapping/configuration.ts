import type { CaptureSource, Column, Table } from "./rows.ts";
import { MEASUREMENT_TABLES, PROFILE_TABLES } from "./rows.ts";

/*
 * What mapping knows of objects, lists and scalers. All of it is data: rows of the database (or of the catalogue, where
 * there is no database) come in as records with OBIS codes as text, `a.b.c.d.e.f`; `configureMapping` makes the look-ups.
 */

/** One attribute of one object: a row of `obis_codes`. */
export interface ObjectRecord {
  /** Row of `obis_codes`; where one code has several attributes, any of its rows serves for `meter_readings`. */
  readonly id: number;
  readonly code: string;
  readonly classId: number | null;
  readonly attribute: number;
  readonly description: string;
  /** Symbol of the unit in which it is stored (`Wh`, `V`, `min`); null or empty: a count, a code, a text, a time. */
  readonly unit: string | null;
  /** Usual type in the Blue Book's spelling: tells lists of one length apart. */
  readonly dataType?: string | null;
  /** Measurement table and its column, where the value has one. */
  readonly table: string | null;
  readonly column: string | null;
  /** Column of the profile tables, where the value has one. */
  readonly profileColumn: string | null;
}

/** One element of a list. */
export interface ListEntryRecord {
  readonly classId: number;
  readonly code: string;
  readonly attribute: number;
  readonly dataIndex: number;
}

/**
 * A named list that a push carries: a row of `push_objects` and its entries in order. Lists of IS 15959 profiles hold the columns of
 * the profile only (clock first); the device id and the push setup's name that a push has before them are not part of it.
 */
export interface ListRecord {
  /** Row of `push_objects`, null where there is no database. */
  readonly id: number | null;
  /** Row of `push_setups`, null where there is no database. */
  readonly setupId: number | null;
  readonly name: string;
  /** Logical name of the push setup (class 40); null: a purely positional body that names none. */
  readonly pushSetup: string | null;
  /** For whom: the most specific of meter, meter type and category that is not null decides; all null: everybody. */
  readonly meterId: string | null;
  readonly meterType: string | null;
  readonly category: string | null;
  readonly kind: CaptureSource;
  readonly entries: readonly ListEntryRecord[];
}

export interface MeterTypeRecord {
  readonly name: string;
  readonly category: string;
  /** Block load capture period; null: 1,800 s. */
  readonly intervalSeconds: number | null;
}

/** Scaler and unit of an object in meters of one type: raw × 10^scaler in `unit`. */
export interface ScalerRecord {
  readonly meterType: string;
  readonly code: string;
  readonly attribute: number;
  readonly scaler: number;
  readonly unit: string | null;
}

/** An event code of an event log. */
export interface EventCodeRecord {
  /** null: every category. */
  readonly category: string | null;
  /** `voltage`, `current`, `power`, `transaction`, `other`, `non-rollover`, `control`; as in `meter_events.log`; `*`: every log. */
  readonly log: string;
  readonly code: number;
  readonly name: string;
  readonly severity: string;
  /** The code whose event this one ends. */
  readonly clears: number | null;
}

/** A bit of an event status word (bit 0 is the first on the wire) or of an alarm register (bit 0 is the least significant). */
export interface StatusBitRecord {
  /** null: every category. */
  readonly category: string | null;
  /** Object that carries the word, `0.0.94.91.18.255`. */
  readonly code: string;
  readonly bit: number;
  readonly name: string;
  readonly severity: string;
}

export interface MappingRecords {
  readonly objects: readonly ObjectRecord[];
  readonly lists: readonly ListRecord[];
  readonly meterTypes: readonly MeterTypeRecord[];
  readonly scalers: readonly ScalerRecord[];
  readonly events: readonly EventCodeRecord[];
  readonly statusBits: readonly StatusBitRecord[];
}

/** Where the lists of one meter are looked for. */
export interface ListScope {
  readonly meterId: string | null;
  readonly meterType: string | null;
  readonly category: string | null;
}

export interface MappingConfiguration {
  /** Told apart from its successors by plans that were compiled from it. */
  readonly version: number;
  object(code: string, attribute: number): ObjectRecord | undefined;
  /** Id of a code for `meter_readings`, whatever the attribute. */
  codeId(code: string): number | undefined;
  scaler(meterType: string, code: string, attribute: number): ScalerRecord | undefined;
  meterType(name: string): MeterTypeRecord | undefined;
  /** Lists of a push setup (null: of bodies without one) for a meter, the most specific scope first; all of that setup. */
  lists(pushSetup: string | null, scope: ListScope): readonly ListRecord[];
  /** Any list whose push setup is this one, whoever it is for: what a setup carries where the meter is not known. */
  listsOfSetup(pushSetup: string | null): readonly ListRecord[];
  /** Whether lists are configured for this very meter. */
  hasOwnLists(meterId: string): boolean;
  event(category: string, log: string, code: number): EventCodeRecord | undefined;
  statusBit(category: string, code: string, bit: number): StatusBitRecord | undefined;
  /** Whether bits of this object are known: a bit-string that comes is a status word. */
  isStatusWord(code: string): boolean;
}

let versions = 0;

/** How closely a list is meant for one meter: 3 the meter itself, 2 its type, 1 its category, 0 everybody. */
export function specificity(list: ListRecord): number {
  return list.meterId !== null ? 3 : list.meterType !== null ? 2 : list.category !== null ? 1 : 0;
}

function isFor(list: ListRecord, scope: ListScope): boolean {
  if (list.meterId !== null) return list.meterId === scope.meterId;
  if (list.meterType !== null) return list.meterType === scope.meterType;
  return list.category === null || list.category === scope.category;
}

function grouped<K, V>(items: readonly V[], key: (item: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** Look-ups over the records. Later records of the same key win over earlier ones, so that a user's rows can follow the standard's. */
export function configureMapping(records: MappingRecords): MappingConfiguration {
  const objects = new Map(records.objects.map((o) => [`${o.code}/${o.attribute}`, o]));
  const codes = new Map(records.objects.map((o) => [o.code, o.id]));
  const scalers = new Map(records.scalers.map((s) => [`${s.meterType}/${s.code}/${s.attribute}`, s]));
  const meterTypes = new Map(records.meterTypes.map((t) => [t.name, t]));
  const events = new Map(records.events.map((e) => [`${e.category ?? ""}/${e.log}/${e.code}`, e]));
  const bits = new Map(records.statusBits.map((b) => [`${b.category ?? ""}/${b.code}/${b.bit}`, b]));
  const bySetup = grouped(records.lists, (list) => list.pushSetup ?? "");
  const statusWords = new Set(records.statusBits.map((bit) => bit.code));
  const owners = new Set(records.lists.flatMap((list) => (list.meterId === null ? [] : [list.meterId])));
  return {
    version: ++versions,
    hasOwnLists: (meterId) => owners.has(meterId),
    object: (code, attribute) => objects.get(`${code}/${attribute}`),
    codeId: (code) => codes.get(code),
    scaler: (meterType, code, attribute) => scalers.get(`${meterType}/${code}/${attribute}`),
    meterType: (name) => meterTypes.get(name),
    lists: (pushSetup, scope) =>
      (bySetup.get(pushSetup ?? "") ?? [])
        .filter((list) => isFor(list, scope))
        .sort((a, b) => specificity(b) - specificity(a)),
    listsOfSetup: (pushSetup) => bySetup.get(pushSetup ?? "") ?? [],
    event: (category, log, code) =>
      events.get(`${category}/${log}/${code}`) ??
      events.get(`${category}/*/${code}`) ??
      events.get(`/${log}/${code}`),
    isStatusWord: (code) => statusWords.has(code),
    statusBit: (category, code, bit) => bits.get(`${category}/${code}/${bit}`) ?? bits.get(`/${code}/${bit}`),
  };
}

/** Finds a measurement or profile table's column; undefined where the catalogue names one that does not exist. */
export function columnOf(
  tableName: string,
  columnName: string,
): { table: Table; column: Column; position: number } | undefined {
  const table = [...MEASUREMENT_TABLES, ...PROFILE_TABLES].find((candidate) => candidate.name === tableName);
  const position = table?.position.get(columnName);
  const column = position === undefined ? undefined : table?.columns[position];
  return table === undefined || position === undefined || column === undefined
    ? undefined
    : { table, column, position };
}
