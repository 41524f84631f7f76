import type { Cell, Column, Row, Table } from "../mapping/rows.ts";
import type { Client } from "./database.ts";
import type { Item } from "./push-batch.ts";
import { timeSpan, withinSpan } from "./time-span.ts";

interface KeyedRow {
  readonly item: Item;
  readonly row: Row;
  readonly key: readonly (Cell | null)[];
}

/**
 * Which pushes of a batch hold a row whose key is in the database already, or in an earlier row of the batch: only they go the
 * longer way of the merge.
 */
export async function collidingItems(client: Client, items: readonly Item[]): Promise<ReadonlySet<Item>> {
  const byTable = new Map<Table, KeyedRow[]>();
  for (const item of items) {
    for (const row of item.push.rows) {
      const { table, cells } = row;
      const keyed = { item, row, key: table.key.map((name) => cells[table.position.get(name)!] ?? null) };
      const rows = byTable.get(table);
      if (rows) rows.push(keyed);
      else byTable.set(table, [keyed]);
    }
  }
  const colliding = new Set<Item>();
  for (const [table, rows] of byTable) {
    const first = new Map<string, Item>();
    for (const { item, key } of rows) {
      const name = key.join("|");
      const earlier = first.get(name);
      if (earlier === undefined) first.set(name, item);
      // Both: their order decides which one is stored.
      else colliding.add(item).add(earlier);
    }
    for (const { item } of await existing(client, table, rows)) colliding.add(item);
  }
  return colliding;
}

async function existing(client: Client, table: Table, rows: readonly KeyedRow[]): Promise<KeyedRow[]> {
  const columns = table.key.map((name) => table.columns[table.position.get(name)!]!);
  const lists = columns.map(({ type }, index) => `$${index + 1}::${type}[]`).join(", ");
  const names = columns.map((_, index) => `k${index}`).join(", ");
  const same = columns.map(({ name }, index) => `t.${name} = x.k${index}`).join(" AND ");
  const spanned = withinSpan(
    `t.${table.columns[table.time]!.name}`,
    `$${columns.length + 1}`,
    `$${columns.length + 2}`,
  );
  const found = await client.query(
    // LIMIT keeps the planner to one look into the index a row, however small it believes the table to be.
    `SELECT x.position FROM ROWS FROM (unnest(${lists})) WITH ORDINALITY AS x(${names}, position)
      CROSS JOIN LATERAL (SELECT FROM ${table.name} t WHERE ${same} AND ${spanned} LIMIT 1) there`,
    [
      ...columns.map((column, index) => rows.map(({ key }) => parameter(column, key[index]))),
      ...timeSpan(rows.map(({ row }) => row)),
    ],
  );
  return found.rows.map(({ position }) => rows[position - 1]!);
}

const parameter = ({ type }: Column, cell: Cell) =>
  type === "timestamptz" ? new Date(Number(cell)).toISOString() : cell;
