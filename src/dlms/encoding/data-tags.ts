import type { DataType } from "./data-types.ts";

export interface DataTag {
  readonly name: DataType | "compact-array";
  /** Octets of the content where that is fixed, else null. */
  readonly octets: number | null;
}

const of = (name: DataTag["name"], octets: number | null): DataTag => ({ name, octets });

/** The tags of the CHOICE Data; those that are missing are not assigned. */
export const TAG_NAMES: Readonly<Record<number, DataTag>> = {
  0: of("null-data", 0),
  1: of("array", null),
  2: of("structure", null),
  3: of("boolean", 1),
  4: of("bit-string", null),
  5: of("double-long", 4),
  6: of("double-long-unsigned", 4),
  9: of("octet-string", null),
  10: of("visible-string", null),
  12: of("utf8-string", null),
  13: of("bcd", 1),
  15: of("integer", 1),
  16: of("long", 2),
  17: of("unsigned", 1),
  18: of("long-unsigned", 2),
  19: of("compact-array", null),
  20: of("long64", 8),
  21: of("long64-unsigned", 8),
  22: of("enum", 1),
  23: of("float32", 4),
  24: of("float64", 8),
  25: of("date-time", 12),
  26: of("date", 5),
  27: of("time", 4),
  28: of("delta-integer", 1),
  29: of("delta-long", 2),
  30: of("delta-double-long", 4),
  31: of("delta-unsigned", 1),
  32: of("delta-long-unsigned", 2),
  33: of("delta-double-long-unsigned", 4),
  255: of("dont-care", 0),
};
