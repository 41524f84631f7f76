import type { Data } from "../../encoding/data-types.ts";
import { type DataCodec, DataMismatch, describeType, type ValueOf, within } from "./data-codec.ts";

type Fields = Readonly<Record<string, DataCodec<unknown>>>;

export type StructureValue<F extends Fields> = { -readonly [K in keyof F]: ValueOf<F[K]> };

/** A structure of just these fields, in the order in which they are declared. */
export function structure<F extends Fields>(fields: F): DataCodec<StructureValue<F>> {
  const entries = Object.entries(fields);
  return {
    type: `structure of ${entries.length}`,
    read: (data) => {
      if (data.type !== "structure" || data.value.length !== entries.length) {
        throw new DataMismatch(`${describeType(data)} where structure of ${entries.length} is expected`);
      }
      const value: Record<string, unknown> = {};
      entries.forEach(([name, field], index) => {
        value[name] = within(name, () => field.read(data.value[index]!));
      });
      return value as StructureValue<F>;
    },
    write: (value) => ({
      type: "structure",
      value: entries.map(([name, field]) => within(name, () => field.write(value[name]))),
    }),
  };
}

/** An array of any number of items. null-data, which some meters give for an empty one, reads as none. */
export function array<T>(item: DataCodec<T>): DataCodec<T[]> {
  return {
    type: `array of ${item.type}`,
    read: (data) => {
      if (data.type === "null-data") return [];
      if (data.type !== "array") {
        throw new DataMismatch(`${describeType(data)} where array of ${item.type} is expected`);
      }
      return data.value.map((one, index) => within(`[${index}]`, () => item.read(one)));
    },
    write: (items) => ({
      type: "array",
      value: items.map((one, index): Data => within(`[${index}]`, () => item.write(one))),
    }),
  };
}
