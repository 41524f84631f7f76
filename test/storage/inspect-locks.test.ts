import { afterAll, beforeAll, expect, it } from "vitest";
import { inspectLocks, judgeLocks } from "../../src/storage/inspect-locks.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { createTestDatabase, skippedUnless, type TestDatabase } from "../support/database.ts";

const skipped = skippedUnless(["partitions"], "chunks are counted otherwise");
const DAY = 86_400_000;
let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

it.skipIf(skipped)("counts what a transaction over all partitions locks, and what a year adds", async () => {
  const { database } = test;
  const [counts] = await database.transaction(async (client) => {
    const { rows: tables } = await client.query(
      `SELECT c.oid::regclass::text AS name FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid`,
    );
    // A plan that looks into every partition has a lock on each and on its indexes.
    for (const { name } of tables) await client.query(`SELECT FROM ${name} LIMIT 1`);
    return (
      await client.query(
        `SELECT count(*)::int AS locks FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
          WHERE l.pid = pg_backend_pid() AND c.relispartition`,
      )
    ).rows;
  });
  const finding = await inspectLocks(database);
  const [server] = await database.query(
    `SELECT current_setting('max_locks_per_transaction')::int
       * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS room`,
  );
  const [, here, later] = /locks, and (\d+) tables.*about (\d+) in a year/.exec(finding.what)!.map(Number);
  expect(finding).toMatchObject({ level: later! <= server!["room"] ? "ok" : "note", area: "partitions" });
  expect(here).toBe(counts!.locks);
  // Seven tables are kept for ever, with their keys alone; frames 90 days, history 400.
  expect(later! - here!).toBeGreaterThan(7 * 365 * 2);
  expect(later! - here!).toBeLessThan(9 * 365 * 6);
  const partitions = await openPartitions(database);
  await partitions.ensure([{ table: "power_readings", time: Date.now() - 40 * DAY }]);
  expect((await inspectLocks(database)).what).toContain(`${here! + 2} tables and indexes`);
});

it.skipIf(skipped)(
  "counts a chunk a day where nothing joins them, as under TimescaleDB's Apache licence",
  async () => {
    const { database } = test;
    const later = async () => Number(/about (\d+) in a year/.exec((await inspectLocks(database)).what)![1]);
    const before = await later();
    await database.query("CREATE TABLE chunked (time timestamptz)");
    await database.query(
      "INSERT INTO storage_policies (table_name, partition_days, compress_after_days) VALUES ('chunked', 1, 14)",
    );
    expect((await later()) - before).toBe(365);
  },
);

it("says what to set where there will be no room, and where there is none now", () => {
  const server = { setting: 64, times: 100 };
  expect(judgeLocks({ ...server, here: 400, coming: 6_000 })).toMatchObject({ level: "ok", todo: null });
  expect(judgeLocks({ ...server, here: 400, coming: 6_001 })).toEqual({
    area: "partitions",
    level: "note",
    what: 'room for 6400 locks, and 400 tables and indexes of partitions or chunks, about 6401 in a year: a backup, or a query over all of them, will end in "out of shared memory"',
    todo: "ALTER SYSTEM SET max_locks_per_transaction = 128 (it is 64), and restart PostgreSQL",
  });
  expect(judgeLocks({ ...server, here: 6_401, coming: 20_000 })).toMatchObject({
    level: "wrong",
    todo: "ALTER SYSTEM SET max_locks_per_transaction = 320 (it is 64), and restart PostgreSQL",
  });
});
