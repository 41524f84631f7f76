import type { Row, Table } from "../mapping/rows.ts";
import type { Client } from "./database.ts";
import { fillTemporary, nameOfTemporary } from "./merge-temporary.ts";
import type { Item } from "./push-batch.ts";
import { StorageError } from "./storage-error.ts";
import { timeSpan, withinSpan } from "./time-span.ts";

/*
 * The way of a batch that holds rows which are there already: it goes through temporary tables. Of two rows with the same key the
 * first stays. Equal values are a duplicate, columns that were missing are filled in, other values go to reading_conflicts with the
 * original untouched.
 */

/** `raced`: another transaction stored the same key while the statement ran; the next look sees its row. */
type RowOutcome = "new" | "filled" | "duplicate" | "conflict" | "raced";

interface Merged {
  readonly ordinal: number;
  readonly outcome: RowOutcome;
  readonly meter: string;
}

interface Owned {
  readonly row: Row;
  readonly item: Item;
}

const RACED = -1;
const LOOKS_MAX = 5;

/** Merges the rows of `items`, and notes in each what became of its rows. */
export async function mergeRows(client: Client, items: readonly Item[]): Promise<void> {
  for (const item of items) item.merged = { stored: 0, duplicate: 0, conflicting: 0, added: [] };
  const tables = new Set(items.flatMap(({ push }) => push.rows.map(({ table }) => table)));
  for (const table of [...tables].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    await mergeTable(client, table, items);
  }
}

async function mergeTable(client: Client, table: Table, items: readonly Item[]): Promise<void> {
  const statements = statementsFor(table);
  const owned = items.flatMap((item) =>
    item.push.rows.filter((row) => row.table === table).map((row) => ({ row, item })),
  );
  const rows = owned.map(({ row }) => row);
  const rounds = await fillTemporary(client, table, rows);
  const span = timeSpan(rows);
  for (let round = 0; round < rounds; round += 1) {
    let pending = await mergeRound(client, statements, { round, span }, owned);
    for (let look = 1; pending.length > 0; look += 1) {
      if (look === LOOKS_MAX) {
        throw new StorageError("unavailable", `Rows of ${table.name} come and go while they are merged.`);
      }
      await client.query(statements.again, [pending]);
      pending = await mergeRound(client, statements, { round: RACED, span }, owned);
    }
  }
}

/** Answers the ordinals of the rows that must be looked at again. */
async function mergeRound(
  client: Client,
  statements: Statements,
  { round, span }: { readonly round: number; readonly span: readonly [number, number] },
  owned: readonly Owned[],
): Promise<number[]> {
  const { rows } = await client.query(statements.merge, [round, ...span]);
  const raced: number[] = [];
  const filled: Merged[] = [];
  for (const row of rows as Merged[]) {
    if (row.outcome === "raced") raced.push(row.ordinal);
    else count(owned[row.ordinal]!, row.outcome);
    if (row.outcome === "filled") filled.push(row);
  }
  if (filled.length > 0) {
    const ordinals = filled.map(({ ordinal }) => ordinal);
    // The meters once more, as values: in a compressed chunk TimescaleDB finds rows to change by nothing else, and opens all of them.
    const meters = [...new Set(filled.map(({ meter }) => meter))];
    await client.query(statements.fill, [ordinals, meters, ...span]);
  }
  return raced;
}

function count({ row, item: { merged } }: Owned, outcome: Exclude<RowOutcome, "raced">): void {
  if (merged === null) return;
  if (outcome === "duplicate") merged.duplicate += 1;
  else if (outcome === "conflict") merged.conflicting += 1;
  else merged.stored += 1;
  if (outcome === "new") merged.added.push(row);
}

interface Statements {
  readonly merge: string;
  readonly fill: string;
  readonly again: string;
}

const compiled = new Map<Table, Statements>();

function statementsFor(table: Table): Statements {
  let statements = compiled.get(table);
  if (!statements) {
    statements = compile(table);
    compiled.set(table, statements);
  }
  return statements;
}

