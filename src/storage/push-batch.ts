import { type Cell, PUSH_HISTORY, RAW_FRAMES, type Row, type Table } from "../mapping/rows.ts";
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
    const at = table.position.get("frame_id");
    if (at !== undefined) cells[at] = id;
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

/** The column of a table that decides its partition. */
export function timeOf({ table, cells }: Row): number {
  return Number(cells[timePosition(table)]);
}

const timePositions = new Map<Table, number>();

function timePosition(table: Table): number {
  let position = timePositions.get(table);
  if (position === undefined) {
    const column = ["time", "started_at", "received_at"].find((name) => table.position.has(name))!;
    position = table.position.get(column)!;
    timePositions.set(table, position);
  }
  return position;
}

export function* rowsOf({ push }: Item): Generator<Row> {
  yield* push.rows;
  if (push.history !== null) yield push.history;
  if (push.frame !== null) yield push.frame;
}
