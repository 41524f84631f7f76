import type { Database } from "../../src/storage/database.ts";

/** TimescaleDB without its scheduler, unless `jobs`. */
export async function createExtension(database: Database, jobs = false): Promise<void> {
  await database.query("CREATE EXTENSION timescaledb");
  if (!jobs) await database.query("SELECT _timescaledb_functions.stop_background_workers()");
}
