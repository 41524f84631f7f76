import { DataMismatch } from "../dlms/cosem/classes/data-codec.ts";
import { profileGeneric } from "../dlms/cosem/classes/profile-generic.ts";
import { entriesFromTo } from "../dlms/cosem/selective-access.ts";
import type { ReadOutcome } from "./meter-association.ts";
import type { ProfileBuffer, RefusedRows } from "./profile-buffer.ts";
import type { ReadPart } from "./read-part.ts";
import type { ProfileSpan } from "./rows-by-range.ts";

const { sortMethod, entriesInUse } = profileGeneric.attributes;

/**
 * The rows of a span by their place in the buffer, for meters that don't choose them by time: from about where the first must stand – the
 * captures since then are counted by the period – to where a row is behind the span. Rows before the span may be among them.
 * Returns the meter's refusal where it gives none by entry, or doesn't tell what is needed for it; null: it gave rows.
 */
export async function* rowsByEntry(
  buffer: ProfileBuffer,
  { fromMs, untilMs, periodMs }: ProfileSpan,
  { now, stepRowsMax }: { readonly now: () => number; readonly stepRowsMax: number },
): AsyncGenerator<ReadPart, RefusedRows | null> {
  const order = await orderOf(buffer);
  if (!("count" in order)) return order;
  const { count } = order;
  const step = Math.max(2, stepRowsMax);
  const since = Math.ceil((now() - fromMs) / periodMs) + 1;
  const start = Math.max(1, count - since);
  // Whether what stands before the start is older than the span.
  let complete = start === 1;
  for (let first = start, behind = false; first <= count && !behind; ) {
    const last = Math.min(first + step - 1, count);
    const part = await buffer.read(entriesFromTo(...order.places(first, last)));
    if (!("rows" in part)) return refusedAt(part, buffer);
    yield part;
    const times = timesOf(buffer, part);
    if (first === start) complete ||= times.length === 0 || times.some((time) => time <= fromMs);
    behind = last === count || times.some((time) => time > untilMs);
    // The last one once more: a full buffer moves by one place with each capture.
    first = last;
  }
  // There may be more rows than the period says, as after a clock was put back.
  for (let last = start - 1; last >= 1 && !complete; last -= step) {
    const part = await buffer.read(entriesFromTo(...order.places(Math.max(1, last - step + 1), last)));
    if (!("rows" in part)) return refusedAt(part, buffer);
    yield part;
    complete = timesOf(buffer, part).some((time) => time <= fromMs);
  }
  return null;
}

/** Behind rows that were given, a refusal is none of this way of asking. */
function refusedAt(refused: RefusedRows, buffer: ProfileBuffer): RefusedRows {
  if (buffer.hasGiven) throw buffer.refusal(refused);
  return refused;
}

const timesOf = (buffer: ProfileBuffer, { rows }: ReadPart): number[] =>
  rows.flatMap((row) => buffer.timeOf(row) ?? []);

/** How many rows there are, and where those from the n-th oldest to the m-th oldest stand. */
interface RowOrder {
  readonly count: number;
  readonly places: (first: number, last: number) => [number, number];
}

async function orderOf(buffer: ProfileBuffer): Promise<RowOrder | RefusedRows> {
  const inUse = await buffer.attribute(entriesInUse.index);
  if (inUse.kind !== "data") return inUse;
  const count = Number(inUse.value.value);
  if (!Number.isSafeInteger(count)) return UNKNOWN_ORDER;
  const sorted = sortOf(await buffer.attribute(sortMethod.index));
  if (sorted === "fifo") return { count, places: (first, last) => [first, last] };
  if (sorted === "lifo") return { count, places: (first, last) => [count - last + 1, count - first + 1] };
  // Sorted by a value, the place says nothing of the time.
  return UNKNOWN_ORDER;
}

const UNKNOWN_ORDER: RefusedRows = { kind: "refused", result: "other-reason" };

/** The oldest first, where the meter doesn't tell. */
function sortOf(outcome: ReadOutcome): string | number {
  if (outcome.kind !== "data") return "fifo";
  try {
    return sortMethod.codec.read(outcome.value);
  } catch (error) {
    if (error instanceof DataMismatch) return "fifo";
    throw error;
  }
}
