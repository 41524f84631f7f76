import { DEFAULT_PARTITION_DAYS } from "../partition-settings.ts";
import { type Client, type Database, quoteIdentifier } from "./database.ts";
import { StorageError } from "./storage-error.ts";
import { makeHypertable, type TimescaleCapabilities } from "./timescale.ts";

/** A table that is to become a hypertable. */
export interface Adopted {
  readonly schema: string;
  readonly name: string;
}

export interface CopyProgress {
  readonly table: string;
  readonly partition: string;
  readonly rows: number;
  /** Of the table's partitions. */
  readonly done: number;
  readonly partitions: number;
}

export type OnCopy = (step: "copied" | "already there", progress: CopyProgress) => void;

interface Partition {
  /** Qualified and quoted. */
  readonly relation: string;
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** What tells whether two sets of rows are the same: how many, and the exclusive or of a hash of each. */
interface Fingerprint {
  readonly rows: number;
  readonly hash: string;
}

export const qualified = ({ schema, name }: Adopted) => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
/** The copy, until it takes the original's place. */
export const qualifiedCopy = ({ schema, name }: Adopted) =>
  `${quoteIdentifier(schema)}.${quoteIdentifier(`${name}_adopted`)}`;

/** Where a run that was broken off left what it had done. */
export async function prepareProgress(client: Client): Promise<void> {
  await client.query(
    `CREATE TABLE IF NOT EXISTS timescale_adoption (
       table_name text, partition text, rows bigint NOT NULL, hash bigint, PRIMARY KEY (table_name, partition))`,
  );
}

/** Copies the partitions that aren't there yet, each in a transaction; answers how many rows the table has. */
export async function copyTable(
  database: Database,
  timescale: TimescaleCapabilities,
  table: Adopted,
  onCopy: OnCopy,
): Promise<number> {
  await makeCopy(database, timescale, table);
  const partitions = await partitionsOf(database, table);
  await database.transaction((client) => removeDropped(client, table, partitions));
  let rows = 0;
  for (const [index, partition] of partitions.entries()) {
    const { copied, rows: count } = await database.transaction((client) =>
      copyPartition(client, table, partition),
    );
    rows += count;
    onCopy(copied ? "copied" : "already there", {
      table: table.name,
      partition: partition.name,
      rows: count,
      done: index + 1,
      partitions: partitions.length,
    });
  }
  return rows;
}

async function makeCopy(database: Database, { home }: TimescaleCapabilities, table: Adopted): Promise<void> {
  await database.transaction(async (client) => {
    const { rows } = await client.query(
      `SELECT to_regclass($1) IS NOT NULL AS there, coalesce((SELECT partition_days FROM storage_policies WHERE table_name = $2), ${DEFAULT_PARTITION_DAYS}) AS days`,
      [qualifiedCopy(table), table.name],
    );
    if (rows[0]!.there) return;
    await client.query(`CREATE TABLE ${qualifiedCopy(table)} (LIKE ${qualified(table)} INCLUDING ALL)`);
    await client.query(makeHypertable(home, qualifiedCopy(table), "time", rows[0]!.days));
  });
}

async function partitionsOf(database: Database, table: Adopted): Promise<Partition[]> {
  const rows = await database.query(
    `SELECT format('%I.%I', n.nspname, c.relname) AS relation, c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
       FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE i.inhparent = $1::regclass`,
    [qualified(table)],
  );
  return rows
    .map(({ relation, name, bound }) => {
      const [, from, to] = /FROM \('([^']+)'\) TO \('([^']+)'\)/.exec(bound) ?? [];
      if (!from || !to)
        throw new StorageError("internal", `${relation} has bounds that aren't ours: ${bound}`);
      return { relation, name, from, to };
    })
    .sort((a, b) => (a.from < b.from ? -1 : 1));
}

/** What an earlier run copied of partitions that retention has dropped since then must not come back. */
async function removeDropped(
  client: Client,
  table: Adopted,
  partitions: readonly Partition[],
): Promise<void> {
  const { rows: dropped } = await client.query(
    "DELETE FROM timescale_adoption WHERE table_name = $1 AND partition <> ALL($2) RETURNING 1",
    [table.name, partitions.map(({ name }) => name)],
  );
  if (dropped.length === 0) return;
  // By what no partition covers: TimescaleDB looks into the chunks of those times only.
  const from = ["-infinity", ...partitions.map(({ to }) => to)];
  const to = [...partitions.map((partition) => partition.from), "infinity"];
  for (const [index, start] of from.entries()) {
    if (start === to[index]) continue;
    await client.query(
      `DELETE FROM ${qualifiedCopy(table)} WHERE time >= '${start}' AND time < '${to[index]}'`,
    );
  }
}

async function copyPartition(
  client: Client,
  table: Adopted,
  { relation, name, from, to }: Partition,
): Promise<{ copied: boolean; rows: number }> {
  const source = await fingerprint(client, relation, "true");
  const { rows: noted } = await client.query(
    "SELECT rows, hash::text AS hash FROM timescale_adoption WHERE table_name = $1 AND partition = $2",
    [table.name, name],
  );
  if (noted[0]?.rows === source.rows && noted[0]?.hash === source.hash)
    return { copied: false, rows: source.rows };
  const inside = `time >= '${from}' AND time < '${to}'`;
  const copy = qualifiedCopy(table);
  await client.query(`DELETE FROM ${copy} WHERE ${inside}`);
  await client.query(`INSERT INTO ${copy} SELECT * FROM ${relation}`);
  const target = await fingerprint(client, copy, inside);
  if (target.rows !== source.rows || target.hash !== source.hash) {
    throw new StorageError(
      "internal",
      `The copy of ${name} differs from its original (${target.rows} of ${source.rows} rows); nothing was changed.`,
    );
  }
  await client.query(
    `INSERT INTO timescale_adoption VALUES ($1, $2, $3, $4)
     ON CONFLICT (table_name, partition) DO UPDATE SET rows = excluded.rows, hash = excluded.hash`,
    [table.name, name, source.rows, source.hash],
  );
  return { copied: true, rows: source.rows };
}

async function fingerprint(client: Client, relation: string, condition: string): Promise<Fingerprint> {
  const { rows } = await client.query(
    `SELECT count(*) AS rows, bit_xor(hashtextextended(t::text, 0))::text AS hash FROM ${relation} t WHERE ${condition}`,
  );
  return rows[0] as Fingerprint;
}
