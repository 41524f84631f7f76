import { formatObis, type ObisCode, obisFromOctets } from "../dlms/cosem/obis-code.ts";
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
 * another, in any mixture. A list's name or a clock may stand in front.
 */

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
  scaled: boolean;
}

export function recogniseObisValues(root: Data, lists: ScopedLists): CapturedPush | null {
  if (root.type !== "structure" && root.type !== "array") return null;
  const elements = unwrapped(root.value);
  if (!mayNameValues(elements)) return null;
  const found: Found = { columns: [], values: [], identifiers: [], pushSetup: null, scaled: false };
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
    if (found.columns.length > 0 || leading++ >= LEADING_MAX || isCompound(element)) return null;
    const text = printableText(element);
    found.pushSetup ??= pushSetupName(element);
    if (text !== null) found.identifiers.push(text);
    at++;
  }
  if (found.columns.length === 0) return null;
  const list = lists.ofColumns(found.columns, lists.kindOf(found.pushSetup));
  const layout = found.scaled ? "obis-value-scaler" : "obis-value";
  const { identifiers, pushSetup, values } = found;
  return { layout, identifiers, pushSetup, clock: null, list, first: 0, rows: [values], problem: null };
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
