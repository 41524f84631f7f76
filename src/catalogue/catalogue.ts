import { readdirSync } from "node:fs";
import { join } from "node:path";
import { catalogueFolder } from "./catalogue-folder.ts";
import { type CsvLine, readCsv } from "./csv.ts";

/*
 * What is known of objects, push lists, events and meter types before any meter was seen: the files of `obis/`. They seed the
 * database; the simulator and `hes decode` read them directly. OBIS codes are text, `a.b.c.d.e.f`.
 */

/** How a row was captured, and so which profile table it belongs to. */
export type ListKind = "instant" | "block" | "daily" | "billing" | "event" | "single";
const KINDS: readonly ListKind[] = ["instant", "block", "daily", "billing", "event", "single"];

export type Severity = "info" | "warning" | "critical";
const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];

/** One attribute of one object. (code, attribute) is unique over all files. */
export interface CatalogueObject {
  readonly code: string;
  readonly classId: number;
  readonly attribute: number;
  /** Usual type in the Blue Book's spelling; meters send others. */
  readonly dataType: string | null;
  readonly description: string;
  /** Symbol of the unit that it is stored in, scaler applied; null: a count, a code, a text, a time. */
  readonly unit: string | null;
  /** `active energy import`, `voltage`, …; null where it is no measured quantity. */
  readonly quantity: string | null;
  /** `l1`, `l2`, `l3`, `n`; null: total, or none. */
  readonly phase: string | null;
  /** Tariff register 1 … 8; null: total, or none. */
  readonly tariff: number | null;
  /** Measurement table and column, where there is one. */
  readonly table: string | null;
  readonly column: string | null;
  /** Name of its column in the profile tables that have it. */
  readonly profileColumn: string | null;
  readonly standard: string;
}

export interface PushListEntry {
  readonly classId: number;
  readonly code: string;
  readonly attribute: number;
  readonly dataIndex: number;
}

/** The columns of a row that a push carries, without the device id and the name of the push setup before them. */
export interface PushList {
  readonly standard: string;
  /** null: every category. */
  readonly category: string | null;
  /** Logical name of the push setup (class 40); null: a body that names none. */
  readonly pushSetup: string | null;
  readonly kind: ListKind;
  readonly name: string;
  readonly entries: readonly PushListEntry[];
}

/** An event code of an event log. */
export interface CatalogueEvent {
  /** null: every category. */
  readonly category: string | null;
  /** `voltage`, `current`, `power`, `transaction`, `other`, `non-rollover`, `control`, …; `*`: every log of the category. */
  readonly log: string;
  readonly code: number;
  readonly name: string;
  readonly severity: Severity;
  /** The code whose event this one ends. */
  readonly clears: number | null;
}

/** A bit of a status word (bit 0 first on the wire) or of an alarm register (bit 0 least significant). */
export interface StatusBit {
  /** null: every category. */
  readonly category: string | null;
  /** The object that holds the word. */
  readonly code: string;
  readonly bit: number;
  readonly name: string;
  readonly severity: Severity;
}

export interface CatalogueMeterType {
  readonly name: string;
  readonly category: string;
  readonly description: string;
  /** Capture period of the block load profile. */
  readonly intervalSeconds: number | null;
}

/** raw × 10^scaler in `unit`. In the catalogue only where a document fixes it; what a maker's meters use is configuration otherwise. */
export interface CatalogueScaler {
  readonly meterType: string;
  readonly code: string;
  readonly attribute: number;
  readonly scaler: number;
  readonly unit: string | null;
}

export interface Catalogue {
  readonly objects: readonly CatalogueObject[];
  readonly pushLists: readonly PushList[];
  /** What the head-end may read: profiles, as elements of class 7. They explain no body. */
  readonly pollLists: readonly PushList[];
  readonly events: readonly CatalogueEvent[];
  /** Bits of the event status word and of other bit-strings. */
  readonly esw: readonly StatusBit[];
  /** Bits of alarm registers (double-long-unsigned). */
  readonly alarms: readonly StatusBit[];
  readonly meterTypes: readonly CatalogueMeterType[];
  /** Of customer interfaces whose frames carry none. */
  readonly scalers: readonly CatalogueScaler[];
  /** `code` as `a.b.c.d.e.f`. */
  byCode(code: string, attribute: number): CatalogueObject | undefined;
}

const OBJECT_COLUMNS = [
  ...["code", "class_id", "attribute", "data_type", "description", "unit", "quantity", "phase", "tariff"],
  ...["table", "column", "profile_column", "standard"],
];
const LIST_COLUMNS = [
  ...["standard", "category", "push_setup", "kind", "list", "position", "class_id", "code", "attribute"],
  "data_index",
];
const EVENT_COLUMNS = ["category", "log", "code", "name", "severity", "clears"];
const BIT_COLUMNS = ["category", "code", "bit", "name", "severity"];
const TYPE_COLUMNS = ["name", "category", "description", "interval_seconds"];
const SCALER_COLUMNS = ["meter_type", "code", "attribute", "scaler", "unit"];

const csvFiles = (folder: string, below: string): string[] =>
  readdirSync(join(folder, below), { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".csv"))
    .map((entry) => join(below, entry.name))
    .sort();

