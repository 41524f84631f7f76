import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { openDatabase } from "../../src/storage/database.ts";
import { startEmbeddedPostgres } from "../../src/storage/embedded-server.ts";
import { migrate } from "../../src/storage/migrate.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of the one server that all test files share. */
    postgresUrl: string;
    /** A migrated database that each file clones. */
    postgresTemplate: string;
  }
}

const TEMPLATE = "hes_template";
/** Another server to run the tests on, as its superuser: PostgreSQL 15 for instance. Empty: the embedded one. */
const OTHER_SERVER = process.env["HES_TEST_POSTGRES_URL"] ?? "";

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
  await migrate(template);
  await template.close();
  project.provide("postgresUrl", server.url);
  project.provide("postgresTemplate", TEMPLATE);
  return server.stop;
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
