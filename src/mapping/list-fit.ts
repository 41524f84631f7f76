import type { Data } from "../dlms/encoding/data.ts";
import type { CaptureList } from "./captured.ts";
import type { MappingConfiguration } from "./configuration.ts";

/** What sort of value the catalogue expects of an object; null: nothing is known, anything goes. */
type Sort = "time" | "text" | "bits" | "octet" | "number" | null;

const SORTS: Readonly<Record<string, Sort>> = {
  "date-time": "time",
  "visible-string": "text",
  "utf8-string": "text",
  "octet-string": "text",
  "bit-string": "bits",
  boolean: "octet",
  enum: "octet",
  unsigned: "octet",
  integer: "octet",
};

const sortOf = (dataType: string | null | undefined): Sort =>
  dataType == null ? null : (SORTS[dataType] ?? "number");

function isOf(data: Data, sort: Sort): boolean {
  if (sort === null || data.type === "null-data") return true;
  if (data.type === "octet-string" && data.value.length === 12) return sort === "time" || sort === "text";
  return sort === sortOf(data.type);
}

/**
 * Of several lists with as many columns as the row has values, the one whose objects are least at odds with them: a time where
 * the list has an energy, a current of two octets where it has a health indicator of one. The first among equals.
 */
export function bestFit(
  candidates: readonly CaptureList[],
  row: readonly Data[],
  first: number,
  configuration: MappingConfiguration,
  /** More than so many values at odds with a list rule it out. */
  misfitsMax = Number.POSITIVE_INFINITY,
): CaptureList | undefined {
  let best: CaptureList | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const list of candidates) {
    const misfits = list.columns.filter(({ code, attribute }, index) => {
      const data = row[first + index];
      return data !== undefined && !isOf(data, sortOf(configuration.object(code, attribute)?.dataType));
    }).length;
    if (misfits < fewest && misfits <= misfitsMax) {
      best = list;
      fewest = misfits;
    }
  }
  return best;
}
