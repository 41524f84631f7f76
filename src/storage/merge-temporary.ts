import type { Row, Table } from "../mapping/rows.ts";
import { BinaryCopy } from "./binary-copy.ts";
import { copyIn } from "./copy-in.ts";
import type { Client } from "./database.ts";

const EXTRA = [
  { name: "ordinal", type: "integer" },
  { name: "round", type: "integer" },
] as const;

/** A temporary table of the connection, empty after each transaction: the table's columns, `ordinal` and `round`. */
export const nameOfTemporary = (table: string) => `merge_${table}`;

/**
 * Loads rows to be compared with what is there. `ordinal` is a row's place in `rows`. Rows with the same key are numbered by `round`, so that
 * a second one is compared with the first when that is in. Answers how many rounds there are.
 */
export async function fillTemporary(client: Client, table: Table, rows: readonly Row[]): Promise<number> {
  const temporary = nameOfTemporary(table.name);
  await client.query(
    `CREATE TEMPORARY TABLE IF NOT EXISTS ${temporary} ON COMMIT DELETE ROWS
       AS SELECT ${table.columns.map(({ name }) => name).join(", ")}, 0 AS ordinal, 0 AS round FROM ${table.name} WITH NO DATA`,
  );
  const copy = new BinaryCopy(table, temporary, EXTRA);
  const keyAt = table.key.map((name) => table.position.get(name)!);
  const seen = new Map<string, number>();
  let rounds = 0;
  rows.forEach(({ cells }, ordinal) => {
    const key = keyAt.map((at) => String(cells[at])).join("|");
    const round = seen.get(key) ?? 0;
    seen.set(key, round + 1);
    rounds = Math.max(rounds, round + 1);
    copy.append(cells, [ordinal, round]);
  });
  await copyIn(client, copy.sql, copy.finish());
  return rounds;
}
