import { randomBytes } from "node:crypto";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { type MigrationOptions, type MigrationReport, migrate } from "../../src/storage/migrate.ts";
import { createTestDatabase } from "./database.ts";
import { createExtension } from "./extension.ts";
import { urlOfDatabase } from "./postgres-server.ts";

/**
 * Servers with TimescaleDB, each as a superuser (postgres://user@host/postgres): the second one runs with timescaledb.license=apache.
 * They aren't part of the gate, which has nothing but the embedded PostgreSQL; whoever skips them is told.
 */
const TIMESCALE_URL = process.env["HES_TEST_TIMESCALE_URL"] ?? "";
const APACHE_URL = process.env["HES_TEST_TIMESCALE_APACHE_URL"] ?? "";

export interface Engine {
  readonly name: string;
  readonly available: boolean;
  readonly timescale: boolean;
  /** Empty: the server that all tests share. */
  readonly serverUrl: string;
}

export const POSTGRESQL: Engine = { name: "PostgreSQL", available: true, timescale: false, serverUrl: "" };
export const TIMESCALEDB: Engine = {
  name: "TimescaleDB",
  available: TIMESCALE_URL !== "",
  timescale: true,
  serverUrl: TIMESCALE_URL,
};
export const TIMESCALEDB_APACHE: Engine = {
  name: "TimescaleDB under the Apache licence",
  available: APACHE_URL !== "",
  timescale: true,
  serverUrl: APACHE_URL,
};
export const ENGINES = [POSTGRESQL, TIMESCALEDB, TIMESCALEDB_APACHE];

/** Says loudly what is not tested here. */
export function warnOfMissing(engines: readonly Engine[] = ENGINES): void {
  for (const engine of engines.filter(({ available }) => !available)) {
    const variable = engine === TIMESCALEDB ? "HES_TEST_TIMESCALE_URL" : "HES_TEST_TIMESCALE_APACHE_URL";
    console.warn(`SKIPPED: set ${variable} to test on ${engine.name}.`);
  }
}

export interface EngineDatabase {
  readonly database: Database;
  readonly url: string;
  readonly report: MigrationReport | null;
  drop(): Promise<void>;
}

/**
 * A migrated database of this engine; `empty`: without the migrations; `extension: false`: without TimescaleDB in it;
 * `jobs`: its policies run by themselves, where a test otherwise runs them when it wants to.
 */
export async function createEngineDatabase(
  engine: Engine,
  options: { empty?: boolean; extension?: boolean; jobs?: boolean; migration?: MigrationOptions } = {},
): Promise<EngineDatabase> {
  if (!engine.timescale) {
    const { database, url, drop } = await createTestDatabase({ empty: options.empty ?? false });
    // The clone has no days yet, so that its zone can be changed.
    const report = options.migration ? await migrate(database, options.migration) : null;
    return { database, url, report, drop };
  }
  const admin = openDatabase({ url: engine.serverUrl, schema: "public", poolMax: 1 });
  const name = `test_${randomBytes(6).toString("hex")}`;
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
  const url = urlOfDatabase(engine.serverUrl, name);
  const database = openDatabase({ url, schema: "hes" });
  if (options.extension !== false) await createExtension(database, options.jobs);
  const report = options.empty ? null : await migrate(database, options.migration ?? {});
  return {
    database,
    url,
    report,
    drop: async () => {
      await database.close();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.close();
    },
  };
}
