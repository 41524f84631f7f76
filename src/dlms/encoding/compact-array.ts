import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import { readScalar } from "./data-scalar.ts";
import { TAG_NAMES } from "./data-tags.ts";
import type { Budget, Data } from "./data-types.ts";
import { readLength } from "./length.ts";

/**
 * The content of a compact-array (tag 13 has been read):
 *
 *     type description   a tag; array: 01, count in two octets, description; structure: 02, count, descriptions
 *     length             in octets, of all that follows
 *     values             without tags, row after row; strings and bit-strings with their lengths
 *
 * Example: 13 02 02 06 12 0C 00000064 0901 000000C8 0902 is the rows { 100, 2305 } and { 200, 2306 }.
 *
 * A few octets can describe very many elements (arrays of null-data), so each one is counted against the budget before
 * it is made, and a row that takes no octets is refused.
 */
export function readCompactArray(reader: Reader, budget: Budget, depth: number): Data[] {
  const at = reader.offset;
  if (depth >= budget.depthMax) throw tooDeep(at, budget);
  const description = readDescription(reader, budget, depth + 1);
  const content = reader.sub(readLength(reader));
  const rows: Data[] = [];
  while (content.remaining() > 0) {
    const start = content.offset;
    claim(budget, 1, start);
    rows.push(readPlain(content, description, budget));
    if (content.offset === start) {
      throw new DecodeError("invalid", start, "rows of a compact-array that take no octets");
    }
  }
  COMPACT.add(rows);
  return rows;
}

const COMPACT = new WeakSet<readonly Data[]>();

/** Whether these rows came as a compact-array; for people, it makes no difference to what they mean. */
export function cameCompact(rows: readonly Data[]): boolean {
  return COMPACT.has(rows);
}

/** The type of what stands untagged in the content. */
export interface TypeDescription {
  readonly tag: number;
  /** Elements of an array, else 0. */
  readonly count: number;
  /** Members of a structure, the one element type of an array, else none. */
  readonly members: readonly TypeDescription[];
}

const NO_MEMBERS: readonly TypeDescription[] = [];

export function readDescription(reader: Reader, budget: Budget, depth: number): TypeDescription {
  const at = reader.offset;
  const tag = reader.unsigned8();
  if (tag === 0x01) {
    if (depth >= budget.depthMax) throw tooDeep(at, budget);
    const count = reader.unsigned16();
    return { tag, count, members: [readDescription(reader, budget, depth + 1)] };
  }
  if (tag === 0x02) {
    if (depth >= budget.depthMax) throw tooDeep(at, budget);
    const count = readLength(reader);
    if (count > reader.remaining()) {
      throw new DecodeError("truncated", at, `${count} types in ${reader.remaining()} octets`);
    }
    const members: TypeDescription[] = [];
    for (let i = 0; i < count; i++) members.push(readDescription(reader, budget, depth + 1));
    return { tag, count: 0, members };
  }
  if (tag === 0x13 || TAG_NAMES[tag] === undefined) {
    throw new DecodeError(
      "invalid",
      at,
      `${tag.toString(16).padStart(2, "0")} is no type of a compact-array`,
    );
  }
  return { tag, count: 0, members: NO_MEMBERS };
}

function readPlain(content: Reader, description: TypeDescription, budget: Budget): Data {
  const { tag, members } = description;
  if (tag === 0x02) {
    claim(budget, members.length, content.offset);
    const value: Data[] = [];
    for (let i = 0; i < members.length; i++) value.push(readPlain(content, members[i]!, budget));
    return { type: "structure", value };
  }
  if (tag === 0x01) {
    claim(budget, description.count, content.offset);
    const value: Data[] = [];
    for (let i = 0; i < description.count; i++) value.push(readPlain(content, members[0]!, budget));
    return { type: "array", value };
  }
  return readScalar(content, tag);
}

function claim(budget: Budget, count: number, at: number): void {
  if (count > budget.left) throw new DecodeError("limit", at, "more elements than the limit allows");
  budget.left -= count;
}

function tooDeep(at: number, budget: Budget): DecodeError {
  return new DecodeError("limit", at, `more than ${budget.depthMax} arrays and structures inside each other`);
}
