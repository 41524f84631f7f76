import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";
import { readCompactArray } from "./compact-array.ts";
import { readBitLength, readScalar } from "./data-scalar.ts";
import { TAG_NAMES } from "./data-tags.ts";
import type { Budget, Data, DataLimits } from "./data-types.ts";
import { readLength, writeLength } from "./length.ts";

export type { BitString, Data, DataLimits, DataType } from "./data-types.ts";

/**
 * The CHOICE Data (IEC 62056-5-3): a tag octet, then
 *
 *     00 null-data, FF dont-care        nothing
 *     01 array, 02 structure            count, then that many Data
 *     04 bit-string                     length in bits, octets; the first bit is the most significant of the first
 *     09, 0A, 0C strings                length in octets, octets
 *     13 compact-array                  type description, length in octets, values without tags
 *     03, 05, 06, 0D, 0F–12, 14–21      a fixed number of octets, big-endian
 *
 * Example: 02 02 06 00 00 00 64 12 09 01 is structure { double-long-unsigned 100, long-unsigned 2305 }.
 *
 * Written by hand and not from combinators because it is recursive and runs for every value of every push. Each value
 * is a plain object of one shape. Octet-strings and date-times are views of what was read.
 *
 * Throws DecodeError: "truncated"; "invalid" for tags that are not assigned; "limit" for nesting beyond
 * `limits.depthMax` or more than `limits.elementsMax` elements, counted after compact-arrays are expanded.
 */
export function readData(reader: Reader, limits: DataLimits): Data {
  return readElement(reader, { left: limits.elementsMax, depthMax: limits.depthMax }, 0);
}

/** The numbers that most pushes consist of are read here, without another call; readScalar knows them, too. */
function readElement(reader: Reader, budget: Budget, depth: number): Data {
  const tag = reader.unsigned8();
  switch (tag) {
    case 0x06:
      return { type: "double-long-unsigned", value: reader.unsigned32() };
    case 0x12:
      return { type: "long-unsigned", value: reader.unsigned16() };
    case 0x10:
      return { type: "long", value: reader.integer16() };
    case 0x05:
      return { type: "double-long", value: reader.integer32() };
    case 0x02:
      return { type: "structure", value: readElements(reader, budget, depth) };
    case 0x01:
      return { type: "array", value: readElements(reader, budget, depth) };
    case 0x13:
      return { type: "array", value: readCompactArray(reader, budget, depth) };
    default:
      return readScalar(reader, tag);
  }
}

function readElements(reader: Reader, budget: Budget, depth: number): Data[] {
  const at = reader.offset;
  const count = readLength(reader);
  claimElements(reader, budget, count, depth, at);
  const elements: Data[] = new Array(count);
  for (let i = 0; i < count; i++) elements[i] = readElement(reader, budget, depth + 1);
  return elements;
}

function claimElements(reader: Reader, budget: Budget, count: number, depth: number, at: number): void {
  if (count > reader.remaining()) {
    throw new DecodeError("truncated", at, `${count} elements in ${reader.remaining()} octets`);
  }
  if (depth >= budget.depthMax) {
    throw new DecodeError(
      "limit",
      at,
      `more than ${budget.depthMax} arrays and structures inside each other`,
    );
  }
  if (count > budget.left) throw new DecodeError("limit", at, "more elements than the limit allows");
  budget.left -= count;
}

/** Passes over one Data without building it. Same limits and errors as readData. */
export function skipData(reader: Reader, limits: DataLimits): void {
  skipElement(reader, { left: limits.elementsMax, depthMax: limits.depthMax }, 0);
}

/** Octets of the types whose content has a fixed length, by tag; −1 for the others. */
const FIXED_OCTETS = Int8Array.from({ length: 256 }, (_, tag) => TAG_NAMES[tag]?.octets ?? -1);

function skipElement(reader: Reader, budget: Budget, depth: number): void {
  const at = reader.offset;
  const tag = reader.unsigned8();
  const fixed = FIXED_OCTETS[tag]!;
  if (fixed >= 0) {
    reader.advance(fixed);
    return;
  }
  switch (tag) {
    case 0x01:
    case 0x02: {
      const count = readLength(reader);
      claimElements(reader, budget, count, depth, at);
      for (let i = 0; i < count; i++) skipElement(reader, budget, depth + 1);
      return;
    }
    case 0x04:
      reader.advance(Math.ceil(readBitLength(reader) / 8));
      return;
    case 0x09:
    case 0x0a:
    case 0x0c:
      reader.advance(readLength(reader));
      return;
    case 0x13:
      readCompactArray(reader, budget, depth);
      return;
    default:
      throw new DecodeError("invalid", at, `${tag.toString(16).padStart(2, "0")} is not the tag of a Data`);
  }
}

