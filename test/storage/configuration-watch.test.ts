import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import {
  type WatchedConfiguration,
  watchMappingConfiguration,
} from "../../src/storage/push-configuration.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
let watched: WatchedConfiguration;
beforeAll(async () => {
  test = await createTestDatabase();
  await test.database.query("INSERT INTO meter_types (name, category) VALUES ('T1', 'D1')");
  // Nobody tells it of changes, as in the moment between COMMIT and the notification of it.
  const deaf: Database = { ...test.database, listen: async () => ({ close: async () => {} }) };
  vi.useFakeTimers({ toFake: ["Date"] });
  watched = await watchMappingConfiguration(deaf);
});
afterEach(() => vi.useRealTimers());
afterAll(async () => {
  await watched.close();
  await test.drop();
});

it("is read again for what came after the last reading, once, and not all the time", async () => {
  const code = "1.0.1.8.0.255";
  expect(watched.current().scaler("T1", code, 2)).toBeUndefined();
  await test.database.query(
    "INSERT INTO meter_type_scalers (meter_type, obis_code, attribute, scaler) VALUES ('T1', $1, 2, 1)",
    [code],
  );
  // Read a moment ago: who sends what nobody explains doesn't keep the database busy.
  expect(watched.renewal(Date.now())).toBeNull();
  vi.setSystemTime(Date.now() + 2_000);
  const cameAt = Date.now();
  const renew = watched.renewal(cameAt)!;
  const reading = renew();
  // While it is being read, everybody waits for what comes of it.
  expect(watched.renewal(cameAt + 1)).not.toBeNull();
  vi.setSystemTime(cameAt + 10);
  await reading;
  expect(watched.current().scaler("T1", code, 2)?.scaler).toBe(1);
  vi.setSystemTime(cameAt + 5_000);
  await watched.renewal(cameAt + 4_000)!();
  expect(watched.renewal(cameAt + 4_000)).toBeNull();
});
