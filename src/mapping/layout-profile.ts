import { formatObis, type ObisCode } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import { expandProfileRows } from "../dlms/encoding/profile-compression.ts";
import type { ScopedLists } from "./capture-lists.ts";
import type { CapturedEvent, CapturedPush } from "./captured.ts";

/*
 * The buffer of a profile (class 7, attribute 2) as a value: in a push object list (data_index 0x1001 and the like: the last rows), or as
 * the attribute of an event-notification. Its columns are the list that is configured for the profile's logical name.
 */

export const PROFILE_CLASS = 7;
export const BUFFER = 2;
const CLOCK = "0.0.1.0.0.255";
const EVENT_LOG = /^0\.\d+\.99\.98\.(\d+)\.255$/;
/** Logs of IS 15959; those of other standards are known by their number. */
const LOGS = ["voltage", "current", "power", "transaction", "other", "non-rollover", "control"];

type Found = Pick<CapturedPush, "list" | "rows" | "problem"> & { readonly events?: readonly CapturedEvent[] };

/** What the rows of a buffer are. */
export function profileRows(profile: ObisCode, buffer: readonly Data[], lists: ScopedLists): Found {
  const first = elementsOf(buffer[0]);
  if (buffer.length === 0)
    return { list: lists.ofColumns([], lists.kindOf(profile)), rows: [], problem: null };
  if (first.length === 0 || buffer.some((row) => elementsOf(row).length !== first.length)) {
    return { list: null, rows: [], problem: "rows of the buffer are no structures of one length" };
  }
  const list = lists.forRow(profile, first, 0) ?? null;
  if (list !== null) {
    const clockColumn = list.columns.findIndex(({ code, attribute }) => code === CLOCK && attribute === 2);
    const capturePeriodSeconds = list.kind === "block" ? lists.blockSeconds() : 86_400;
    const compression = { clockColumn: clockColumn < 0 ? null : clockColumn, capturePeriodSeconds };
    return { list, rows: expandProfileRows(buffer, compression).map(elementsOf), problem: null };
  }
  const events = eventRows(formatObis(profile), buffer);
  if (events !== null) return { list: lists.ofColumns([], "event"), rows: [], events, problem: null };
  const problem = `no list of ${first.length} columns is configured for the profile ${formatObis(profile)}; add one by a row of push_objects`;
  return { list: null, rows: [], problem };
}

/** Rows of an event log that hold a clock and a code only. */
function eventRows(profile: string, buffer: readonly Data[]): CapturedEvent[] | null {
  const number = EVENT_LOG.exec(profile)?.[1];
  if (number === undefined) return null;
  const events: CapturedEvent[] = [];
  for (const row of buffer) {
    const [time, code, ...more] = elementsOf(row);
    if (more.length > 0 || time?.type !== "octet-string" || typeof code?.value !== "number") return null;
    events.push({
      ...{ log: LOGS[Number(number)] ?? `log-${number}`, code: code.value, time },
      ...{ name: null, context: null },
    });
  }
  return events;
}

function elementsOf(row: Data | undefined): readonly Data[] {
  return row?.type === "structure" ? row.value : [];
}
