import { parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedPush, capturedColumn, printableText } from "./captured.ts";

/** Values without any names, in the order of a list that is configured for the meter or its type and has as many entries. */
export function recognisePositional(root: Data, lists: ScopedLists): CapturedPush | null {
  if (root.type !== "structure") return null;
  const row = root.value;
  const list = lists.forRow(null, row, 0);
  if (list === undefined) return null;
  const identifiers: string[] = [];
  for (const column of list.identifierColumns) {
    const text = printableText(row[column]);
    if (text !== null) identifiers.push(text);
  }
  return {
    layout: "positional",
    identifiers,
    pushSetup: null,
    clock: null,
    list,
    first: 0,
    rows: [row],
    problem: null,
  };
}

/** Octets in a format of the maker's own (gas meters of the Italian UNI/TS 11291): kept whole, as one reading. */
const OPAQUE = capturedColumn(parseObis("0.0.128.0.0.255"), 1, 2, 0);

export function recogniseOpaque(root: Data, lists: ScopedLists): CapturedPush | null {
  if (root.type !== "octet-string" || root.value.length === 0) return null;
  const list = lists.ofColumns([OPAQUE], "single");
  const none = { identifiers: [], pushSetup: null, clock: null, problem: null };
  return { layout: "opaque", list, first: 0, rows: [[root]], ...none };
}