function compile({ name, columns, key, provenance, time }: Table): Statements {
  const spanned = (first: string, last: string) => withinSpan(`t.${columns[time]!.name}`, first, last);
  const temporary = nameOfTemporary(name);
  const names = columns.map((column) => column.name).join(", ");
  const values = columns.filter((column) => !key.includes(column.name) && !provenance.includes(column.name));
  const same = key.map((column) => `t.${column} = s.${column}`).join(" AND ");
  const keyList = key.join(", ");
  // jsonb: what one side lacks is filled in; a conflict is a name that both have with other values.
  const differs = values
    .map(({ name: column, type }) =>
      type === "jsonb"
        ? `(t.${column} IS NOT NULL AND s.${column} IS NOT NULL AND NOT (t.${column} || s.${column}) @> t.${column})`
        : `t.${column} <> s.${column}`,
    )
    .join(" OR ");
  const lacks = values
    .map(({ name: column, type }) =>
      type === "jsonb"
        ? `(s.${column} IS NOT NULL AND (t.${column} IS NULL OR NOT t.${column} @> s.${column}))`
        : `(t.${column} IS NULL AND s.${column} IS NOT NULL)`,
    )
    .join(" OR ");
  const fill = values
    .map(({ name: column, type }) =>
      type === "jsonb"
        ? `${column} = coalesce(t.${column} || s.${column}, t.${column}, s.${column})`
        : `${column} = coalesce(t.${column}, s.${column})`,
    )
    .join(", ");
  const ignored = [...key, ...provenance, "ordinal", "round"].map((column) => `'${column}'`).join(", ");
  const frame = columns.some((column) => column.name === "frame_id") ? "s.frame_id" : "NULL::bigint";
  return {
    fill: `UPDATE ${name} t SET ${fill} FROM ${temporary} s
            WHERE ${same} AND s.ordinal = ANY($1::int[]) AND t.meter_id = ANY($2::uuid[])
              AND ${spanned("$3", "$4")}`,
    again: `UPDATE ${temporary} SET round = ${RACED} WHERE ordinal = ANY($1)`,
    merge: `WITH source AS MATERIALIZED (SELECT * FROM ${temporary} WHERE round = $1 ORDER BY ${keyList}),
      before AS MATERIALIZED (
        SELECT s.ordinal, coalesce(${differs}, false) AS differs, coalesce(${lacks}, false) AS lacks,
               to_jsonb(t) AS stored
          FROM source s CROSS JOIN LATERAL (SELECT * FROM ${name} t WHERE ${same} AND ${spanned("$2", "$3")} LIMIT 1) t),
      added AS (
        INSERT INTO ${name} (${names}) SELECT ${names} FROM source s
         WHERE NOT EXISTS (SELECT FROM before b WHERE b.ordinal = s.ordinal) ORDER BY ${keyList}
        ON CONFLICT DO NOTHING RETURNING ${keyList}),
      conflicts AS (
        INSERT INTO reading_conflicts AS c (table_name, meter_id, time, key, stored, received, frame_id, received_at)
        SELECT '${name}', s.meter_id, s.time, jsonb_build_object(${key.map((column) => `'${column}', s.${column}`).join(", ")}),
               d.stored, d.received, ${frame}, s.received_at
          FROM source s JOIN before b USING (ordinal)
          CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(v.key, b.stored -> v.key) AS stored, jsonb_object_agg(v.key, v.value) AS received
              FROM jsonb_each(to_jsonb(s)) v
             WHERE v.value <> 'null' AND v.key NOT IN (${ignored}) AND v.value IS DISTINCT FROM b.stored -> v.key) d
         WHERE b.differs ORDER BY ${keyList.replaceAll(/(\w+)/g, "s.$1")}
        ON CONFLICT (fingerprint) DO UPDATE SET occurrences = c.occurrences + 1)
      SELECT s.ordinal, s.meter_id AS meter, CASE WHEN b.ordinal IS NULL THEN CASE WHEN a.meter_id IS NULL THEN 'raced' ELSE 'new' END
               WHEN b.differs THEN 'conflict' WHEN b.lacks THEN 'filled' ELSE 'duplicate' END AS outcome
        FROM source s LEFT JOIN before b USING (ordinal)
        LEFT JOIN added a ON ${key.map((column) => `a.${column} = s.${column}`).join(" AND ")}`,
  };
}
