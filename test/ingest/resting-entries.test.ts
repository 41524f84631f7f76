import { expect, test } from "vitest";
import { RestingEntries } from "../../src/ingest/resting-entries.ts";

const MANY = 25_000;

test("what rests is kept for its next use, and given up when too much of it does", () => {
  let made = 0;
  const entries = new RestingEntries<string[]>(
    () => {
      made++;
      return [];
    },
    (entry) => entry.length === 0,
  );
  const first = entries.of("first");
  first.push("in use");
  const second = entries.of("second");
  expect(entries.of("second")).toBe(second);
  expect(made).toBe(2);
  for (let i = 0; i < MANY; i++) entries.of(`passing ${i}`);
  expect(entries.peek("first")).toBe(first);
  expect(entries.peek("second")).toBeUndefined();
  expect(entries.peek(`passing ${MANY - 1}`)).toEqual([]);
});

test("what is in use is kept, however much it is", () => {
  const entries = new RestingEntries<{ used: boolean }>(
    () => ({ used: true }),
    ({ used }) => !used,
  );
  for (let i = 0; i < MANY; i++) entries.of(String(i));
  for (let i = 0; i < MANY; i++) expect(entries.peek(String(i))?.used).toBe(true);
});
