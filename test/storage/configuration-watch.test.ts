import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import {
  type WatchedConfiguration,
  watchMappingConfiguration,
} from "../../src/storage/push-configuration.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const CODE = "1.0.1.8.0.255";

let test: TestDatabase;
let watched: WatchedConfiguration;
let readings = 0;

beforeAll(async () => {
  test = await createTestDatabase();
  await test.database.query("INSERT INTO meter_types (name, category) VALUES ('T1', 'D1')");
});
afterEach(async () => {
  await watched.close();
  await test.database.query("DELETE FROM meter_type_scalers WHERE meter_type = 'T1'");
});
afterAll(() => test.drop());

async function watch(database: Database): Promise<void> {
  readings = 0;
  watched = await watchMappingConfiguration(database, { onRead: () => readings++ });
}

const addScaler = () =>
  test.database.query(
    "INSERT INTO meter_type_scalers (meter_type, obis_code, attribute, scaler) VALUES ('T1', $1, 2, 1)",
    [CODE],
  );

it("knows, for what came after a change was committed, what changed: however late it is told", async () => {
  await watch(test.database);
  expect(watched.current().scaler("T1", CODE, 2)).toBeUndefined();
  await addScaler();
  await watched.renewal(Date.now())!();
  expect(watched.current().scaler("T1", CODE, 2)?.scaler).toBe(1);
  expect(readings).toBe(2);
});

it("isn't read again where nothing changed", async () => {
  await watch(test.database);
  const later = Date.now() + 1_000;
  await Promise.all([watched.renewal(later)!(), watched.renewal(later)!()]);
  expect(readings).toBe(1);
  // What came before the last reading is explained by it, or by nothing.
  expect(watched.renewal(0)).toBeNull();
});
