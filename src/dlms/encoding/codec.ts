import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";
import { type Data, type DataLimits, readData, writeData } from "./data.ts";
import { readLength, writeLength } from "./length.ts";

/**
 * Combinators for A-XDR: a message is declared once, and the declaration is its decoder, its encoder and its type.
 * Methods, not properties, so that codecs of different types fit into one table.
 */
export interface Codec<T> {
  /** Throws DecodeError. `limits` are for the Data inside, and bound counts. */
  read(reader: Reader, limits: DataLimits): T;
  write(writer: Writer, value: T): void;
}

export type ValueOf<C> = C extends Codec<infer T> ? T : never;

function codec<T>(
  read: (reader: Reader, limits: DataLimits) => T,
  write: (writer: Writer, value: T) => void,
): Codec<T> {
  return { read, write };
}

export const unsigned8: Codec<number> = codec(
  (reader) => reader.unsigned8(),
  (writer, value) => writer.unsigned8(value),
);

export const unsigned16: Codec<number> = codec(
  (reader) => reader.unsigned16(),
  (writer, value) => writer.unsigned16(value),
);

export const unsigned32: Codec<number> = codec(
  (reader) => reader.unsigned32(),
  (writer, value) => writer.unsigned32(value),
);

export const integer16: Codec<number> = codec(
  (reader) => reader.integer16(),
  (writer, value) => writer.integer16(value),
);

export const integer8: Codec<number> = codec(
  (reader) => reader.integer8(),
  (writer, value) => writer.integer8(value),
);

/** One octet: 00 is false, anything else true; true is written as 01. */
export const boolean: Codec<boolean> = codec(
  (reader) => reader.unsigned8() !== 0,
  (writer, value) => writer.unsigned8(value ? 1 : 0),
);

/** Length and octets; a view of what was read. */
export const octetString: Codec<Buffer> = codec(
  (reader) => reader.octets(readLength(reader)),
  (writer, value) => {
    writeLength(writer, value.length);
    writer.octets(value);
  },
);

/** A fixed number of octets without a length; a view of what was read. */
export function octets(count: number): Codec<Buffer> {
  return codec(
    (reader) => reader.octets(count),
    (writer, value) => writer.octets(value),
  );
}

/** All that is left; a view of what was read. */
export const rest: Codec<Buffer> = codec(
  (reader) => reader.octets(reader.remaining()),
  (writer, value) => writer.octets(value),
);

/** Marks, in a trace, a value that is a Data. */
export const DATA_LABEL = "Data";

export const data: Codec<Data> = codec(
  (reader, limits) => {
    reader.trace?.begin(DATA_LABEL, reader.offset);
    const value = readData(reader, limits);
    reader.trace?.end(reader.offset, value);
    return value;
  },
  (writer, value) => writeData(writer, value),
);

/** OPTIONAL: 00 absent (null), anything else present. */
export function optional<T>(inner: Codec<T>): Codec<T | null> {
  return codec(
    (reader, limits) => (reader.unsigned8() === 0 ? null : inner.read(reader, limits)),
    (writer, value) => {
      writer.unsigned8(value === null ? 0 : 1);
      if (value !== null) inner.write(writer, value);
    },
  );
}

/** DEFAULT: 00 stands for the default, anything else precedes the value. The default is written as 00. */
export function withDefault<T>(inner: Codec<T>, value: T): Codec<T> {
  return codec(
    (reader, limits) => (reader.unsigned8() === 0 ? value : inner.read(reader, limits)),
    (writer, written) => {
      writer.unsigned8(written === value ? 0 : 1);
      if (written !== value) inner.write(writer, written);
    },
  );
}

/** A whole number with names for its values. Numbers without a name are kept as numbers, whatever they mean. */
export function enumerated<const Names extends Readonly<Record<number, string>>>(
  names: Names,
): Codec<Names[keyof Names] | number> {
  const numbers = new Map(Object.entries(names).map(([number, name]) => [name, Number(number)]));
  return codec(
    (reader) => {
      const number = reader.unsigned8();
      return (names[number] as Names[keyof Names] | undefined) ?? number;
    },
    (writer, value) => writer.unsigned8(typeof value === "number" ? value : numbers.get(value as string)!),
  );
}

type Fields = Readonly<Record<string, Codec<unknown>>>;

export type SequenceValue<F extends Fields> = { -readonly [K in keyof F]: ValueOf<F[K]> };

/** SEQUENCE: the fields in the order in which they are declared. */
export function sequence<F extends Fields>(fields: F): Codec<SequenceValue<F>> {
  const entries = Object.entries(fields);
  return codec(
    (reader, limits) => {
      const value: Record<string, unknown> = {};
      const { trace } = reader;
      for (const [name, field] of entries) {
        trace?.begin(name, reader.offset);
        value[name] = field.read(reader, limits);
        trace?.end(reader.offset, value[name]);
      }
      return value as SequenceValue<F>;
    },
    (writer, value) => {
      for (const [name, field] of entries) field.write(writer, value[name]);
    },
  );
}

/** SEQUENCE OF: a count and so many. The count is checked against the octets left before room is made. */
export function sequenceOf<T>(item: Codec<T>): Codec<T[]> {
  return codec(
    (reader, limits) => {
      const at = reader.offset;
      const count = readLength(reader);
      if (count > reader.remaining()) {
        throw new DecodeError("truncated", at, `${count} items in ${reader.remaining()} octets`);
      }
      if (count > limits.elementsMax) {
        throw new DecodeError("limit", at, `${count} items are more than the limit allows`);
      }
      const items: T[] = [];
      for (let i = 0; i < count; i++) {
        reader.trace?.begin(`[${i}]`, reader.offset);
        items.push(item.read(reader, limits));
        reader.trace?.end(reader.offset, items[i]);
      }
      return items;
    },
    (writer, items) => {
      writeLength(writer, items.length);
      for (const one of items) item.write(writer, one);
    },
  );
}

type Alternatives = Readonly<Record<number, readonly [kind: string, codec: Codec<object>]>>;

export type ChoiceValue<A extends Alternatives> = {
  [K in keyof A]: A[K] extends readonly [infer Kind, Codec<infer T>] ? { kind: Kind } & T : never;
}[keyof A];

/** CHOICE: one octet says which. The value is that of the alternative with the alternative's name as `kind`. */
export function choice<const A extends Alternatives>(what: string, alternatives: A): Codec<ChoiceValue<A>> {
  const tags = new Map(Object.entries(alternatives).map(([tag, [kind]]) => [kind, Number(tag)]));
  return codec(
    (reader, limits) => {
      const at = reader.offset;
      reader.trace?.begin("choice", at);
      const tag = reader.unsigned8();
      const alternative = alternatives[tag];
      if (alternative === undefined) {
        throw new DecodeError("invalid", at, `${tag.toString(16).padStart(2, "0")} is no choice of ${what}`);
      }
      reader.trace?.end(reader.offset, alternative[0]);
      return { kind: alternative[0], ...alternative[1].read(reader, limits) } as ChoiceValue<A>;
    },
    (writer, value) => {
      const tag = tags.get((value as { kind: string }).kind)!;
      writer.unsigned8(tag);
      alternatives[tag]![1].write(writer, value as object);
    },
  );
}
