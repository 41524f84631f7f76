import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import type { BitString, Data } from "./data-types.ts";
import { readLength } from "./length.ts";

/** The content of any type that holds no other Data; `tag` has been read. */
export function readScalar(reader: Reader, tag: number): Data {
  switch (tag) {
    case 0x05:
      return { type: "double-long", value: reader.integer32() };
    case 0x06:
      return { type: "double-long-unsigned", value: reader.unsigned32() };
    case 0x12:
      return { type: "long-unsigned", value: reader.unsigned16() };
    case 0x10:
      return { type: "long", value: reader.integer16() };
    case 0x09:
      return { type: "octet-string", value: reader.octets(readLength(reader)) };
    case 0x0f:
      return { type: "integer", value: reader.integer8() };
    case 0x11:
      return { type: "unsigned", value: reader.unsigned8() };
    case 0x16:
      return { type: "enum", value: reader.unsigned8() };
    default:
      return readLessUsual(reader, tag);
  }
}

function readLessUsual(reader: Reader, tag: number): Data {
  switch (tag) {
    case 0x00:
      return { type: "null-data", value: null };
    case 0xff:
      return { type: "dont-care", value: null };
    case 0x03:
      return { type: "boolean", value: reader.unsigned8() !== 0 };
    case 0x04:
      return { type: "bit-string", value: readBitString(reader) };
    case 0x0a:
      return { type: "visible-string", value: reader.octets(readLength(reader)).toString("latin1") };
    case 0x0c:
      return { type: "utf8-string", value: reader.octets(readLength(reader)).toString("utf8") };
    case 0x14:
      return { type: "long64", value: reader.integer64() };
    case 0x15:
      return { type: "long64-unsigned", value: reader.unsigned64() };
    case 0x17:
      return { type: "float32", value: reader.float32() };
    case 0x18:
      return { type: "float64", value: reader.float64() };
    default:
      return readRare(reader, tag);
  }
}

function readRare(reader: Reader, tag: number): Data {
  switch (tag) {
    case 0x0d:
      return { type: "bcd", value: reader.unsigned8() };
    case 0x19:
      return { type: "date-time", value: reader.octets(12) };
    case 0x1a:
      return { type: "date", value: reader.octets(5) };
    case 0x1b:
      return { type: "time", value: reader.octets(4) };
    case 0x1c:
      return { type: "delta-integer", value: reader.integer8() };
    case 0x1d:
      return { type: "delta-long", value: reader.integer16() };
    case 0x1e:
      return { type: "delta-double-long", value: reader.integer32() };
    case 0x1f:
      return { type: "delta-unsigned", value: reader.unsigned8() };
    case 0x20:
      return { type: "delta-long-unsigned", value: reader.unsigned16() };
    case 0x21:
      return { type: "delta-double-long-unsigned", value: reader.unsigned32() };
    default:
      throw new DecodeError(
        "invalid",
        reader.offset - 1,
        `${tag.toString(16).padStart(2, "0")} is not the tag of a Data`,
      );
  }
}

function readBitString(reader: Reader): BitString {
  const length = readBitLength(reader);
  return { length, octets: reader.octets(Math.ceil(length / 8)) };
}

/**
 * Some meters write the length of a 128-bit string as the single octet 80, which no length can begin with; the sixteen
 * octets that follow show that it is meant.
 */
export function readBitLength(reader: Reader): number {
  if (reader.peek() !== 0x80) return readLength(reader);
  reader.advance(1);
  return 128;
}
