import { once } from "node:events";
import { from } from "pg-copy-streams";
import type { Client, Database } from "../../src/storage/database.ts";
import type { Stored } from "./bare-copy.ts";
import { postmasterOf, serverCpuSeconds } from "./cpu.ts";

/** One way for rows into a table, in transactions of a batch's size. */
export interface WriteWay {
  readonly name: string;
  readonly rowsPerSecond: number;
  readonly postgresCpuUsPerRow: number;
}

const TABLE = "voltage_measurements";
const BATCH_ROWS = 500;
const BATCHES = 40;
const COLUMNS = ["time", "meter_id", "source", "origin", "received_at", "voltage_l1_v"] as const;
const TYPES = ["timestamptz", "uuid", "text", "text", "timestamptz", "float8"] as const;

type Batch = readonly (readonly (string | number)[])[];

/**
 * Straight COPY, COPY into a temporary table with an INSERT out of it, and INSERT from unnest, with the same rows in the same batches:
 * the last two take rows that are there already, the first doesn't.
 */
export async function writeWays(database: Database, stored: Stored): Promise<WriteWay[]> {
  const octets = stored.get(TABLE);
  if (octets === undefined) return [];
  const batches = await batchesOf(database, octets);
  const names = COLUMNS.join(", ");
  const arrays = TYPES.map((type, index) => `$${index + 1}::${type}[]`).join(", ");
  const ways: Record<string, (client: Client, batch: Batch) => Promise<void>> = {
    COPY: (client, batch) => copy(client, TABLE, batch),
    "COPY into a temporary table, INSERT": async (client, batch) => {
      await client.query(
        `CREATE TEMPORARY TABLE IF NOT EXISTS bench_rows ON COMMIT DELETE ROWS AS SELECT ${names} FROM ${TABLE} WITH NO DATA`,
      );
      await copy(client, "bench_rows", batch);
      await client.query(
        `INSERT INTO ${TABLE} (${names}) SELECT ${names} FROM bench_rows ON CONFLICT DO NOTHING`,
      );
    },
    "INSERT from unnest": async (client, batch) => {
      await client.query({
        name: "bench-unnest",
        text: `INSERT INTO ${TABLE} (${names}) SELECT * FROM unnest(${arrays}) ON CONFLICT DO NOTHING`,
        values: COLUMNS.map((_, column) => batch.map((row) => row[column])),
      });
    },
  };
  const measured: WriteWay[] = [];
  for (const [name, way] of Object.entries(ways)) {
    await database.query(`TRUNCATE ${TABLE}`);
    measured.push(await measure(database, name, batches, way));
  }
  return measured;
}

async function measure(
  database: Database,
  name: string,
  batches: readonly Batch[],
  way: (client: Client, batch: Batch) => Promise<void>,
): Promise<WriteWay> {
  const postmaster = await postmasterOf(database);
  const before = serverCpuSeconds(postmaster);
  const start = performance.now();
  for (const batch of batches) await database.transaction((client) => way(client, batch));
  const seconds = (performance.now() - start) / 1_000;
  const rows = batches.reduce((sum, batch) => sum + batch.length, 0);
  const cpuSeconds = serverCpuSeconds(postmaster) - before;
  return { name, rowsPerSecond: rows / seconds, postgresCpuUsPerRow: (cpuSeconds / rows) * 1e6 };
}

async function copy(client: Client, target: string, batch: Batch): Promise<void> {
  const stream = client.query(from(`COPY ${target} (${COLUMNS.join(", ")}) FROM STDIN`));
  stream.end(batch.map((row) => `${row.join("\t")}\n`).join(""));
  await once(stream, "finish");
}

/** The stored rows as values, so that every way starts from the same. */
async function batchesOf(database: Database, octets: Buffer): Promise<Batch[]> {
  await database.transaction(async (client) => {
    const stream = client.query(from(`COPY ${TABLE} FROM STDIN (FORMAT binary)`));
    stream.end(octets);
    await once(stream, "finish");
  });
  const rows = await database.query(
    `SELECT time::text, meter_id, source, origin, received_at::text, coalesce(voltage_l1_v, 0) AS voltage_l1_v
       FROM ${TABLE} LIMIT ${BATCH_ROWS * BATCHES}`,
  );
  const values = rows.map((row) => COLUMNS.map((name) => row[name] as string | number));
  const batches: Batch[] = [];
  for (let at = 0; at < values.length; at += BATCH_ROWS) batches.push(values.slice(at, at + BATCH_ROWS));
  return batches;
}
