import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ROW_TABLES } from "../../src/mapping/rows.ts";
import { migrate, pendingMigrations, readMigrations } from "../../src/storage/migrate.ts";
import { schemaPage } from "../../src/storage/schema-page.ts";
import { createTestDatabase, skippedUnless, type TestDatabase } from "../support/database.ts";

const otherForm = skippedUnless(["partitions"], "docs/reference/schema.md shows plain PostgreSQL's schemas");

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

it("migrations are numbered without a gap, each number once", async () => {
  const names = (await readMigrations()).map(({ name }) => name);
  expect(names.map((name) => name.slice(0, 5))).toEqual(
    names.map((_, index) => `${String(index + 1).padStart(4, "0")}_`),
  );
});

describe("the structure that was asked for", () => {
  it.each([
    ["public", ["meters", "meter_readings", "meter_events"]],
    [
      "hes",
      [
        ...["energy_measurements", "power_readings", "voltage_measurements", "current_measurements"],
        ...["instant_profile", "daily_load_profile", "block_load_profile", "billing_profile"],
        ...[
          "event_logs",
          "push_schedules",
          "schedule_entries",
          "push_history",
          "push_objects",
          "push_setups",
        ],
        "obis_codes",
      ],
    ],
  ])("schema %s has its tables", async (schema, names) => {
    const rows = await test.database.query(
      "SELECT table_name FROM information_schema.tables WHERE table_schema = $1",
      [schema],
    );
    expect(rows.map((row) => row["table_name"])).toEqual(expect.arrayContaining(names));
  });

  it.skipIf(otherForm)("makes no schema but its own", async () => {
    const rows = await test.database.query(
      "SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)' ORDER BY 1",
    );
    expect(rows.map(({ name }) => name)).toEqual(["hes", "public"]);
  });

  it("references meters from every table that is drawn below it", async () => {
    const rows = await test.database.query(
      `SELECT conrelid::regclass::text AS name FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'public.meters'::regclass AND conparentid = 0`,
    );
    expect(rows.map((row) => row["name"])).toEqual(
      expect.arrayContaining([
        ...[
          "meter_readings",
          "meter_events",
          "energy_measurements",
          "power_readings",
          "voltage_measurements",
        ],
        ...["current_measurements", "instant_profile", "block_load_profile", "billing_profile"],
        // A view over continuous aggregates has a meter without a key that says so.
        ...(inject("postgresForm") === "aggregates" ? [] : ["daily_load_profile"]),
      ]),
    );
  });

  it("references schedules, setups and objects from push_history, and schedules from their entries", async () => {
    const rows = await test.database.query(
      `SELECT conrelid::regclass || ' → ' || confrelid::regclass AS name FROM pg_constraint
        WHERE contype = 'f' AND conparentid = 0`,
    );
    expect(rows.map((row) => row["name"])).toEqual(
      expect.arrayContaining([
        "push_history → push_schedules",
        "push_history → push_setups",
        "push_history → push_objects",
        "schedule_entries → push_schedules",
      ]),
    );
  });
});

describe("columns", () => {
  it.each(ROW_TABLES.map((table) => [table.name, table] as const))(
    "of %s are those of rows.ts, in their order",
    async (name, table) => {
      const columns = await test.database.query(
        `SELECT column_name AS name, data_type AS type FROM information_schema.columns
          WHERE table_name = $1 AND table_schema IN ('public', 'hes') ORDER BY ordinal_position`,
        [name],
      );
      const types: Record<string, string> = { "timestamp with time zone": "timestamptz" };
      expect(columns.map((c) => ({ name: c["name"], type: types[c["type"]] ?? c["type"] }))).toEqual(
        table.columns,
      );
    },
  );

  it.each(ROW_TABLES.map((table) => [table.name, table] as const))(
    "the key of %s is that of rows.ts",
    async (name, table) => {
      const [key] = await test.database.query(
        `SELECT array_agg(a.attname::text ORDER BY k.n) AS columns
           FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY k(attnum, n), pg_attribute a
          WHERE c.conrelid = $1::regclass AND c.contype = 'p' AND a.attrelid = c.conrelid AND a.attnum = k.attnum`,
        [name],
      );
      expect(key?.["columns"]).toEqual(table.key);
    },
  );
});

it.skipIf(otherForm)("is what docs/reference/schema.md says", async () => {
  await expect(await schemaPage(test.database)).toMatchFileSnapshot("../../docs/reference/schema.md");
});

describe("migrating", () => {
  it("does nothing the second time", async () => {
    const report = await migrate(test.database);
    expect(report.applied).toEqual([]);
    expect(report.current.length).toBeGreaterThan(5);
    expect(await pendingMigrations(test.database)).toEqual([]);
  });

  it("is done once by two daemons that start together", async () => {
    const empty = await createTestDatabase({ empty: true });
    try {
      expect((await pendingMigrations(empty.database)).length).toBeGreaterThan(5);
      const reports = await Promise.all([migrate(empty.database), migrate(empty.database)]);
      expect(reports.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    } finally {
      await empty.drop();
    }
  });

  it("refuses a migration that was changed after it had been applied", async () => {
    const directory = await mkdtemp(join(tmpdir(), "hes-migrations-"));
    const other = await createTestDatabase({ empty: true });
    try {
      await writeFile(
        join(directory, "0001_a.sql"),
        "CREATE TABLE storage_policies (table_name text, partition_days int, retention_days int);",
      );
      await migrate(other.database, { directory, catalogue: null });
      await writeFile(join(directory, "0001_a.sql"), "CREATE TABLE storage_policies (table_name text);");
      await expect(migrate(other.database, { directory })).rejects.toThrow(/0001_a.sql was changed/);
    } finally {
      await other.drop();
      await rm(directory, { recursive: true });
    }
  });

  it("says that the database went away in the middle of a migration, and does it again later", async () => {
    const directory = await mkdtemp(join(tmpdir(), "hes-migrations-"));
    const other = await createTestDatabase({ empty: true });
    try {
      const file = join(directory, "0001_a.sql");
      const sql = "CREATE TABLE storage_policies (table_name text, partition_days int, retention_days int);";
      await writeFile(file, `${sql} SELECT pg_terminate_backend(pg_backend_pid());`);
      await expect(migrate(other.database, { directory, catalogue: null })).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/^Migration 0001_a.sql failed: /),
      });
      await writeFile(file, `${sql} DO $$ BEGIN RAISE 'disk full' USING ERRCODE = '53100'; END $$;`);
      await expect(migrate(other.database, { directory, catalogue: null })).rejects.toMatchObject({
        code: "internal",
        sqlState: "53100",
      });
      await writeFile(file, sql);
      const { applied } = await migrate(other.database, { directory, catalogue: null });
      expect(applied).toEqual(["0001_a.sql"]);
    } finally {
      await other.drop();
      await rm(directory, { recursive: true });
    }
  });

  it("keeps created_at and updated_at by itself", async () => {
    const { database } = test;
    const [before] = await database.query(
      "INSERT INTO meter_types (name, category) VALUES ('clock', 'D1') RETURNING created_at, updated_at",
    );
    const [after] = await database.query(
      "UPDATE meter_types SET description = 'x', created_at = '2001-01-01' WHERE name = 'clock' RETURNING created_at, updated_at",
    );
    expect(after?.["created_at"]).toBe(before?.["created_at"]);
    expect(after?.["updated_at"]).toBeGreaterThanOrEqual(before?.["updated_at"]);
  });
});
