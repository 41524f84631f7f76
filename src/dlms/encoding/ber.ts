import { DecodeError } from "../bytes/errors.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Codec } from "./codec.ts";
import type { DataLimits } from "./data.ts";
import { readLength, writeLength } from "./length.ts";

/**
 * The part of BER that ACSE uses: tag 1 · length (00–7F, 81 xx, 82 xx xx) · content. An APDU is a run of such fields,
 * all optional, told apart by their tags.
 */
type Field<T> = readonly [tag: number, codec: Codec<T>];
type Fields = Readonly<Record<string, Field<unknown>>>;

export type FieldValues<F extends Fields> = {
  -readonly [K in keyof F]: F[K] extends Field<infer T> ? T | null : never;
};

/** Fields in the order in which they are written; in reading any order is taken. Absent fields are null. */
export function fields<const F extends Fields>(what: string, declared: F): Codec<FieldValues<F>> {
  const entries = Object.entries(declared);
  const byTag = new Map(entries.map(([name, [tag, codec]]) => [tag, { name, codec }]));
  return {
    read: (reader, limits) => {
      const values: Record<string, unknown> = Object.fromEntries(entries.map(([name]) => [name, null]));
      let corrected = false;
      while (reader.remaining() > 0) {
        const at = reader.offset;
        const tag = reader.unsigned8();
        const field = byTag.get(tag);
        if (field === undefined) throw new DecodeError("invalid", at, `${hex(tag)} is no field of ${what}`);
        reader.trace?.begin(field.name, at);
        const content = contentOf(reader, tag, corrected);
        // Lengths up to 7F stand in the octet behind the tag; longer ones are never corrected.
        corrected ||= content.offset === at + 2 && content.remaining() !== reader.buffer[at + 1];
        values[field.name] = field.codec.read(content, limits);
        content.expectEnd();
        reader.trace?.end(reader.offset, values[field.name]);
      }
      return values as FieldValues<F>;
    },
    write: (writer, values) => {
      for (const [name, [tag, codec]] of entries) {
        const value = values[name];
        if (value !== null && value !== undefined) writeTagged(writer, tag, codec, value);
      }
    },
  };
}

const CONSTRUCTED = 0x20;
/** The field that always stands last. Where lengths before it were wrong, its own is not believed either. */
const USER_INFORMATION = 0xbe;
/** Octets by which that field, or the element in it, may be longer than it says: EK240 meters count one less. */
const LAST_SHORT_MAX = 1;

/**
 * A field's content. Some meters write a length that doesn't reach the end of the one element inside (AA 02 80 08 …):
 * then the length of the element counts.
 */
function contentOf(reader: Reader, tag: number, corrected: boolean): Reader {
  const length = readLength(reader);
  const beyond = reader.remaining() - length;
  if (corrected && tag === USER_INFORMATION && beyond > 0 && beyond <= LAST_SHORT_MAX) {
    return reader.sub(length + beyond);
  }
  const inner = (tag & CONSTRUCTED) !== 0 && reader.remaining() >= 2 ? innerLength(reader) : 0;
  return reader.sub(inner > length && inner <= reader.remaining() ? inner : length);
}

/** Octets of the element that begins here, tag and length included; only of such that are shorter than 128. */
function innerLength(reader: Reader): number {
  const length = reader.buffer[reader.offset + 1]!;
  return length < 0x80 ? 2 + length : 0;
}

/** EXPLICIT: one element of tag `tag` inside. */
export function explicit<T>(tag: number, codec: Codec<T>): Codec<T> {
  return {
    read: (reader, limits) => {
      const at = reader.offset;
      const found = reader.unsigned8();
      if (found !== tag) throw new DecodeError("invalid", at, `${hex(found)} in place of ${hex(tag)}`);
      const content = reader.sub(readLength(reader));
      const value = codec.read(content, limits);
      content.expectEnd();
      return value;
    },
    write: (writer, value) => writeTagged(writer, tag, codec, value),
  };
}

