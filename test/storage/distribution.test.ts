import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROW_TABLES } from "../../src/mapping/rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

/*
 * Plain PostgreSQL can be distributed over several machines by Citus, by meter_id. Citus wants the distribution column in every unique
 * key, foreign keys from distributed tables only to each other by that column or to reference tables, and no triggers on them.
 * docs/operating/scaling.md names the same tables.
 */

/** Grow with the number of meters and with time. */
const DISTRIBUTED = [...ROW_TABLES.map(({ name }) => name), "daily_load_profile", "daily_load_history"];
/** Copied to every machine. */
const REFERENCE = ["meters", "meter_types", "obis_codes", "push_schedules", "push_setups", "push_objects"];

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

describe.each(DISTRIBUTED)("%s", (name) => {
  it("has the meter in every unique key, and always a meter", async () => {
    const keys = await test.database.query(
      `SELECT array_agg(a.attname::text) AS columns FROM pg_index i
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
        WHERE i.indrelid = $1::regclass AND i.indisunique GROUP BY i.indexrelid`,
      [name],
    );
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(key["columns"]).toContain("meter_id");
    const [column] = await test.database.query(
      "SELECT attnotnull AS required FROM pg_attribute WHERE attrelid = $1::regclass AND attname = 'meter_id'",
      [name],
    );
    expect(column).toEqual({ required: true });
  });

  it("refers only to reference tables, and nothing refers to it", async () => {
    const keys = await test.database.query(
      `SELECT f.relname AS target, c.conrelid = $1::regclass AS own FROM pg_constraint c JOIN pg_class f ON f.oid = c.confrelid
        WHERE c.contype = 'f' AND c.conparentid = 0 AND $1::regclass IN (c.conrelid, c.confrelid)`,
      [name],
    );
    for (const { target, own } of keys) {
      expect(own).toBe(true);
      expect(REFERENCE).toContain(target);
    }
  });

  it("has no triggers", async () => {
    const triggers = await test.database.query(
      "SELECT tgname FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal",
      [name],
    );
    expect(triggers).toEqual([]);
  });
});

it("reference tables refer to nothing but reference tables", async () => {
  const keys = await test.database.query(
    `SELECT r.relname AS source, f.relname AS target FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
       JOIN pg_class f ON f.oid = c.confrelid WHERE c.contype = 'f' AND r.relname = ANY($1)`,
    [REFERENCE],
  );
  for (const { target } of keys) expect(REFERENCE).toContain(target);
});
