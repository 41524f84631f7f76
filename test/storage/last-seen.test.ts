import { afterAll, beforeAll, expect, it } from "vitest";
import type { AcceptedPush, PushStore } from "../../src/storage/accepted-push.ts";
import { rememberSeen } from "../../src/storage/last-seen.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

it("writes when a meter was last heard of, once for many pushes, and never an older time", async () => {
  const { database } = test;
  await database.query("INSERT INTO meter_types (name, category) VALUES ('D1', 'D1') ON CONFLICT DO NOTHING");
  const [meter] = await database.query<{ id: string }>(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('A', 'D1') RETURNING id",
  );
  const push = { meterId: meter!.id } as AcceptedPush;
  const store: PushStore = { commit: async () => [] };
  let now = Date.UTC(2026, 10, 23, 12, 0, 0);
  const seen = rememberSeen(store, database, () => now);
  const stored = async () =>
    (await database.query("SELECT last_seen_at FROM public.meters"))[0]!["last_seen_at"] as number | null;

  await seen.commit([push, push]);
  expect(await stored()).toBeNull();
  await seen.flush();
  expect(await stored()).toBe(now);

  now -= 60_000;
  await seen.commit([push]);
  await seen.flush();
  expect(await stored()).toBe(now + 60_000);
  await seen.flush();
});

it("remembers nothing of what wasn't committed", async () => {
  const store: PushStore = { commit: () => Promise.reject(new Error("away")) };
  const seen = rememberSeen(store, test.database);
  await expect(
    seen.commit([{ meterId: "00000000-0000-0000-0000-000000000000" } as AcceptedPush]),
  ).rejects.toThrow("away");
  await seen.flush();
});
