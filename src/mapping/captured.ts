import { formatObis, type ObisCode } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import type { ListRecord } from "./configuration.ts";
import type { MappingPlan } from "./plan.ts";
import type { CaptureSource } from "./rows.ts";

/** How a notification's body says what its values are. */
export type Layout =
  | "is15959-flat"
  | "is15959-nested"
  | "is15959-esw"
  | "push-object-list"
  | "obis-value-scaler"
  | "obis-value"
  | "positional"
  | "p1-telegram"
  | "event"
  | "opaque"
  | "attribute";

/** What stands at one position of a row. */
export interface CapturedColumn {
  readonly obis: ObisCode;
  /** The same as text. */
  readonly code: string;
  readonly classId: number;
  readonly attribute: number;
  readonly dataIndex: number;
  /** As the frame says; null where it does not. */
  readonly scaler: number | null;
  /** Number of the unit, as the frame says. */
  readonly unit: number | null;
}

/** A list of columns, shared by all pushes that carry it; plans compiled for it hang on it. */
export interface CaptureList {
  readonly columns: readonly CapturedColumn[];
  readonly kind: CaptureSource;
  /** The configured list that it is, if it is one. */
  readonly record: ListRecord | null;
  /** Positions of device id, serial number and logical device name. */
  readonly identifierColumns: readonly number[];
  /** By meter type. */
  readonly plans: Map<string, MappingPlan>;
}

/** An event that a body reports by its layout, and not by objects that have codes. */
export interface CapturedEvent {
  /** As in `meter_events.log`. */
  readonly log: string;
  readonly code: number;
  /** null: the notification's own time, or none. */
  readonly time: Data | null;
  /** Where the configuration knows no name for the code. */
  readonly name: string | null;
  readonly context: Readonly<Record<string, unknown>> | null;
}

/**
 * A body taken apart: rows of values beside the list that names them. Position `first + i` of a row is column `i` of the list.
 * Values are views of the body.
 */
export interface CapturedPush {
  readonly layout: Layout | null;
  /** Device id, serial number, logical device name: whatever the body says about whose it is. */
  readonly identifiers: readonly string[];
  /** Logical name of the push setup that the body names. */
  readonly pushSetup: ObisCode | null;
  /** The clock that stands in front of a nested buffer. */
  readonly clock: Data | null;
  /** null where nothing explains the values; `problem` says why. */
  readonly list: CaptureList | null;
  readonly first: number;
  readonly rows: readonly (readonly Data[])[];
  readonly events?: readonly CapturedEvent[];
  readonly problem: string | null;
}

/** One value with its name, for people: what `hes decode` prints. */
export interface CapturedValue {
  readonly obis: ObisCode;
  readonly attribute: number;
  readonly classId: number;
  readonly dataIndex: number;
  readonly data: Data;
  readonly scaler: number | null;
  readonly unit: number | null;
}

/** The rows of a push as values with names; empty where nothing explains them. */
export function capturesOf(push: CapturedPush): CapturedValue[][] {
  const { list, first } = push;
  if (list === null) return [];
  return push.rows.map((row) =>
    list.columns.flatMap((column, index) => {
      const data = row[first + index];
      if (data === undefined) return [];
      const { obis, attribute, classId, dataIndex, scaler, unit } = column;
      return [{ obis, attribute, classId, dataIndex, data, scaler, unit }];
    }),
  );
}

/** Objects whose value says whose body it is: device id, serial number, logical device name. */
const IDENTIFIER_CODES: ReadonlySet<string> = new Set([
  ...["0.0.96.1.0.255", "0.0.96.1.2.255", "0.0.42.0.0.255"],
  // Of Kamstrup, whose channel is 1.
  "1.1.0.0.5.255",
]);

export function isIdentifierCode(code: string): boolean {
  return IDENTIFIER_CODES.has(code);
}

export function captureList(
  columns: readonly CapturedColumn[],
  kind: CaptureSource,
  record: ListRecord | null,
): CaptureList {
  const identifierColumns = columns.flatMap((column, index) =>
    column.attribute === 2 && isIdentifierCode(column.code) ? [index] : [],
  );
  return { columns, kind, record, identifierColumns, plans: new Map() };
}

export function capturedColumn(
  obis: ObisCode,
  classId: number,
  attribute: number,
  dataIndex: number,
  scaler: number | null = null,
  unit: number | null = null,
): CapturedColumn {
  return { obis, code: formatObis(obis), classId, attribute, dataIndex, scaler, unit };
}

/** Longest octet-string that is looked at for a text. */
const TEXT_OCTETS_MAX = 64;
const SPACE = 0x20;
const PRINTABLE = /^[\x20-\x7e]+$/;

/** The text of a visible-string or of an octet-string that holds printable characters; else null. */
export function printableText(data: Data | undefined, octetsMax = TEXT_OCTETS_MAX): string | null {
  if (data === undefined) return null;
  if (data.type === "octet-string") return printableOctets(data.value, octetsMax);
  if (data.type !== "visible-string" && data.type !== "utf8-string") return null;
  const text = data.value.trim();
  return PRINTABLE.test(text) ? text : null;
}

/** Looked at octet by octet, since every push has such strings; zeros that fill the string up don't count. */
function printableOctets(octets: Buffer, octetsMax: number): string | null {
  if (octets.length > octetsMax) return null;
  let end = octets.length;
  while (end > 0 && octets[end - 1] === 0) end--;
  for (let i = 0; i < end; i++) {
    const octet = octets[i]!;
    if (octet < 0x20 || octet > 0x7e) return null;
  }
  let start = 0;
  while (start < end && octets[start] === SPACE) start++;
  while (end > start && octets[end - 1] === SPACE) end--;
  return start === end ? null : rememberedText(octets, start, end);
}

/** A power of two. */
const TEXTS_MAX = 8_192;
/** Texts that were read last, by a hash of their octets. */
const texts: string[] = new Array(TEXTS_MAX).fill("");

/**
 * The text of printable octets: a string that was made before where the same octets came before, as names of meters do again and
 * again. Comparing it costs a fraction of making another one.
 */
function rememberedText(octets: Buffer, start: number, end: number): string {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ octets[at]!, 0x01000193);
  const slot = (hash ^ (hash >>> 15)) & (TEXTS_MAX - 1);
  const known = texts[slot]!;
  if (known.length === end - start && isTextOf(known, octets, start)) return known;
  const text = octets.toString("latin1", start, end);
  texts[slot] = text;
  return text;
}

function isTextOf(text: string, octets: Buffer, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== octets[start + i]) return false;
  return true;
}
