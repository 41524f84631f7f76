import type { BitString, Data, DataType } from "../../encoding/data-types.ts";

/**
 * Between a Data as it goes over the line and the value that an attribute or a parameter has for us. Declared once, it serves the client
 * and the server.
 *
 * Reading is lenient in what makes no difference: a whole number of any width that holds it, text in any kind of string, a date-time with
 * or without the octet-string around it; meters differ there. Writing gives exactly the type that the Blue Book names. A server that must
 * answer "type-unmatched" uses `readExactly`.
 *
 * Methods, not properties, so that codecs of different types fit into one table.
 */
export interface DataCodec<T> {
  /** In the standard's words, for messages and documents: "long-unsigned", "array of structure". */
  readonly type: string;
  /** @throws DataMismatch */
  read(data: Data): T;
  /** @throws DataMismatch for a value that the type can't hold */
  write(value: T): Data;
}

export type ValueOf<C> = C extends DataCodec<infer T> ? T : never;

/** A Data that isn't what the attribute is made of, or a value that its type can't hold. `path` says where: "[2].logicalName". */
export class DataMismatch extends Error {
  readonly path: string;
  readonly reason: string;

  constructor(reason: string, path = "") {
    super(path === "" ? reason : `${path}: ${reason}`);
    this.name = "DataMismatch";
    this.path = path;
    this.reason = reason;
  }

  /** The same, seen from what contains it. */
  inside(container: string): DataMismatch {
    const separator = this.path === "" || this.path.startsWith("[") ? "" : ".";
    return new DataMismatch(this.reason, container + separator + this.path);
  }
}

/** Runs `step` and tells where, if it finds a mismatch. */
export function within<T>(container: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw error instanceof DataMismatch ? error.inside(container) : error;
  }
}

/** "octet-string (4 octets)", "structure of 3" */
export function describeType(data: Data): string {
  if (data.type === "octet-string") return `octet-string (${data.value.length} octets)`;
  if (data.type === "array" || data.type === "structure") return `${data.type} of ${data.value.length}`;
  return data.type;
}

/** The value, where the Data has just the types that would be written for it. @throws DataMismatch */
export function readExactly<T>(codec: DataCodec<T>, data: Data): T {
  const value = codec.read(data);
  const written = codec.write(value);
  if (!sameTypes(data, written)) {
    throw new DataMismatch(`${describeType(data)} where ${codec.type} is expected`);
  }
  return value;
}

function sameTypes(one: Data, other: Data): boolean {
  if (one.type !== other.type) return false;
  if (one.type !== "array" && one.type !== "structure") return true;
  const members = (other as typeof one).value;
  return one.value.length === members.length && one.value.every((m, i) => sameTypes(m, members[i]!));
}

/** Any Data as it is: for values whose type is the meter's own choice. */
export const anyData: DataCodec<Data> = { type: "CHOICE", read: (data) => data, write: (data) => data };

/** What the field stands for where no parameter is needed: integer 0. Reads anything. */
export const noParameters: DataCodec<null> = {
  type: "integer (0)",
  read: () => null,
  write: () => ({ type: "integer", value: 0 }),
};

/** null-data, or the value. */
export function nullable<T>(inner: DataCodec<T>): DataCodec<T | null> {
  return {
    type: `null-data or ${inner.type}`,
    read: (data) => (data.type === "null-data" ? null : inner.read(data)),
    write: (value) => (value === null ? { type: "null-data", value: null } : inner.write(value)),
  };
}

/**
 * A codec from a pair of functions that know nothing of this interface; `fromData` gives null for data that is something else.
 */
export function dataCodec<T>(
  type: string,
  fromData: (data: Data) => T | null,
  toData: (value: T) => Data,
): DataCodec<T> {
  return {
    type,
    read: (data) => {
      const value = fromData(data);
      if (value === null) throw new DataMismatch(`${describeType(data)} where ${type} is expected`);
      return value;
    },
    write: toData,
  };
}

type WholeNumberType =
  | "integer"
  | "long"
  | "double-long"
  | "unsigned"
  | "long-unsigned"
  | "double-long-unsigned";

/** The number of a Data that holds a whole one, of whatever width; null for all others. */
export function wholeNumber(data: Data): number | null {
  return NUMERIC.has(data.type) && typeof data.value === "number" ? data.value : null;
}

const NUMERIC: ReadonlySet<DataType> = new Set([
  "double-long",
  "double-long-unsigned",
  "bcd",
  "integer",
  "long",
  "unsigned",
  "long-unsigned",
  "long64",
  "long64-unsigned",
  "enum",
]);

function numberOf(type: WholeNumberType, min: number, max: number): DataCodec<number> {
  const fits = (value: number) => Number.isInteger(value) && value >= min && value <= max;
  return {
    type,
    read: (data) => {
      const value = wholeNumber(data);
      if (value === null) throw new DataMismatch(`${describeType(data)} where ${type} is expected`);
      if (!fits(value)) throw new DataMismatch(`${value} is out of the range of ${type} (${min} to ${max})`);
      return value;
    },
    write: (value) => {
      if (!fits(value)) throw new DataMismatch(`${value} is out of the range of ${type} (${min} to ${max})`);
      return { type, value };
    },
  };
}

export const integer = numberOf("integer", -0x80, 0x7f);
export const long = numberOf("long", -0x8000, 0x7fff);
export const doubleLong = numberOf("double-long", -0x8000_0000, 0x7fff_ffff);
export const unsigned = numberOf("unsigned", 0, 0xff);
export const longUnsigned = numberOf("long-unsigned", 0, 0xffff);
export const doubleLongUnsigned = numberOf("double-long-unsigned", 0, 0xffff_ffff);

/** Reads numbers too, as C does: some meters have no boolean. */
export const boolean: DataCodec<boolean> = dataCodec(
  "boolean",
  (data) => {
    if (data.type === "boolean") return data.value;
    const value = wholeNumber(data);
    return value === null ? null : value !== 0;
  },
  (value) => ({ type: "boolean", value }),
);

/** An enum with names for its values. Numbers without a name are kept as numbers, whatever they mean. */
export function enumerated<const Names extends Readonly<Record<number, string>>>(
  names: Names,
): DataCodec<Names[keyof Names] | number> {
  const numbers = new Map(Object.entries(names).map(([number, name]) => [name, Number(number)]));
  return {
    type: "enum",
    read: (data) => {
      const value = wholeNumber(data);
      if (value === null) throw new DataMismatch(`${describeType(data)} where enum is expected`);
      return (names[value] as Names[keyof Names] | undefined) ?? value;
    },
    write: (value) => {
      const number = typeof value === "number" ? value : numbers.get(value as string);
      if (number === undefined || !Number.isInteger(number) || number < 0 || number > 255) {
        throw new DataMismatch(`${String(value)} is none of ${[...numbers.keys()].join(", ")}`);
      }
      return { type: "enum", value: number };
    },
  };
}

/** An enum whose numbers are flags or the maker's own. */
export const plainEnum: DataCodec<number> = {
  type: "enum",
  read: (data) => unsigned.read(data),
  write: (value) => ({ type: "enum", value: unsigned.write(value).value as number }),
};

export const bitString: DataCodec<BitString> = dataCodec(
  "bit-string",
  (data) => (data.type === "bit-string" ? data.value : null),
  (value) => ({ type: "bit-string", value }),
);