function readObjects(folder: string, file: string): CatalogueObject[] {
  return readCsv(join(folder, file), file, OBJECT_COLUMNS).map((line) => {
    const object: CatalogueObject = {
      code: line.obis("code"),
      classId: line.integer("class_id", 1, 65_535),
      attribute: line.integer("attribute", 1, 127),
      dataType: line.optional("data_type"),
      description: line.text("description"),
      unit: line.optional("unit"),
      quantity: line.optional("quantity"),
      phase: line.optional("phase"),
      tariff: line.optionalInteger("tariff", 1, 63),
      table: line.optional("table"),
      column: line.optional("column"),
      profileColumn: line.optional("profile_column"),
      standard: line.text("standard"),
    };
    if ((object.table === null) !== (object.column === null)) line.fail("table and column go together");
    return object;
  });
}

/**
 * Lists as `hes push-lists import` takes them and as they stand in `obis/push-lists`. The same columns may be pushed by several categories
 * and by several push setups: each gets a list of its own.
 * @throws CsvError
 */
export function readPushLists(path: string, name: string = path): PushList[] {
  const shared = new Map<string, { lists: Omit<PushList, "entries">[]; entries: PushListEntry[] }>();
  for (const line of readCsv(path, name, LIST_COLUMNS)) {
    const key = ["category", "push_setup", "list"].map((column) => line.optional(column)).join("|");
    const group = shared.get(key) ?? { lists: listsOf(line), entries: [] };
    shared.set(key, group);
    const position = line.integer("position", 1, 1_000);
    if (position !== group.entries.length + 1)
      line.fail(`position ${position} of ${line.text("list")} follows position ${group.entries.length}`);
    group.entries.push({
      classId: line.integer("class_id", 1, 65_535),
      code: line.obis("code"),
      attribute: line.integer("attribute", 0, 127),
      dataIndex: line.optionalInteger("data_index", 0, 65_535) ?? 0,
    });
  }
  return [...shared.values()].flatMap(({ lists, entries }) => lists.map((list) => ({ ...list, entries })));
}

function listsOf(line: CsvLine): Omit<PushList, "entries">[] {
  const standard = line.text("standard");
  const kind = line.oneOf("kind", KINDS);
  const categories: (string | null)[] = line.words("category");
  const setups: (string | null)[] = line.obisCodes("push_setup");
  if (categories.length === 0) categories.push(null);
  if (setups.length === 0) setups.push(null);
  return categories.flatMap((category) =>
    setups.map((pushSetup, index) => {
      // A further push setup with the same list shows in its name.
      const by = index > 0 ? ` by ${pushSetup}` : "";
      return {
        standard,
        category,
        pushSetup,
        kind,
        name: `${category ?? ""} ${line.text("list")}${by}`.trim(),
      };
    }),
  );
}

function readEvents(folder: string, file: string): CatalogueEvent[] {
  return readCsv(join(folder, file), file, EVENT_COLUMNS).map((line) => ({
    category: line.optional("category"),
    log: line.text("log"),
    code: line.integer("code", 0, 65_535),
    name: line.text("name"),
    severity: line.oneOf("severity", SEVERITIES),
    clears: line.optionalInteger("clears", 0, 65_535),
  }));
}

function readBits(folder: string, file: string): StatusBit[] {
  return readCsv(join(folder, file), file, BIT_COLUMNS).map((line) => ({
    category: line.optional("category"),
    code: line.obis("code"),
    bit: line.integer("bit", 0, 1_023),
    name: line.text("name"),
    severity: line.oneOf("severity", SEVERITIES),
  }));
}

function readMeterTypes(folder: string, file: string): CatalogueMeterType[] {
  return readCsv(join(folder, file), file, TYPE_COLUMNS).map((line) => ({
    name: line.text("name"),
    category: line.text("category"),
    description: line.text("description"),
    intervalSeconds: line.optionalInteger("interval_seconds", 1, 86_400),
  }));
}

/**
 * Scalers as `hes` imports them: meter_type, code, attribute, scaler, unit.
 * @throws CsvError
 */
export function readScalers(path: string, name: string = path): CatalogueScaler[] {
  return readCsv(path, name, SCALER_COLUMNS).map((line) => ({
    meterType: line.text("meter_type"),
    code: line.obis("code"),
    attribute: line.integer("attribute", 1, 127),
    scaler: line.integer("scaler", -30, 30),
    unit: line.optional("unit"),
  }));
}

/**
 * Reads the catalogue from `folder`, the project's own `obis` by default.
 * @throws CsvError naming file and line
 */
export function loadCatalogue(folder: string = catalogueFolder()): Catalogue {
  const objectFiles = csvFiles(folder, ".").filter(
    (file) => !["meter-types.csv", "esw.csv", "alarms.csv"].includes(file),
  );
  const objects = objectFiles.flatMap((file) => readObjects(folder, file));
  const index = new Map(objects.map((object) => [`${object.code}/${object.attribute}`, object]));
  return {
    objects,
    pushLists: csvFiles(folder, "push-lists").flatMap((file) => readPushLists(join(folder, file), file)),
    pollLists: csvFiles(folder, "poll-lists").flatMap((file) => readPushLists(join(folder, file), file)),
    events: csvFiles(folder, "events").flatMap((file) => readEvents(folder, file)),
    esw: readBits(folder, "esw.csv"),
    alarms: readBits(folder, "alarms.csv"),
    meterTypes: readMeterTypes(folder, "meter-types.csv"),
    scalers: csvFiles(folder, "scalers").flatMap((file) => readScalers(join(folder, file), file)),
    byCode: (code, attribute) => index.get(`${code}/${attribute}`),
  };
}
