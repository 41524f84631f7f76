import type { Data } from "../dlms/encoding/data.ts";
import { readEpochMs, type ZoneRule } from "../dlms/encoding/date-time.ts";
import type { ColumnPlan } from "./plan.ts";
import type { Cell, ColumnType } from "./rows.ts";
import { scaled, scaledBig } from "./scale.ts";

/** An instant among values that are not yet in cells: told apart from numbers by its type. */
export class Instant {
  /** Milliseconds since 1970 UTC. */
  readonly ms: number;

  constructor(ms: number) {
    this.ms = ms;
  }

  toJSON(): string {
    return new Date(this.ms).toISOString();
  }
}

/** A value with its scaler applied, copied out of the body. */
export type CellValue = number | string | boolean | Instant | readonly CellValue[];

export const UNSTORABLE = Symbol("unstorable");

/** The value, scaled; undefined where it is an integer whose scaler nobody knows. */
export function convert(data: Data, column: ColumnPlan, zone: ZoneRule): CellValue | undefined {
  switch (data.type) {
    case "float32":
    case "float64":
      return column.scalesFloats ? scaled(data.value, column.scaler!) : data.value;
    case "octet-string":
    case "date-time":
      return ofOctets(data.value, zone);
    case "boolean":
      return data.value;
    case "visible-string":
    case "utf8-string":
      return storableText(data.value);
    case "bit-string":
      return bitText(data.value.octets, data.value.length);
    case "enum":
      return data.value;
    case "array":
    case "structure":
      return data.value.map((element) => convert(element, { ...column, scaler: 0 }, zone) ?? "");
    case "null-data":
    case "dont-care":
      return "";
    case "date":
    case "time":
      return data.value.toString("hex");
    default:
      if (column.scaler === null) return undefined;
      return typeof data.value === "bigint"
        ? scaledBig(data.value, column.scaler)
        : scaled(data.value, column.scaler);
  }
}

/** Twelve octets that are a time are that time; printable ones a text; others are shown as hex digits. */
function ofOctets(octets: Buffer, zone: ZoneRule): CellValue {
  if (octets.length === 12) {
    const ms = readEpochMs(octets, 0, zone);
    if (ms !== null) return new Instant(ms);
  }
  const text = octets.toString("latin1").replace(/\0+$/, "");
  return /^[\x20-\x7e]+$/.test(text) ? text : octets.toString("hex");
}

/** PostgreSQL holds no U+0000 in texts. */
function storableText(text: string): string {
  return text.replaceAll("\0", "");
}

function bitText(octets: Buffer, length: number): string {
  let text = "";
  for (let bit = 0; bit < length; bit++) text += (octets[bit >> 3]! & (0x80 >> (bit & 7))) === 0 ? "0" : "1";
  return text;
}

/** The value for a column of this type, or UNSTORABLE where the column can't hold it. */
export function cellOf(value: CellValue, type: ColumnType): Cell | typeof UNSTORABLE {
  switch (type) {
    case "double precision":
    case "numeric":
      return typeof value === "number" && Number.isFinite(value) ? value : UNSTORABLE;
    case "bigint":
      return whole(value, Number.MAX_SAFE_INTEGER);
    case "integer":
      return whole(value, 0x7fffffff);
    case "smallint":
      return whole(value, 0x7fff);
    case "boolean":
      return typeof value === "boolean" ? value : value === 0 ? false : value === 1 ? true : UNSTORABLE;
    case "timestamptz":
      return value instanceof Instant ? value.ms : UNSTORABLE;
    case "text":
      return textOf(value);
    default:
      return UNSTORABLE;
  }
}

function whole(value: CellValue, max: number): Cell | typeof UNSTORABLE {
  return typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= max ? value : UNSTORABLE;
}

/** For `value_text`. */
export function textOf(value: CellValue): string {
  if (typeof value === "string") return value;
  if (value instanceof Instant) return value.toJSON();
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}
