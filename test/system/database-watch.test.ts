import { expect, it } from "vitest";
import { watchDatabase } from "../../src/database-watch.ts";
import { openJournal } from "../../src/journal.ts";
import { createLog } from "../../src/log.ts";
import type { Database } from "../../src/storage/database.ts";
import { createTestDatabase } from "../support/database.ts";

it("tells that the database went away, that it only reads and that it can be written, and nothing else", async () => {
  let condition = "there";
  let asked = () => {};
  const database = {
    withClient: (work: (client: unknown) => unknown) => {
      asked();
      const rows = [{ one: 1, only_reads: condition === "only reads" }];
      return condition === "refused"
        ? Promise.reject(new Error("connection refused"))
        : work({ query: () => Promise.resolve({ rows }) });
    },
  } as unknown as Database;
  const told: unknown[] = [];
  const next = () =>
    new Promise<void>((resolve) => {
      asked = () => setImmediate(resolve);
    });
  const watch = watchDatabase(database, (condition) => told.push(condition), 60_000);
  for (condition of ["there", "refused", "refused", "only reads", "only reads", "there", "there"]) {
    const answered = next();
    watch.look();
    await answered;
  }
  await watch.close();
  expect(told).toEqual([
    { away: "connection refused" },
    { away: expect.stringContaining("only reads") },
    "ok",
  ]);
});

it("keeps a journal that survives a database that is away", async () => {
  const test = await createTestDatabase();
  const lines: string[] = [];
  const log = createLog({ level: "info", format: "json" }, { write: (line) => void lines.push(line) });
  let isThere = false;
  const database = {
    query: (sql: string, parameters?: readonly unknown[]) =>
      isThere ? test.database.query(sql, parameters) : Promise.reject(new Error("away")),
  } as unknown as Database;
  const journal = openJournal(database, log, () => Date.UTC(2026, 10, 23, 12));
  journal.record("warn", "storage", "the database is away", { text: "refused" });
  await journal.flush();
  isThere = true;
  journal.record("info", "storage", "the database is back");
  await journal.flush();
  await journal.flush();
  const rows = await test.database.query(
    "SELECT level, component, message, data FROM event_logs ORDER BY id",
  );
  await test.drop();
  expect(rows).toEqual([
    { level: "warn", component: "storage", message: "the database is away", data: { text: "refused" } },
    { level: "info", component: "storage", message: "the database is back", data: null },
  ]);
  expect(lines).toHaveLength(2);
});
