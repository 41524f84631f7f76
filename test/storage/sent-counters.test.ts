import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  isCounterKnown,
  noteReceivedCounter,
  receivedCounter,
  reserveCounters,
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

it("keeps the highest counter that a meter has sent", async () => {
  const { database } = test;
  expect(await receivedCounter(database, keyId, 48)).toBe(-1);
  await noteReceivedCounter(database, keyId, 48, 20);
  await noteReceivedCounter(database, keyId, 48, 10);
  expect(await receivedCounter(database, keyId, 48)).toBe(20);
  expect(await receivedCounter(database, keyId, 32)).toBe(-1);
});
