import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { startEmbeddedPostgres } from "../../src/storage/embedded-server.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { createExtension } from "./extension.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of the one server that all test files share. */
    postgresUrl: string;
    /** A migrated database that each file clones. */
    postgresTemplate: string;
    postgresForm: DatabaseForm;
  }
}

/** What the template's time series are: PostgreSQL's own partitions, hypertables, or hypertables with continuous aggregates over them. */
export type DatabaseForm = "partitions" | "hypertables" | "aggregates";

const TEMPLATE = "hes_template";
/** Another server to run the tests on, as its superuser: PostgreSQL 15 for instance. Empty: the embedded one. */
const OTHER_SERVER = process.env["HES_TEST_POSTGRES_URL"] ?? "";
/** `timescaledb`: the databases that tests clone have it, so that every test sees what it sees there. */
const EXTENSION = process.env["HES_TEST_EXTENSION"] ?? "";

/** The same server, another database. */
export function urlOfDatabase(serverUrl: string, name: string): string {
  return `${serverUrl.slice(0, serverUrl.lastIndexOf("/"))}/${name}`;
}

/** One PostgreSQL for the whole run, with a migrated template database. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server =
    OTHER_SERVER === "" ? await embeddedServer() : { url: OTHER_SERVER, stop: async () => undefined };
  const admin = openDatabase({ url: server.url, schema: "public", poolMax: 1 });
  await admin.query(`DROP DATABASE IF EXISTS ${TEMPLATE} WITH (FORCE)`);
  await admin.query(`CREATE DATABASE ${TEMPLATE}`);
  await admin.close();
  const template = openDatabase({ url: urlOfDatabase(server.url, TEMPLATE), schema: "hes" });
  if (EXTENSION !== "") await createExtension(template);
  const { engine } = await migrate(template);
  const form = engine === "postgresql" ? "partitions" : await formOfHypertables(template);
  await template.close();
  await closeToOthers(server.url);
  project.provide("postgresUrl", server.url);
  project.provide("postgresTemplate", TEMPLATE);
  project.provide("postgresForm", form);
  return server.stop;
}

/** What anybody is connected to can't be cloned, and TimescaleDB's launcher connects wherever it may. */
async function closeToOthers(serverUrl: string): Promise<void> {
  const admin = openDatabase({ url: serverUrl, schema: "public", poolMax: 1 });
  await admin.query(`ALTER DATABASE ${TEMPLATE} WITH ALLOW_CONNECTIONS false`);
  await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [TEMPLATE]);
  await admin.close();
}

async function formOfHypertables(template: Database): Promise<DatabaseForm> {
  const [days] = await template.query(
    "SELECT relkind = 'v' AS view FROM pg_class WHERE oid = 'daily_load_profile'::regclass",
  );
  return days?.["view"] ? "aggregates" : "hypertables";
}

async function embeddedServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), "hes-test-"));
  const server = await startEmbeddedPostgres({ dataDir: directory, durable: false });
  const stop = async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  return { url: server.url, stop };
}
