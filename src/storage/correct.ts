import type { Row, Table } from "../mapping/rows.ts";
import type { Client } from "./database.ts";
import { fillTemporary, nameOfTemporary } from "./merge-temporary.ts";
import { timeSpan, withinSpan } from "./time-span.ts";

/*
 * Rows that stored frames give under another mapping take the place of what is there. What stood there before goes to
 * reading_conflicts, with `corrected_at`. A profile row that the same frame gave before is replaced as a whole; of a row that several
 * frames may have filled, the columns that the new one has are.
 */

export interface Corrected {
  readonly added: number;
  readonly corrected: number;
}

export async function correctRows(client: Client, rows: readonly Row[]): Promise<Corrected> {
  let added = 0;
  let corrected = 0;
  const tables = new Set(rows.map(({ table }) => table));
  for (const table of [...tables].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const ofTable = rows.filter((row) => row.table === table);
    const meters = [...new Set(ofTable.map(({ cells }) => cells[table.position.get("meter_id")!]))];
    const rounds = await fillTemporary(client, table, ofTable);
    const { open, correct } = statementsFor(table);
    for (let round = 0; round < rounds; round += 1) {
      // The meters once more, as values: in a compressed chunk TimescaleDB finds rows to change by nothing else, and opens all of them.
      const parameters = [round, meters, ...timeSpan(ofTable)];
      await client.query(open, parameters);
      const { rows: counts } = await client.query(correct, parameters);
      added += counts[0]!.added;
      corrected += counts[0]!.corrected;
    }
  }
  return { added, corrected };
}

interface Statements {
  /**
   * Locks the rows that will change, by an UPDATE that changes nothing. It opens what TimescaleDB has compressed, too: FOR UPDATE refuses to lock that,
   * and what a statement opens itself isn't seen by the part of it that reads what stood there before.
   */
  readonly open: string;
  readonly correct: string;
}

const compiled = new Map<Table, Statements>();

function statementsFor(table: Table): Statements {
  let statements = compiled.get(table);
  if (statements === undefined) {
    statements = compile(table);
    compiled.set(table, statements);
  }
  return statements;
}

function compile({ name, columns, key, provenance, time }: Table): Statements {
  const ofThese = `t.meter_id = ANY($2::uuid[]) AND ${withinSpan(`t.${columns[time]!.name}`, "$3", "$4")}`;
  const names = columns.map((column) => column.name).join(", ");
  const keyList = key.join(", ");
  const values = columns.filter((column) => !key.includes(column.name) && !provenance.includes(column.name));
  const byFrame = columns.some((column) => column.name === "frame_id");
  const sameFrame = byFrame ? "t.frame_id IS NOT DISTINCT FROM s.frame_id" : "false";
  const next = ({ name: column, type }: { name: string; type: string }) => {
    const filled =
      type === "jsonb"
        ? `coalesce(t.${column} || s.${column}, t.${column}, s.${column})`
        : `coalesce(s.${column}, t.${column})`;
    return byFrame ? `CASE WHEN ${sameFrame} THEN s.${column} ELSE ${filled} END` : filled;
  };
  const same = key.map((column) => `t.${column} = s.${column}`).join(" AND ");
  const changes = values.map((column) => `t.${column.name} IS DISTINCT FROM ${next(column)}`).join(" OR ");
  const compared = values.map((column) => `'${column.name}'`).join(", ");
  const keyObject = key.map((column) => `'${column}', c.stored -> '${column}'`).join(", ");
  const touched = values[0]!.name;
  const open = `UPDATE ${name} t SET ${touched} = t.${touched} FROM ${nameOfTemporary(name)} s
     WHERE s.round = $1 AND ${same} AND ${ofThese} AND (${changes})`;
  const correct = `WITH source AS MATERIALIZED (
      SELECT * FROM ${nameOfTemporary(name)} WHERE round = $1 ORDER BY ${keyList}),
    before AS MATERIALIZED (
      SELECT s.ordinal, s.meter_id, s.time, s.received_at, ${byFrame ? "s.frame_id" : "NULL::bigint AS frame_id"}, to_jsonb(t) AS stored
        FROM source s JOIN ${name} t ON ${same} WHERE ${ofThese} AND (${changes})),
    added AS (
      INSERT INTO ${name} (${names}) SELECT ${names} FROM source ORDER BY ${keyList} ON CONFLICT DO NOTHING RETURNING 1),
    corrected AS (
      UPDATE ${name} t SET ${values.map((column) => `${column.name} = ${next(column)}`).join(", ")}
        FROM source s JOIN before b USING (ordinal) WHERE ${same} AND ${ofThese}
       RETURNING s.ordinal, to_jsonb(t) AS now),
    conflicts AS (
      INSERT INTO reading_conflicts AS r (table_name, meter_id, time, key, stored, received, frame_id, received_at, corrected_at)
      SELECT '${name}', c.meter_id, c.time, jsonb_build_object(${keyObject}), d.stored, d.received, c.frame_id, c.received_at, now()
        FROM (SELECT b.*, n.now FROM before b JOIN corrected n USING (ordinal)) c
        CROSS JOIN LATERAL (
          SELECT jsonb_object_agg(v.key, c.stored -> v.key) AS stored, jsonb_object_agg(v.key, v.value) AS received
            FROM jsonb_each(c.now) v WHERE v.key IN (${compared}) AND v.value IS DISTINCT FROM c.stored -> v.key) d
      ON CONFLICT (fingerprint) DO UPDATE SET occurrences = r.occurrences + 1, stored = excluded.stored, corrected_at = now())
    SELECT (SELECT count(*) FROM added) AS added, (SELECT count(*) FROM corrected) AS corrected`;
  return { open, correct };
}
