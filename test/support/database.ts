import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { type DatabaseForm, urlOfDatabase } from "./postgres-server.ts";

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  readonly database: Database;
  drop(): Promise<void>;
}

/** A database of this test's own, cloned from the migrated template. `empty`: without the migrations; `template`: from another one. */
export async function createTestDatabase(
  options: { empty?: boolean; template?: string } = {},
): Promise<TestDatabase> {
  const serverUrl = inject("postgresUrl");
  const name = `test_${randomBytes(6).toString("hex")}`;
  // Nobody connects to template0: the launcher of TimescaleDB looks into every other database now and then, which keeps it from being cloned.
  const template = options.empty ? "template0" : (options.template ?? inject("postgresTemplate"));
  const admin = openDatabase({ url: serverUrl, schema: "public", poolMax: 1 });
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  await admin.close();
  const url = urlOfDatabase(serverUrl, name);
  const database = openDatabase({ url, schema: "hes" });
  return {
    name,
    url,
    database,
    drop: async () => {
      await database.close().catch(() => undefined);
      const last = openDatabase({ url: serverUrl, schema: "public", poolMax: 1 });
      await last.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await last.close();
    },
  };
}

/** Whether a test has to be left out because the run's databases aren't of these forms (HES_TEST_EXTENSION); says so loudly. */
export function skippedUnless(forms: readonly DatabaseForm[], why: string): boolean {
  const form = inject("postgresForm");
  if (forms.includes(form)) return false;
  console.warn(`SKIPPED on a database of ${form}: ${why}.`);
  return true;
}
