import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";

/**
 * Lengths and counts of A-XDR (IEC 61334-6) and, up to this size, of BER:
 *
 *     00–7F           the length itself
 *     81 xx           one octet follows
 *     82 xx xx        two octets …
 *     84 xx xx xx xx  up to four
 *
 * Field meters write longer forms than needed (82 00 7B): these are accepted.
 */
export function readLength(reader: Reader): number {
  const first = reader.unsigned8();
  return first < 0x80 ? first : readLongLength(reader, first);
}

function readLongLength(reader: Reader, first: number): number {
  switch (first) {
    case 0x81:
      return reader.unsigned8();
    case 0x82:
      return reader.unsigned16();
    case 0x83:
      return reader.unsigned24();
    case 0x84:
      return reader.unsigned32();
    default:
      throw new DecodeError("invalid", reader.offset - 1, `${first.toString(16)} does not begin a length`);
  }
}

/** Writes the shortest form. */
export function writeLength(writer: Writer, length: number): void {
  if (length < 0x80) {
    writer.unsigned8(length);
  } else if (length < 0x100) {
    writer.unsigned8(0x81);
    writer.unsigned8(length);
  } else if (length < 0x1_0000) {
    writer.unsigned8(0x82);
    writer.unsigned16(length);
  } else if (length < 0x100_0000) {
    writer.unsigned8(0x83);
    writer.unsigned24(length);
  } else {
    writer.unsigned8(0x84);
    writer.unsigned32(length);
  }
}
