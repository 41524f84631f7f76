import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/storage/database.ts";
import {
  isCounterKnown,
  noteReceivedCounter,
  receivedCounter,
  reserveCounters,
  skipSentCounters,
} from "../../src/storage/sent-counters.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
let keyId: number;

beforeAll(async () => {
  test = await createTestDatabase();
  const { database } = test;
  await database.query("INSERT INTO meter_types (name, category) VALUES ('T', 'D1') ON CONFLICT DO NOTHING");
  await database.query("INSERT INTO public.meters (meter_number, meter_type) VALUES ('M', 'T')");
  const [row] = await database.query(
    "INSERT INTO meter_keys (meter_id, kind, envelope) SELECT id, 'guek', '\\x00' FROM public.meters WHERE meter_number = 'M' RETURNING id",
  );
  keyId = row!["id"] as number;
});
afterAll(() => test.drop());

describe("counters that we send", () => {
  it("are reserved once, whoever asks, and above what the meter has seen", async () => {
    const { database } = test;
    expect(await isCounterKnown(database, keyId)).toBe(false);
    expect(await reserveCounters(database, keyId, 50, 1_000)).toEqual({ after: 1_000, until: 1_050 });
    expect(await isCounterKnown(database, keyId)).toBe(true);
    // A meter that tells a lower one doesn't take it back.
    expect(await reserveCounters(database, keyId, 50, 3)).toEqual({ after: 1_050, until: 1_100 });
    const blocks = await Promise.all(Array.from({ length: 8 }, () => reserveCounters(database, keyId, 10)));
    const firsts = blocks.map((block) => block!.after).sort((a, b) => a - b);
    expect(firsts).toEqual(Array.from({ length: 8 }, (_, at) => 1_100 + at * 10));
  });

  it("end with the key", async () => {
    const { database } = test;
    expect(await reserveCounters(database, keyId, 10, 4_294_967_290)).toBeNull();
    expect(await reserveCounters(database, keyId, 5, 4_294_967_290)).toEqual({
      after: 4_294_967_290,
      until: 4_294_967_295,
    });
    expect(await reserveCounters(database, keyId, 1)).toBeNull();
  });
});

describe("a database that was restored", () => {
  const reserved = async (database: TestDatabase["database"]) =>
    (await reserveCounters(database, keyId, 10))!.after;

  it("never reserves a counter that was used since its backup, and says so once", async () => {
    const original = await createTestDatabase();
    await original.database.query(
      "INSERT INTO public.meters (meter_number, meter_type) SELECT 'M', min(name) FROM meter_types",
    );
    await original.database.query(
      `INSERT INTO meter_keys (id, meter_id, kind, envelope) SELECT ${keyId}, id, 'guek', '\\x00' FROM public.meters WHERE meter_number = 'M'`,
    );
    await reserveCounters(original.database, keyId, 50);
    await original.database.close();
    // A backup, and what was used since.
    const backup = await createTestDatabase({ template: original.name });
    const used = openDatabase({ url: original.url, schema: "hes" });
    for (let block = 0; block < 20; block++) await reserveCounters(used, keyId, 1_000);
    const last = (await reserveCounters(used, keyId, 1))!.until;
    await used.close();

    expect(await reserved(backup.database)).toBeGreaterThan(last);
    const next = await reserved(backup.database);
    expect(await reserved(backup.database)).toBe(next + 10);
    const events = await backup.database.query(
      "SELECT level, component, data FROM event_logs WHERE component = 'keys'",
    );
    expect(events).toEqual([{ level: "warn", component: "keys", data: { keys: 1 } }]);

    // A backup that was recovered to a point in time goes on as another timeline of the same server.
    await backup.database.query("UPDATE database_identity SET timeline = '00000000'");
    expect(await reserved(backup.database)).toBeGreaterThan(next + 4_000_000);
    // Files that were put back can't be told from a crash: the operator says so.
    const before = await reserved(backup.database);
    expect(await skipSentCounters(backup.database)).toBe(1);
    expect(await reserved(backup.database)).toBeGreaterThan(before + 4_000_000);
    await backup.drop();
    await original.drop();
  });
});

it("keeps the highest counter that a meter has sent", async () => {
  const { database } = test;
  expect(await receivedCounter(database, keyId, 48)).toBe(-1);
  await noteReceivedCounter(database, keyId, 48, 20);
  await noteReceivedCounter(database, keyId, 48, 10);
  expect(await receivedCounter(database, keyId, 48)).toBe(20);
  expect(await receivedCounter(database, keyId, 32)).toBe(-1);
});
