import { formatObis, type ObisCode, obisFromOctets, parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import { expandProfileRows } from "../dlms/encoding/profile-compression.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedPush, capturedColumn, printableText } from "./captured.ts";

/*
 * IS 15959 parts 2 and 3: a structure of
 *
 *     device id (0.0.96.1.2)          visible-string or octet-string
 *     name of the push setup          octet-string(6), 0.4.25.9.0.255 and the like
 *     clock, then the other columns   a flat row; or a clock and the profile's buffer, an array of rows;
 *                                     or, for alerts, a clock and the event status word, a bit-string
 */

const CLOCK = parseObis("0.0.1.0.0.255");
const EVENT_STATUS_WORD = parseObis("0.0.94.91.18.255");
const DAY_SECONDS = 86_400;
const IDENTIFIERS_BEFORE_SETUP = 2;
const STATUS_WORD_COLUMNS = [capturedColumn(CLOCK, 8, 2, 0), capturedColumn(EVENT_STATUS_WORD, 1, 2, 0)];

/** The name of a push setup, an instance of x.x.25.9.x.255; null for any other octets. */
export function pushSetupName(data: Data | undefined): ObisCode | null {
  if (data?.type !== "octet-string" || data.value.length !== 6) return null;
  return data.value[2] === 25 && data.value[3] === 9 ? obisFromOctets(data.value, 0) : null;
}

export function recogniseIs15959(root: Data, lists: ScopedLists): CapturedPush | null {
  if (root.type !== "structure") return null;
  const elements = root.value;
  let at = 0;
  let pushSetup = pushSetupName(elements[0]);
  while (pushSetup === null && at <= IDENTIFIERS_BEFORE_SETUP) pushSetup = pushSetupName(elements[++at]);
  if (pushSetup === null || at === elements.length - 1) return null;
  const identifiers: string[] = [];
  for (let i = 0; i < at; i++) {
    const text = printableText(elements[i]);
    if (text !== null) identifiers.push(text);
  }
  const first = at + 1;
  const last = elements[elements.length - 1]!;
  const count = elements.length - first;
  if (count <= 2 && last.type === "array") {
    const clock = count === 2 ? elements[first]! : null;
    return nested(last.value, lists, { identifiers, pushSetup, clock, first: 0, rows: [], problem: null });
  }
  const isAlert = count === 2 && last.type === "bit-string";
  const layout = isAlert ? "is15959-esw" : "is15959-flat";
  const list =
    lists.forRow(pushSetup, elements, first) ??
    (isAlert ? lists.ofColumns(STATUS_WORD_COLUMNS, "event") : null);
  const problem = list === null ? noList(pushSetup, count, lists) : null;
  return { layout, identifiers, pushSetup, clock: null, list, first, rows: [elements], problem };
}

/** Rows of a profile's buffer; columns that are null-data or delta values are filled from the row before. */
function nested(
  buffer: readonly Data[],
  lists: ScopedLists,
  body: Omit<CapturedPush, "layout" | "list">,
): CapturedPush {
  const layout = "is15959-nested";
  if (buffer.length === 0) {
    return { ...body, layout, list: lists.ofColumns([], lists.kindOf(body.pushSetup)), rows: [] };
  }
  const count = elementsOf(buffer[0]!).length;
  if (count === 0 || buffer.some((row) => elementsOf(row).length !== count)) {
    return { ...body, layout, list: null, problem: "rows of the buffer are no structures of one length" };
  }
  const list = lists.forRow(body.pushSetup, elementsOf(buffer[0]!), 0) ?? null;
  if (list === null) return { ...body, layout, list, problem: noList(body.pushSetup!, count, lists) };
  const clockColumn = list.columns.findIndex(({ obis, attribute }) => obis === CLOCK && attribute === 2);
  const capturePeriodSeconds = list.kind === "block" ? lists.blockSeconds() : DAY_SECONDS;
  const compression = { clockColumn: clockColumn < 0 ? null : clockColumn, capturePeriodSeconds };
  return { ...body, layout, list, rows: expandProfileRows(buffer, compression).map(elementsOf) };
}

function elementsOf(row: Data): readonly Data[] {
  return row.type === "structure" ? row.value : [];
}

function noList(pushSetup: ObisCode, count: number, lists: ScopedLists): string {
  const name = formatObis(pushSetup);
  const lengths = lists.lengths(pushSetup);
  const known =
    lengths.length === 0 ? "no list is configured for it" : `its configured lists have ${lengths.join(", ")}`;
  return `push setup ${name} came with ${count} values; ${known}; add one by a row of push_objects`;
}