/** The same where the element is the last one and may be a little longer than it says. */
export function toTheEnd<T>(tag: number, codec: Codec<T>): Codec<T> {
  const exact = explicit(tag, codec);
  return {
    read: (reader, limits) => {
      const { offset, end } = reader;
      const said = reader.remaining() >= 2 ? innerLength(reader) : 0;
      const beyond = end - offset - said;
      if (said === 0 || reader.buffer[offset] !== tag || beyond < 1 || beyond > LAST_SHORT_MAX) {
        return exact.read(reader, limits);
      }
      reader.advance(2);
      return codec.read(reader, limits);
    },
    write: exact.write,
  };
}

/** INTEGER of one octet, with or without its own tag and length (some meters send both in an implicit field). */
export function shortInteger<T>(codec: Codec<T>): Codec<T> {
  const tagged = explicit(0x02, codec);
  return {
    read: (reader, limits) => (reader.remaining() === 3 ? tagged : codec).read(reader, limits),
    write: (writer, value) => codec.write(writer, value),
  };
}

/** OBJECT IDENTIFIER without tag and length, in dotted text. */
export const objectIdentifier: Codec<string> = {
  read: (reader) => {
    const arcs: number[] = [];
    while (reader.remaining() > 0) arcs.push(readArc(reader));
    const first = arcs.shift();
    if (first === undefined) throw new DecodeError("truncated", reader.offset, "an empty object identifier");
    const root = Math.min(2, Math.floor(first / 40));
    return [root, first - root * 40, ...arcs].join(".");
  },
  write: (writer, text) => {
    const [root = 0, second = 0, ...arcs] = text.split(".").map(Number);
    for (const arc of [root * 40 + second, ...arcs]) writeArc(writer, arc);
  },
};

function readArc(reader: Reader): number {
  const at = reader.offset;
  let arc = 0;
  for (let i = 0; i < 5; i++) {
    const octet = reader.unsigned8();
    arc = arc * 128 + (octet & 0x7f);
    if (octet < 0x80) return arc;
  }
  throw new DecodeError("invalid", at, "an object identifier with an arc of more than 35 bits");
}

function writeArc(writer: Writer, arc: number): void {
  const groups = [arc & 0x7f];
  for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
    groups.unshift((left & 0x7f) | 0x80);
  }
  for (const group of groups) writer.unsigned8(group);
}

/** Writes tag, length and content. */
export function writeTagged<T>(writer: Writer, tag: number, codec: Codec<T>, value: T): void {
  const content = new Writer();
  codec.write(content, value);
  writer.unsigned8(tag);
  writeLength(writer, content.length);
  writer.octets(content.finish());
}

/** Octets by which an APDU may be longer than it says; RLREs that are four short were seen. */
const SHORT_MAX = 4;

/** Reads tag, length and content where the tag is one of the table, and nothing after it. */
export function readTagged<C>(
  octets: Buffer,
  table: ReadonlyMap<number, C & { readonly codec: Codec<unknown> }>,
  what: string,
  limits: DataLimits,
  trace: Reader["trace"] = null,
): { entry: C; value: unknown } {
  const reader = new Reader(octets);
  reader.trace = trace;
  const tag = reader.unsigned8();
  const entry = table.get(tag);
  if (entry === undefined) throw new DecodeError("invalid", 0, `${hex(tag)} is not the tag of ${what}`);
  const content = reader.sub(readLength(reader));
  const start = content.offset;
  try {
    const value = entry.codec.read(content, limits);
    content.expectEnd();
    reader.expectEnd();
    return { entry, value };
  } catch (error) {
    // Some meters count the APDU a few octets short: what ends in the middle of a field may go on behind it.
    const beyond = octets.length - content.end;
    const mayGoOn = error instanceof DecodeError && (error.code === "truncated" || error.code === "trailing");
    if (!mayGoOn || beyond < 1 || beyond > SHORT_MAX) throw error;
    return { entry, value: readLonger(new Reader(octets, start), entry.codec, limits, error) };
  }
}

/** Throws the first error where the octets make no sense that way either. */
function readLonger(reader: Reader, codec: Codec<unknown>, limits: DataLimits, first: DecodeError): unknown {
  try {
    const value = codec.read(reader, limits);
    reader.expectEnd();
    return value;
  } catch (error) {
    throw error instanceof DecodeError ? first : error;
  }
}

function hex(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}
