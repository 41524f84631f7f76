import { formatObis, type ObisCode, obisFromOctets, parseObis } from "../dlms/cosem/obis-code.ts";
import { scalerUnitFromData } from "../dlms/cosem/scaler-unit.ts";
import type { Data } from "../dlms/encoding/data.ts";
import type { ScopedLists } from "./capture-lists.ts";
import {
  type CapturedColumn,
  type CapturedPush,
  capturedColumn,
  isIdentifierCode,
  printableText,
} from "./captured.ts";
import { pushSetupName } from "./layout-is15959.ts";

/*
 * Values that carry their own names: { OBIS, value } or { OBIS, value, { scaler, unit } }, each in a structure of its own or one after
 * another, in any mixture. A list's name or a clock may stand in front, the meter's number behind.
 */

const LIST_VERSION = parseObis("1.1.0.2.129.255");
const DEVICE_ID = parseObis("0.0.96.1.0.255");
/** `Kamstrup_V0001`, `KFM_001`: no meter's name. */
const LIST_NAME = /^[A-Za-z]+_[A-Z]?\d{3,4}$/;

const CLASS_DATA = 1;
const CLASS_REGISTER = 3;
const VALUE_ATTRIBUTE = 2;
/** Elements without a name that may stand in front. */
const LEADING_MAX = 2;

interface Found {
  readonly columns: CapturedColumn[];
  readonly values: Data[];
  readonly identifiers: string[];
  pushSetup: ObisCode | null;
  clock: Data | null;
  scaled: boolean;
}

export function recogniseObisValues(root: Data, lists: ScopedLists): CapturedPush | null {
  if (root.type !== "structure" && root.type !== "array") return null;
  const elements = unwrapped(root.value);
  if (!mayNameValues(elements)) return null;
  const found: Found = {
    columns: [],
    values: [],
    identifiers: [],
    pushSetup: null,
    clock: null,
    scaled: false,
  };
  let leading = 0;
  for (let at = 0; at < elements.length; ) {
    const element = elements[at]!;
    // Absent phases: null-data in place of both the code and the value.
    if (element.type === "null-data") {
      at++;
      continue;
    }
    const step = nestedValue(element, found, lists) ? 1 : flatValue(elements, at, found, lists);
    if (step > 0) {
      at += step;
      continue;
    }
    if (isCompound(element)) return null;
    const known = found.columns.length > named(found);
    if (known ? !trailing(elements, at, found, lists) : leading++ >= LEADING_MAX) return null;
    if (!known) lead(element, found, lists);
    at++;
  }
  if (found.columns.length === named(found)) return null;
  const list = lists.ofColumns(found.columns, lists.kindOf(found.pushSetup));
  const layout = found.scaled ? "obis-value-scaler" : "obis-value";
  const { identifiers, pushSetup, clock, values } = found;
  return { layout, identifiers, pushSetup, clock, list, first: 0, rows: [values], problem: null };
}

/** An element in front that has no name of its own. */
function lead(element: Data, found: Found, lists: ScopedLists): void {
  found.pushSetup ??= pushSetupName(element);
  if (element.type === "octet-string" && element.value.length === 12 && isTime(element.value)) {
    found.clock = element;
    return;
  }
  const text = printableText(element);
  if (text === null) return;
  if (LIST_NAME.test(text)) add(found, LIST_VERSION, element, undefined, lists);
  else found.identifiers.push(text);
}

/** Columns that are only the list's name. */
function named({ columns }: Found): number {
  return columns[0]?.obis === LIST_VERSION ? 1 : 0;
}

/** A text behind everything else is the number of the meter (Netz NÖ). */
function trailing(elements: readonly Data[], at: number, found: Found, lists: ScopedLists): boolean {
  if (at !== elements.length - 1 || printableText(elements[at]) === null) return false;
  add(found, DEVICE_ID, elements[at]!, undefined, lists);
  return true;
}

/** Month and day of a date-time; texts of twelve characters have others. */
function isTime(octets: Buffer): boolean {
  return octets[0]! < 0x20;
}

/** Whether a code or a structure stands among the first elements: a glance, because bodies without names come this way too. */
function mayNameValues(elements: readonly Data[]): boolean {
  for (let at = 0; at <= LEADING_MAX && at < elements.length; at++) {
    const element = elements[at]!;
    if (isCompound(element) || (element.type === "octet-string" && element.value.length === 6)) return true;
  }
  return false;
}

/** Some meters put the whole list into one more array. */
function unwrapped(elements: readonly Data[]): readonly Data[] {
  const only = elements.length === 1 ? elements[0]! : undefined;
  return only?.type === "array" || (only?.type === "structure" && isCompound(only.value[0]))
    ? (only.value as Data[])
    : elements;
}

function isCompound(data: Data | undefined): boolean {
  return data?.type === "structure" || data?.type === "array";
}

function nestedValue(element: Data, found: Found, lists: ScopedLists): boolean {
  if (element.type !== "structure" || element.value.length < 2 || element.value.length > 3) return false;
  const obis = obisOf(element.value[0]);
  if (obis === null) return false;
  const scalerUnit = element.value[2];
  if (scalerUnit !== undefined && scalerUnitFromData(scalerUnit) === null) return false;
  add(found, obis, element.value[1]!, scalerUnit, lists);
  return true;
}

/** How many elements the value at `at` takes: a code, a value and perhaps its scaler and unit; 0 where there is none. */
function flatValue(elements: readonly Data[], at: number, found: Found, lists: ScopedLists): number {
  const obis = obisOf(elements[at]);
  const value = elements[at + 1];
  if (obis === null || value === undefined || pushSetupName(elements[at]) !== null) return 0;
  if (isCompound(value)) return 0;
  const next = elements[at + 2];
  const scalerUnit = next !== undefined && scalerUnitFromData(next) !== null ? next : undefined;
  add(found, obis, value, scalerUnit, lists);
  return scalerUnit === undefined ? 2 : 3;
}

function obisOf(data: Data | undefined): ObisCode | null {
  return data?.type === "octet-string" && data.value.length === 6 ? obisFromOctets(data.value, 0) : null;
}

function add(
  found: Found,
  obis: ObisCode,
  value: Data,
  scalerUnit: Data | undefined,
  lists: ScopedLists,
): void {
  const scaling = scalerUnit === undefined ? null : scalerUnitFromData(scalerUnit);
  const code = formatObis(obis);
  const known = lists.configuration.object(code, VALUE_ATTRIBUTE)?.classId;
  const classId = known ?? (scaling === null ? CLASS_DATA : CLASS_REGISTER);
  found.columns.push(
    capturedColumn(obis, classId, VALUE_ATTRIBUTE, 0, scaling?.scaler ?? null, scaling?.unit ?? null),
  );
  found.values.push(value);
  found.scaled ||= scaling !== null;
  const text = isIdentifierCode(code) ? printableText(value) : null;
  if (text !== null) found.identifiers.push(text);
}