/** Writes one Data, tag included. Lengths take their shortest form; arrays are never written as compact-arrays. */
export function writeData(writer: Writer, data: Data): void {
  switch (data.type) {
    case "null-data":
      writer.unsigned8(0x00);
      break;
    case "dont-care":
      writer.unsigned8(0xff);
      break;
    case "array":
      writeElements(writer, 0x01, data.value);
      break;
    case "structure":
      writeElements(writer, 0x02, data.value);
      break;
    case "boolean":
      writer.unsigned8(0x03);
      writer.unsigned8(data.value ? 1 : 0);
      break;
    case "bit-string":
      writer.unsigned8(0x04);
      writeLength(writer, data.value.length);
      writer.octets(data.value.octets);
      break;
    case "octet-string":
      writeString(writer, 0x09, data.value);
      break;
    case "visible-string":
      writeString(writer, 0x0a, Buffer.from(data.value, "latin1"));
      break;
    case "utf8-string":
      writeString(writer, 0x0c, Buffer.from(data.value, "utf8"));
      break;
    case "date-time":
      writeFixed(writer, 0x19, data.value);
      break;
    case "date":
      writeFixed(writer, 0x1a, data.value);
      break;
    case "time":
      writeFixed(writer, 0x1b, data.value);
      break;
    default:
      writeNumber(writer, data);
      break;
  }
}

type Numeric = Extract<Data, { value: number } | { value: number | bigint }>;

function writeNumber(writer: Writer, data: Numeric): void {
  switch (data.type) {
    case "long64":
      writer.unsigned8(0x14);
      writer.integer64(data.value);
      break;
    case "long64-unsigned":
      writer.unsigned8(0x15);
      writer.unsigned64(data.value);
      break;
    case "float32":
      writer.unsigned8(0x17);
      writer.float32(data.value);
      break;
    case "float64":
      writer.unsigned8(0x18);
      writer.float64(data.value);
      break;
    default: {
      const { tag, octets } = INTEGERS[data.type];
      writer.unsigned8(tag);
      if (octets === 1) writer.unsigned8(data.value);
      else if (octets === 2) writer.unsigned16(data.value);
      else writer.unsigned32(data.value);
    }
  }
}

type SmallInteger = Exclude<Numeric["type"], "long64" | "long64-unsigned" | "float32" | "float64">;

const INTEGERS: Readonly<Record<SmallInteger, { tag: number; octets: 1 | 2 | 4 }>> = {
  "double-long": { tag: 0x05, octets: 4 },
  "double-long-unsigned": { tag: 0x06, octets: 4 },
  bcd: { tag: 0x0d, octets: 1 },
  integer: { tag: 0x0f, octets: 1 },
  long: { tag: 0x10, octets: 2 },
  unsigned: { tag: 0x11, octets: 1 },
  "long-unsigned": { tag: 0x12, octets: 2 },
  enum: { tag: 0x16, octets: 1 },
  "delta-integer": { tag: 0x1c, octets: 1 },
  "delta-long": { tag: 0x1d, octets: 2 },
  "delta-double-long": { tag: 0x1e, octets: 4 },
  "delta-unsigned": { tag: 0x1f, octets: 1 },
  "delta-long-unsigned": { tag: 0x20, octets: 2 },
  "delta-double-long-unsigned": { tag: 0x21, octets: 4 },
};

function writeElements(writer: Writer, tag: number, elements: readonly Data[]): void {
  writer.unsigned8(tag);
  writeLength(writer, elements.length);
  for (const element of elements) writeData(writer, element);
}

function writeString(writer: Writer, tag: number, octets: Buffer): void {
  writer.unsigned8(tag);
  writeLength(writer, octets.length);
  writer.octets(octets);
}

function writeFixed(writer: Writer, tag: number, octets: Buffer): void {
  writer.unsigned8(tag);
  writer.octets(octets);
}
