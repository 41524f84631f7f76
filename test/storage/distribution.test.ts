import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROW_TABLES } from "../../src/mapping/rows.ts";
import type { Database } from "../../src/storage/database.ts";
import { createTestDatabase, skippedUnless, type TestDatabase } from "../support/database.ts";

/*
 * Plain PostgreSQL can be distributed over several machines by Citus, by meter_id. Citus wants the distribution column in every unique
 * key, foreign keys from distributed tables only to reference tables, none to distributed ones, and no triggers on them.
 * There is no Citus here: this looks at what it asks of keys, references and triggers. docs/operating/scaling.md names the same tables.
 */

/** Grow with the number of meters and with time. */
const DISTRIBUTED = [...ROW_TABLES.map(({ name }) => name), "daily_load_profile", "daily_load_history"];
/** Copied to every machine. */
const REFERENCE = ["meters", "meter_types", "obis_codes", "push_schedules", "push_setups", "push_objects"];

/** What keeps a table from being distributed by meter_id, a line each; none where nothing does. */
async function obstacles(database: Database, table: string): Promise<string[]> {
  const rows = await database.query(
    `SELECT 'meter_id may be missing' AS found
       WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1::regclass AND attname = 'meter_id' AND attnotnull)
     UNION ALL
     SELECT 'has no key' WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = $1::regclass AND indisprimary)
     UNION ALL
     SELECT i.indexrelid::regclass || ' lacks meter_id' FROM pg_index i
      WHERE i.indrelid = $1::regclass AND (i.indisunique OR i.indisexclusion) AND NOT EXISTS (
        SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k WHERE a.attname = 'meter_id')
     UNION ALL
     SELECT 'refers to ' || f.relname FROM pg_constraint c JOIN pg_class f ON f.oid = c.confrelid
      WHERE c.contype = 'f' AND c.conparentid = 0 AND c.conrelid = $1::regclass AND f.relname <> ALL($2)
     UNION ALL
     SELECT conrelid::regclass || ' refers to it' FROM pg_constraint
      WHERE contype = 'f' AND conparentid = 0 AND confrelid = $1::regclass
     UNION ALL
     SELECT 'has the trigger ' || tgname FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal`,
    [table, REFERENCE],
  );
  return rows.map(({ found }) => found as string);
}

const skipped = skippedUnless(["partitions"], "Citus and TimescaleDB exclude each other in one database");

describe.skipIf(skipped)("distributed by meter", () => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.drop());

  it.each(DISTRIBUTED)("nothing keeps %s from it", async (name) => {
    expect(await obstacles(test.database, name)).toEqual([]);
  });

  it("is every table that is large enough to have partitions", async () => {
    const parted = await test.database.query("SELECT relname AS name FROM pg_class WHERE relkind = 'p'");
    expect(parted.length).toBeGreaterThan(8);
    expect(DISTRIBUTED).toEqual(expect.arrayContaining(parted.map(({ name }) => name)));
  });

  it("reference tables refer to nothing but reference tables", async () => {
    const keys = await test.database.query(
      `SELECT DISTINCT f.relname AS target FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
         JOIN pg_class f ON f.oid = c.confrelid WHERE c.contype = 'f' AND r.relname = ANY($1)`,
      [REFERENCE],
    );
    expect(keys.length).toBeGreaterThan(0);
    expect(REFERENCE).toEqual(expect.arrayContaining(keys.map(({ target }) => target)));
  });

  it("are the tables that the page of scaling names, and the reference tables", async () => {
    const page = await readFile(new URL("../../docs/operating/scaling.md", import.meta.url), "utf8");
    const listed = (call: string) =>
      [...(new RegExp(`${call}[^;]*ARRAY\\[([^\\]]*)\\]`).exec(page)?.[1] ?? "").matchAll(/'(\w+)'/g)].map(
        ([, name]) => name,
      );
    expect(listed("create_reference_table").sort()).toEqual([...REFERENCE].sort());
    expect(listed("create_distributed_table").sort()).toEqual([...DISTRIBUTED].sort());
  });

  it("would notice what keeps a table from it", async () => {
    const { database } = test;
    await database.query(`
      CREATE TABLE lines (id int PRIMARY KEY);
      CREATE TABLE odd (id int, meter_id uuid, day date, line int REFERENCES lines, PRIMARY KEY (id), UNIQUE (meter_id, day),
        EXCLUDE USING btree (day WITH =));
      CREATE UNIQUE INDEX odd_including ON odd (id) INCLUDE (meter_id);
      CREATE TABLE rests (odd int REFERENCES odd);
      CREATE TRIGGER touched BEFORE UPDATE ON odd FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`);
    expect((await obstacles(database, "odd")).sort()).toEqual([
      "has the trigger touched",
      "meter_id may be missing",
      "odd_day_excl lacks meter_id",
      "odd_including lacks meter_id",
      "odd_pkey lacks meter_id",
      "refers to lines",
      "rests refers to it",
    ]);
    expect(await obstacles(database, "lines")).toContain("odd refers to it");
  });
});
