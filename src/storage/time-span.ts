import type { Row } from "../mapping/rows.ts";
import { timeOf } from "./push-batch.ts";

/** Cells are whole milliseconds, and what PostgreSQL makes of them by division needn't be the same to the microsecond. */
const PAD_MS = 1;

/**
 * First and last time of these rows, in milliseconds since 1970. A statement that is told them looks at the partitions and chunks of these days and
 * of no others: joins alone don't keep it from opening all there are.
 */
export const timeSpan = (rows: readonly Row[]) => spanOf(rows.map(timeOf));

/** The same of instants, in milliseconds since 1970. */
export function spanOf(times: readonly number[]): [first: number, last: number] {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const time of times) {
    first = Math.min(first, time - PAD_MS);
    last = Math.max(last, time + PAD_MS);
  }
  return [first, last];
}

/** SQL: the condition on `column`, with the two as parameters. */
export const withinSpan = (column: string, first: string, last: string): string =>
  `${column} BETWEEN to_timestamp(${first}::float8 / 1000.0) AND to_timestamp(${last}::float8 / 1000.0)`;
