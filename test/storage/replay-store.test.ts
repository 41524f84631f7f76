import { afterAll, beforeAll, expect, it } from "vitest";
import type { Row } from "../../src/mapping/rows.ts";
import { openPartitions, type Partitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { type FrameSelection, ReplayStore, type StoredFrame } from "../../src/storage/replay-store.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { instant, push, reading, voltages } from "../support/pushes.ts";

let test: TestDatabase;
let partitions: Partitions;
let meter: string;
let code: number;
const T = Date.UTC(2026, 10, 23, 12);

beforeAll(async () => {
  test = await createTestDatabase();
  const [found] = await test.database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'D1') RETURNING id",
  );
  meter = found!["id"];
  const [obis] = await test.database.query(
    "INSERT INTO obis_codes (code) VALUES ('1.0.99.99.99.255') RETURNING id",
  );
  code = obis!["id"];
  partitions = await openPartitions(test.database);
});
afterAll(() => test.drop());

const replayOf = (selection: FrameSelection, batchMax = 500) =>
  new ReplayStore(test.database, partitions, selection, { timeZone: "Asia/Kolkata", batchMax });
const all = (sql: string) => test.database.query(sql);

it("hands out frames in order, and puts what they give now in place of what they gave", async () => {
  const store = openPushStore(test.database, partitions);
  await store.commit([
    push({
      meterId: meter,
      time: T,
      rows: [
        instant(meter, T, { voltage_l1_v: 2300, current_l1_a: 5, extra: '{"1.0.99.99.99.255": 1}' }),
        voltages(meter, T, { voltage_l1_v: 2300 }),
      ],
    }),
    push({ meterId: meter, time: T + 1, quarantine: { reason: "scaler_unknown", text: "" } }),
    push({ meterId: meter, time: T + 2, rows: [voltages(meter, T + 2, { voltage_l1_v: 1 })] }),
  ]);
  const batches: (readonly StoredFrame[])[] = [];
  for await (const batch of replayOf({ meterId: meter }, 2).frames()) batches.push(batch);
  expect(batches.map((batch) => batch.map(({ receivedAtMs }) => receivedAtMs))).toEqual([
    [T + 1_000, T + 1_001],
    [T + 1_002],
  ]);
  const [first, second] = batches[0]!;
  expect(first!.apdu.toString()).toBe(`push ${T} `);

  // The scaler was wrong, and a value that had no column has one now.
  const now: Row[] = [
    instant(meter, T, { voltage_l1_v: 230, current_l1_a: 5, frequency_hz: 50 }),
    voltages(meter, T, { voltage_l1_v: 230 }),
  ];
  const late = [reading(meter, T + 1, code, { value: 7 })];
  const corrected = await replayOf({}).correct([
    { frame: first!, rows: now, valueCount: 3 },
    { frame: second!, rows: late, valueCount: 1 },
  ]);
  expect(corrected).toEqual({ rowsAdded: 1, rowsCorrected: 2 });
  expect(
    await all("SELECT voltage_l1_v AS v, current_l1_a AS a, frequency_hz AS f, extra FROM instant_profile"),
  ).toEqual([{ v: 230, a: 5, f: 50, extra: null }]);
  expect(await all("SELECT voltage_l1_v AS v FROM voltage_measurements ORDER BY time")).toEqual([
    { v: 230 },
    { v: 1 },
  ]);
  expect(await all("SELECT verdict, row_count FROM push_history ORDER BY id")).toEqual([
    { verdict: "applied", row_count: 2 },
    { verdict: "applied", row_count: 1 },
    { verdict: "applied", row_count: 1 },
  ]);
  expect(await all("SELECT state FROM quarantine")).toEqual([{ state: "adopted" }]);
  const kept = await all(
    "SELECT table_name, stored, received, corrected_at IS NOT NULL AS corrected FROM reading_conflicts ORDER BY table_name",
  );
  expect(kept).toEqual([
    {
      table_name: "instant_profile",
      stored: { voltage_l1_v: 2300, frequency_hz: null, extra: { "1.0.99.99.99.255": 1 } },
      received: { voltage_l1_v: 230, frequency_hz: 50, extra: null },
      corrected: true,
    },
    {
      table_name: "voltage_measurements",
      stored: { voltage_l1_v: 2300 },
      received: { voltage_l1_v: 230 },
      corrected: true,
    },
  ]);

  // Nothing changes the second time, and nothing is written.
  const places = () =>
    all("SELECT ctid FROM instant_profile UNION ALL SELECT ctid FROM voltage_measurements");
  const before = await places();
  expect(await replayOf({}).correct([{ frame: first!, rows: now, valueCount: 3 }])).toEqual({
    rowsAdded: 0,
    rowsCorrected: 0,
  });
  expect(await places()).toEqual(before);
});

it("corrects all the same where another transaction and this one waited for each other", async () => {
  const { database } = test;
  let frame: StoredFrame | undefined;
  for await (const batch of replayOf({ toMs: T + 1_001 }).frames()) frame = batch[0];
  const rows = [instant(meter, T, { voltage_l1_v: 231 }), voltages(meter, T, { voltage_l1_v: 231 })];
  let corrected: Promise<unknown> = Promise.resolve();
  await database.transaction(async (client) => {
    // So that it is the other one that is given up.
    await client.query("SET LOCAL deadlock_timeout TO '1min'");
    await client.query("SELECT FROM voltage_measurements FOR UPDATE");
    corrected = replayOf({}).correct([{ frame: frame!, rows, valueCount: 2 }]);
    const waiting =
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    await expect.poll(() => all(waiting)).toHaveLength(1);
    await client.query("SELECT FROM instant_profile FOR UPDATE");
  });
  expect(await corrected).toEqual({ rowsAdded: 0, rowsCorrected: 2 });
});

it("selects frames by time and by quarantine", async () => {
  const count = async (selection: FrameSelection) => {
    let frames = 0;
    for await (const batch of replayOf(selection).frames()) frames += batch.length;
    return frames;
  };
  expect(await count({ fromMs: T + 1_001 })).toBe(2);
  expect(await count({ toMs: T + 1_001 })).toBe(1);
  expect(await count({ quarantined: true })).toBe(0);
});
