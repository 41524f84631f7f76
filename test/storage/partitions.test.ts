import { afterAll, beforeAll, expect, it } from "vitest";
import { openPartitions } from "../../src/storage/partitions.ts";
import { applyStoragePolicies } from "../../src/storage/storage-policies.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const DAY = 86_400_000;
/** A Monday in the past of every run. */
const MONDAY = Date.UTC(2026, 0, 5);
let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

const width = (partitionDays: number) =>
  applyStoragePolicies(test.database, { retentionDays: {}, partitionDays, compressAfterDays: 14 });
/** Of push_history, in days from that Monday on, within 30 days of it. */
async function days(): Promise<[number, number][]> {
  const rows = await test.database.query(
    `SELECT extract(epoch FROM substring(b FROM 'FROM \\(''([^'']+)')::timestamptz)::float8 * 1000 AS starts,
            extract(epoch FROM substring(b FROM 'TO \\(''([^'']+)')::timestamptz)::float8 * 1000 AS ends
       FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) b
      WHERE i.inhparent = 'push_history'::regclass ORDER BY 1`,
  );
  return rows
    .map(({ starts, ends }) => [(starts - MONDAY) / DAY, (ends - MONDAY) / DAY] as [number, number])
    .filter(([from, to]) => from > -30 && to < 30);
}
const ensure = async (...offsets: number[]) => {
  const partitions = await openPartitions(test.database);
  await partitions.ensure(offsets.map((day) => ({ table: "push_history", time: MONDAY + day * DAY })));
  return partitions;
};

it("go on as days behind weeks that are there, with neither gap nor overlap", async () => {
  await width(7);
  await ensure(0, 7);
  expect(await days()).toEqual([
    [0, 7],
    [7, 14],
  ]);
  await width(1);
  const partitions = await ensure(3, 13.5, 14, 15.25, 16);
  expect(await days()).toEqual([
    [0, 7],
    [7, 14],
    [14, 15],
    [15, 16],
    [16, 17],
  ]);
  for (let hour = 0; hour < 17 * 24; hour += 1) {
    expect(partitions.covers("push_history", MONDAY + (hour * DAY) / 24)).toBe(true);
  }
  expect(partitions.covers("push_history", MONDAY + 13 * DAY, MONDAY + 14 * DAY - 1)).toBe(true);
  expect(partitions.covers("push_history", MONDAY + 13 * DAY, MONDAY + 14 * DAY)).toBe(false);
  expect(partitions.covers("push_history", MONDAY - 1)).toBe(false);
  expect(partitions.covers("push_history", MONDAY + 17 * DAY)).toBe(false);
});

it("and as weeks again, cut where days stand", async () => {
  await width(7);
  const partitions = await ensure(20, 17, -1);
  expect(await days()).toEqual([
    [-7, 0],
    [0, 7],
    [7, 14],
    [14, 15],
    [15, 16],
    [16, 17],
    [17, 21],
  ]);
  expect(partitions.covers("push_history", MONDAY - 7 * DAY, MONDAY - 1)).toBe(true);
});
