import { DecodeError } from "../dlms/bytes/errors.ts";
import { Reader } from "../dlms/bytes/reader.ts";
import {
  type CosemAttributeDescriptor,
  cosemAttributeDescriptor,
} from "../dlms/cosem/attribute-descriptor.ts";
import { type Data, type DataLimits, readData } from "../dlms/encoding/data.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedPush, capturedColumn, isIdentifierCode, printableText } from "./captured.ts";

/*
 * A body that is no Data, of Sagemcom XT211 meters: in each row an attribute descriptor without type tags stands in front of the value.
 *
 *     02 02 · Data · 01 count · rows { 02 02 · class 2 · logical name 6 · attribute 1 · Data }
 */

export interface UntaggedRow {
  readonly attribute: CosemAttributeDescriptor;
  readonly value: Data;
}

const STRUCTURE_OF_TWO = 0x0202;
const ARRAY = 0x01;

/** The rows, or null where the octets are laid out in another way. */
export function readUntaggedRows(body: Buffer, limits: DataLimits): UntaggedRow[] | null {
  const reader = new Reader(body);
  try {
    if (reader.unsigned16() !== STRUCTURE_OF_TWO) return null;
    readData(reader, limits);
    if (reader.unsigned8() !== ARRAY) return null;
    const count = reader.unsigned8();
    const rows: UntaggedRow[] = [];
    for (let i = 0; i < count; i++) {
      if (reader.unsigned16() !== STRUCTURE_OF_TWO) return null;
      const attribute = cosemAttributeDescriptor.read(reader, limits);
      rows.push({ attribute, value: readData(reader, limits) });
    }
    return reader.remaining() === 0 && count > 0 ? rows : null;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}

export function recogniseUntaggedRows(
  body: Buffer,
  lists: ScopedLists,
  limits: DataLimits,
): CapturedPush | null {
  const rows = readUntaggedRows(body, limits);
  if (rows === null) return null;
  const columns = rows.map(({ attribute: { instanceId, classId, attributeId } }) =>
    capturedColumn(instanceId, classId, attributeId, 0),
  );
  const identifiers = rows.flatMap(({ value }, index) =>
    isIdentifierCode(columns[index]!.code) ? (printableText(value) ?? []) : [],
  );
  return {
    layout: "obis-value",
    identifiers,
    pushSetup: null,
    clock: null,
    list: lists.ofColumns(columns, "single"),
    first: 0,
    rows: [rows.map(({ value }) => value)],
    problem: null,
  };
}
