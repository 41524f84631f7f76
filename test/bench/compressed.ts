import type { Database } from "../../src/storage/database.ts";
import { storedOctets } from "./bare-copy.ts";

/** Octets on disk of all that pushes leave behind when every chunk is compressed; null where TimescaleDB can't do that. */
export async function compressedOctets(database: Database): Promise<number | null> {
  const [can] = await database.query(
    "SELECT count(*)::int AS n FROM pg_extension WHERE extname = 'timescaledb' AND current_setting('timescaledb.license', true) = 'timescale'",
  );
  if (can!["n"] === 0) return null;
  const hypertables = await database.query(
    "SELECT format('%I.%I', hypertable_schema, hypertable_name) AS name FROM timescaledb_information.hypertables WHERE compression_enabled",
  );
  for (const { name } of hypertables) {
    await database.query(`SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('${name}') c`);
  }
  return (await storedOctets(database)).reduce((sum, { octets }) => sum + octets, 0);
}
