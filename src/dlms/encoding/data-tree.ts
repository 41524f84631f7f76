import { DecodeError } from "../bytes/errors.ts";
import { cameCompact } from "./compact-array.ts";
import { TAG_NAMES } from "./data-tags.ts";
import type { Data, DataType } from "./data-types.ts";

/** A Data as JSON can hold it; see `treeOf`. */
export type Tree = null | { readonly [type: string]: unknown };

/** Data that holds other Data. */
export type Compound = Extract<Data, { value: Data[] }>;
/** Data that holds none. */
export type Scalar = Exclude<Data, { value: Data[] }>;

export function isCompound(data: Data): data is Compound {
  return data.type === "array" || data.type === "structure";
}

/**
 * Data for scripts: { "os": hex } octet-string, { "vs": text } visible-string, { "structure": […] }, { "array": […] },
 * null for null-data, else { "type-name": value }. Integers beyond 2⁵³ are texts, times hex. Bit-strings are hex, first bit first, with
 * their number of bits beside it where that is no multiple of 8.
 */
export function treeOf(data: Data): Tree {
  switch (data.type) {
    case "null-data":
      return null;
    case "octet-string":
      return { os: data.value.toString("hex") };
    case "visible-string":
      return { vs: data.value };
    case "structure":
      return { structure: data.value.map(treeOf) };
    case "array":
      return { [cameCompact(data.value) ? "compact-array" : "array"]: data.value.map(treeOf) };
    case "bit-string": {
      const hex = data.value.octets.toString("hex");
      return data.value.length % 8 === 0
        ? { "bit-string": hex }
        : { "bit-string": hex, bits: data.value.length };
    }
    default:
      return { [data.type]: plainValue(data) };
  }
}

/** A single value as JSON can hold it. */
export function plainValue(data: Scalar): unknown {
  const { value } = data;
  if (Buffer.isBuffer(value)) return value.toString("hex");
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return data.type === "bit-string" ? data.value.octets.toString("hex") : value;
}

/** Arrays and structures inside each other that a tree may have. */
const DEPTH_MAX = 32;

/** The Data that a tree stands for. @throws DecodeError "invalid", with the place in the tree, for anything else */
export function dataOfTree(tree: unknown, place = "data", depth = 0): Data {
  if (tree === null) return { type: "null-data", value: null };
  if (typeof tree !== "object" || Array.isArray(tree)) throw odd(place, "is no object with a type's name");
  const [name, ...others] = Object.keys(tree);
  if (name === undefined) throw odd(place, "is an empty object");
  const value = (tree as Record<string, unknown>)[name];
  if (name === "bit-string") {
    return bitStringOf(place, value, (tree as { bits?: unknown }).bits, others.length);
  }
  if (others.length > 0) throw odd(place, `has ${others.join(", ")} beside ${name}`);
  if (name === "structure" || name === "array" || name === "compact-array") {
    if (!Array.isArray(value)) throw odd(place, `${name} is no list`);
    if (depth >= DEPTH_MAX) throw odd(place, `has more than ${DEPTH_MAX} lists inside each other`);
    const members = value.map((one, index) => dataOfTree(one, `${place}.${name}[${index}]`, depth + 1));
    return { type: name === "structure" ? "structure" : "array", value: members };
  }
  return scalarOf(place, name, value);
}

function bitStringOf(place: string, value: unknown, bits: unknown, others: number): Data {
  const octets = hexOf(place, value);
  const length = bits ?? octets.length * 8;
  if (
    typeof length !== "number" ||
    Math.ceil(length / 8) !== octets.length ||
    others > (bits === undefined ? 0 : 1)
  ) {
    throw odd(place, `is no bit-string: ${octets.length} octets, bits ${String(bits)}`);
  }
  return { type: "bit-string", value: { length, octets } };
}

function scalarOf(place: string, name: string, value: unknown): Data {
  switch (name) {
    case "os":
    case "octet-string":
      return { type: "octet-string", value: hexOf(place, value) };
    case "vs":
    case "visible-string":
    case "utf8-string":
      if (typeof value !== "string") throw odd(place, `${name} is no text`);
      return { type: name === "vs" ? "visible-string" : name, value };
    case "boolean":
      if (typeof value !== "boolean") throw odd(place, "boolean is neither true nor false");
      return { type: name, value };
    case "date-time":
    case "date":
    case "time":
      return fixedOf(place, name, hexOf(place, value));
    case "null-data":
    case "dont-care":
      return { type: name, value: null };
    case "float32":
    case "float64":
      return { type: name, value: floatOf(place, value) };
    default:
      return wholeOf(place, name, value);
  }
}

function fixedOf(place: string, type: "date-time" | "date" | "time", value: Buffer): Data {
  const octets = Object.values(TAG_NAMES).find(({ name }) => name === type)!.octets;
  if (value.length !== octets) throw odd(place, `${type} has ${octets} octets, not ${value.length}`);
  return { type, value };
}

function floatOf(place: string, value: unknown): number {
  if (typeof value === "number") return value;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  throw odd(place, `${JSON.stringify(value)} is no number`);
}

/** Octets and sign of the types of whole numbers, by name. */
const WHOLE: ReadonlyMap<string, { readonly bits: number; readonly signed: boolean }> = new Map(
  Object.values(TAG_NAMES)
    .filter(({ name }) =>
      /^(?:delta-)?(?:double-)?(?:long64|long|integer|unsigned)|^(?:enum|bcd)$/.test(name),
    )
    .map(({ name, octets }) => [
      name,
      { bits: octets! * 8, signed: !name.endsWith("unsigned") && name !== "enum" && name !== "bcd" },
    ]),
);

function wholeOf(place: string, name: string, value: unknown): Data {
  const width = WHOLE.get(name);
  if (width === undefined) throw odd(place, `${JSON.stringify(name)} is no type of a Data`);
  const is64 = width.bits === 64;
  const text = typeof value === "string" && is64 && /^-?\d{1,20}$/.test(value);
  if (!text && !Number.isSafeInteger(value)) throw odd(place, `${JSON.stringify(value)} is no ${name}`);
  const number = BigInt(value as string | number);
  const min = width.signed ? -(1n << BigInt(width.bits - 1)) : 0n;
  const max = (1n << BigInt(width.signed ? width.bits - 1 : width.bits)) - 1n;
  if (number < min || number > max) throw odd(place, `${number} is out of the range of ${name}`);
  const plain = Number(number);
  return { type: name as DataType, value: Number.isSafeInteger(plain) ? plain : number } as Data;
}

function hexOf(place: string, value: unknown): Buffer {
  if (typeof value !== "string" || value.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(value)) {
    throw odd(place, `${JSON.stringify(value)} is no hex`);
  }
  return Buffer.from(value, "hex");
}

const odd = (place: string, text: string) => new DecodeError("invalid", 0, `${place} ${text}`);
