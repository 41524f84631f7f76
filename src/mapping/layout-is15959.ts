import { formatObis, type ObisCode, obisFromOctets, parseObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedPush, type CaptureList, capturedColumn, printableText } from "./captured.ts";

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
  while (at <= IDENTIFIERS_BEFORE_SETUP && pushSetupName(elements[at]) === null) at++;
  const pushSetup = pushSetupName(elements[at]);
  if (pushSetup === null || at === elements.length - 1) return null;
  const identifiers = elements.slice(0, at).flatMap((element) => printableText(element) ?? []);
  const first = at + 1;
  const last = elements[elements.length - 1]!;
  const count = elements.length - first;
  const body = { identifiers, pushSetup, clock: null, first, rows: [elements], problem: null };
  if (count <= 2 && last.type === "array") {
    return nested(last.value, lists, { ...body, clock: count === 2 ? elements[first]! : null, first: 0 });
  }
  if (count === 2 && last.type === "bit-string") {
    const list = lists.withLength(pushSetup, 2) ?? lists.ofColumns(STATUS_WORD_COLUMNS, "event");
    return { ...body, layout: "is15959-esw", list };
  }
  const list = lists.withLength(pushSetup, count) ?? null;
  return {
    ...body,
    layout: "is15959-flat",
    list,
    problem: list === null ? noList(pushSetup, count, lists) : null,
  };
}

/** Rows of a profile's buffer; columns that are null-data or delta values are filled from the row before. */
function nested(
  buffer: readonly Data[],
  lists: ScopedLists,
  body: Omit<CapturedPush, "layout" | "list">,
): CapturedPush {
  const rows: Data[][] = [];
  for (const row of buffer) {
    if (row.type !== "structure")
      return {
        ...body,
        layout: "is15959-nested",
        list: null,
        rows: [],
        problem: "a row of the buffer is no structure",
      };
    rows.push(row.value);
  }
  const count = rows[0]?.length ?? 0;
  let list: CaptureList | null = lists.withLength(body.pushSetup, count) ?? null;
  let problem: string | null = null;
  if (rows.length === 0) list = lists.ofColumns([], lists.kindOf(body.pushSetup));
  else if (rows.some((row) => row.length !== count))
    [list, problem] = [null, "rows of the buffer differ in length"];
  else if (list === null) problem = noList(body.pushSetup!, count, lists);
  return { ...body, layout: "is15959-nested", list, rows, problem };
}

function noList(pushSetup: ObisCode, count: number, lists: ScopedLists): string {
  const name = formatObis(pushSetup);
  const lengths = lists.lengths(pushSetup);
  const known =
    lengths.length === 0 ? "no list is configured for it" : `its configured lists have ${lengths.join(", ")}`;
  return `push setup ${name} came with ${count} values; ${known}; add one by a row of push_objects`;
}
