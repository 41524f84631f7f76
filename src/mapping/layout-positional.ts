import type { Data } from "../dlms/encoding/data.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedPush, printableText } from "./captured.ts";

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
