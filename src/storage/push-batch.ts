import { type Cell, PUSH_HISTORY, RAW_FRAMES, ROW_TABLES, type Row, type Table } from "../mapping/rows.ts";
import type { CommitUnit, CommitVerdict } from "./accepted-push.ts";

/** A push on its way into the database. */
export interface Item {
  readonly push: CommitUnit;
  /** Of its history row and of its frame. */
  readonly id: number;
  /** Set when a merge has looked at every row. */
  merged: { stored: number; duplicate: number; conflicting: number; readonly added: Row[] } | null;
  /** Set when another daemon was faster, or when the database can't hold it. */
  verdict: CommitVerdict | null;
}

const HISTORY_ID = PUSH_HISTORY.position.get("id")!;
const HISTORY_FRAME = PUSH_HISTORY.position.get("frame_id")!;
const HISTORY_VERDICT = PUSH_HISTORY.position.get("verdict")!;
const HISTORY_ROWS = PUSH_HISTORY.position.get("row_count")!;
const FRAME_ID = RAW_FRAMES.position.get("id")!;

/** Gives a push its identifier, in every row that refers to it. */
export function identify(push: CommitUnit, id: number): Item {
  if (push.history !== null) {
    push.history.cells[HISTORY_ID] = id;
    push.history.cells[HISTORY_FRAME] = id;
  }
  // Rows of a poll point to no frame.
  if (push.frame === null) return { push, id, merged: null, verdict: null };
  push.frame.cells[FRAME_ID] = id;
  for (const { table, cells } of push.rows) {
    if (table.frameId >= 0) cells[table.frameId] = id;
  }
  return { push, id, merged: null, verdict: null };
}

export function verdictOf({ push, merged, verdict }: Item): CommitVerdict {
  if (verdict !== null) return verdict;
  if (push.quarantine !== null) return "quarantined";
  return merged !== null && merged.duplicate > 0 && merged.stored + merged.conflicting === 0
    ? "duplicate"
    : "applied";
}

/** The history row says what became of the push; known only now. */
export function historyCells(item: Item, { cells }: Row): Cell[] {
  cells[HISTORY_VERDICT] = verdictOf(item);
  cells[HISTORY_ROWS] = item.merged === null ? item.push.rows.length : item.merged.stored;
  return cells;
}

/** The instant that decides in which partition a row stands. */
export function timeOf({ table, cells }: Row): number {
  return Number(cells[table.time]);
}

/** Between which instants rows of one table lie, both included. */
export interface TimeSpan {
  readonly table: Table;
  first: number;
  last: number;
}

/** Of all rows of a batch, table by table. */
export function timeSpans(items: readonly Item[]): TimeSpan[] {
  const spans: (TimeSpan | undefined)[] = new Array(ROW_TABLES.length).fill(undefined);
  for (const { push } of items) {
    for (const row of push.rows) widen(spans, row);
    if (push.history !== null) widen(spans, push.history);
    if (push.frame !== null) widen(spans, push.frame);
  }
  return spans.filter((span) => span !== undefined);
}

function widen(spans: (TimeSpan | undefined)[], row: Row): void {
  const time = timeOf(row);
  const span = spans[row.table.ordinal];
  if (span === undefined) spans[row.table.ordinal] = { table: row.table, first: time, last: time };
  else if (time < span.first) span.first = time;
  else if (time > span.last) span.last = time;
}

/** All rows of a push, with its history and its frame. */
export function rowsOf({ push }: Item): Row[] {
  const { rows, history, frame } = push;
  return [...rows, ...(history === null ? [] : [history]), ...(frame === null ? [] : [frame])];
}
