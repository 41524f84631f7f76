import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { BILLING_PROFILE, METER_EVENTS, ROW_TABLES } from "../../src/mapping/rows.ts";
import type { PushStore } from "../../src/storage/accepted-push.ts";
import { openCounterStore } from "../../src/storage/counters.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { instant, push, reading, row, voltages } from "../support/pushes.ts";

let test: TestDatabase;
let store: PushStore;
let meter: string;
let other: string;
let keyId: number;
let code: number;
const refused: string[] = [];
const T = Date.UTC(2026, 10, 23, 12);

beforeAll(async () => {
  test = await createTestDatabase();
  const { database } = test;
  await database.query("INSERT INTO meter_types (name, category) VALUES ('T1', 'D1')");
  const meters = await database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'T1'), ('2', 'T1') RETURNING id",
  );
  [meter, other] = meters.map((found) => found["id"] as string) as [string, string];
  const [key] = await database.query(
    "INSERT INTO meter_keys (meter_id, kind, envelope) VALUES ($1, 'guek', '\\x00') RETURNING id",
    [meter],
  );
  keyId = key!["id"];
  const [obis] = await database.query(
    "INSERT INTO obis_codes (code) VALUES ('1.0.99.99.99.255') RETURNING id",
  );
  code = obis!["id"];
  store = await openStore();
});
const openStore = async () =>
  openPushStore(test.database, await openPartitions(test.database), {
    onUnstorable: (error) => refused.push(error.message),
  });
afterAll(() => test.drop());
beforeEach(async () => {
  refused.length = 0;
  await test.database.query(
    `TRUNCATE ${ROW_TABLES.map(({ name }) => name).join(", ")}, invocation_counters, quarantine, reading_conflicts`,
  );
});

const count = async (table: string) =>
  (await test.database.query(`SELECT count(*) AS n FROM ${table}`))[0]!["n"];
const all = (sql: string) => test.database.query(sql);

describe("a push that is new", () => {
  it("leaves its rows, its history and its frame, bound by the same identifier", async () => {
    const outcomes = await store.commit([
      push({
        meterId: meter,
        time: T,
        counter: { keyId, counter: 7 },
        rows: [
          instant(meter, T, { voltage_l1_v: 230.1, extra: '{"1.0.99.99.99.255": 5}', relay_connected: true }),
          voltages(meter, T, { voltage_l1_v: 230.1 }),
          reading(meter, T, code, { value: 1.5, value_text: "näive\0" }),
        ],
      }),
    ]);
    expect(outcomes).toMatchObject([
      { verdict: "applied", rowsStored: 3, rowsDuplicate: 0, rowsConflicting: 0 },
    ]);
    const [history] = await all("SELECT * FROM push_history");
    expect(history).toMatchObject({
      verdict: "applied",
      row_count: 3,
      invocation_counter: 7,
      meter_id: meter,
    });
    const [frame] = await all("SELECT * FROM raw_frames");
    const [profile] = await all("SELECT * FROM instant_profile");
    expect(profile).toMatchObject({
      time: T,
      received_at: T + 1_000,
      voltage_l1_v: 230.1,
      voltage_l2_v: null,
      relay_connected: true,
      extra: { "1.0.99.99.99.255": 5 },
    });
    expect([history!["frame_id"], profile!["frame_id"]]).toEqual([frame!["id"], frame!["id"]]);
    expect((frame!["apdu"] as Buffer).toString()).toBe(`push ${T} 7`);
    expect(await all("SELECT value, value_text FROM meter_readings")).toEqual([
      { value: 1.5, value_text: "näive\ufffd" },
    ]);
    expect(await all("SELECT counter FROM invocation_counters")).toEqual([{ counter: 7 }]);
  });

  it("keeps numeric columns exact", async () => {
    const values = [0, 1, -1, 10_000, 0.1, 123_456_789.012_5, 1e-7, 99_999_999, 2 ** 53, -0.0001, 1e22];
    const names = BILLING_PROFILE.columns.filter(({ type }) => type === "numeric").map(({ name }) => name);
    await store.commit([
      push({
        meterId: meter,
        time: T,
        rows: [
          row(BILLING_PROFILE, {
            time: T,
            meter_id: meter,
            origin: "push",
            received_at: T,
            ...Object.fromEntries(values.map((value, index) => [names[index]!, value])),
          }),
        ],
      }),
    ]);
    const [stored] = await all("SELECT * FROM billing_profile");
    expect(values.map((_, index) => Number(stored![names[index]!]))).toEqual(values);
    // As PostgreSQL writes them: nothing more than was given.
    expect(stored![names[5]!]).toBe("123456789.0125");
  });

  it("finds a place whatever its time is, before the first partition and after the last", async () => {
    const times = [Date.UTC(1999, 11, 31, 23), Date.UTC(2031, 5, 1), T];
    const outcomes = await store.commit(
      times.map((time) => push({ meterId: meter, time, rows: [voltages(meter, time, { voltage_l1_v: 1 })] })),
    );
    expect(outcomes.map(({ verdict }) => verdict)).toEqual(["applied", "applied", "applied"]);
    expect(await count("voltage_measurements")).toBe(3);
  });

  it("finds a place when another daemon dropped the partition that this one remembers", async () => {
    const time = Date.UTC(2019, 0, 9);
    const one = (at: number) =>
      push({ meterId: meter, time: at, rows: [voltages(meter, at, { voltage_l1_v: 1 })] });
    await store.commit([one(time)]);
    const [partition] = await all("SELECT tableoid::regclass::text AS name FROM voltage_measurements");
    await all(`DROP TABLE ${partition!["name"]}`);
    expect((await store.commit([one(time + 1)]))[0]?.verdict).toBe("applied");
  });
});

describe("a push that is there already", () => {
  const first = () =>
    push({ meterId: meter, time: T, rows: [voltages(meter, T, { voltage_l1_v: 230, voltage_l2_v: null })] });

  it("is a duplicate where all values are equal, and still leaves history and frame", async () => {
    await store.commit([first()]);
    const [again] = await store.commit([first()]);
    expect(again).toEqual({
      ...{ verdict: "duplicate", rowsStored: 0, rowsDuplicate: 1, rowsConflicting: 0, rowsNew: [] },
    });
    expect(await count("voltage_measurements")).toBe(1);
    expect(await all("SELECT verdict, row_count FROM push_history ORDER BY id")).toEqual([
      { verdict: "applied", row_count: 1 },
      { verdict: "duplicate", row_count: 0 },
    ]);
  });

  it("fills columns that were missing", async () => {
    await store.commit([first()]);
    const rows = [voltages(meter, T, { voltage_l1_v: 230, voltage_l2_v: 231 })];
    const [filled] = await store.commit([push({ meterId: meter, time: T, rows })]);
    expect(filled).toMatchObject({ verdict: "applied", rowsStored: 1 });
    expect(await all("SELECT voltage_l1_v AS a, voltage_l2_v AS b FROM voltage_measurements")).toEqual([
      { a: 230, b: 231 },
    ]);
  });

  it("leaves the original untouched where values differ, and keeps the others in reading_conflicts once", async () => {
    await store.commit([first()]);
    for (let round = 0; round < 2; round += 1) {
      const rows = [voltages(meter, T, { voltage_l1_v: 240, voltage_l2_v: 231 })];
      const [conflict] = await store.commit([push({ meterId: meter, time: T, rows })]);
      expect(conflict).toMatchObject({ verdict: "applied", rowsStored: 0, rowsConflicting: 1 });
    }
    expect(await all("SELECT voltage_l1_v AS a, voltage_l2_v AS b FROM voltage_measurements")).toEqual([
      { a: 230, b: null },
    ]);
    expect(await all("SELECT table_name, stored, received, occurrences FROM reading_conflicts")).toEqual([
      {
        table_name: "voltage_measurements",
        stored: { voltage_l1_v: 230, voltage_l2_v: null },
        received: { voltage_l1_v: 240, voltage_l2_v: 231 },
        occurrences: 2,
      },
    ]);
  });

  it("compares jsonb by its names", async () => {
    const extra = (json: string) =>
      store.commit([push({ meterId: meter, time: T, rows: [instant(meter, T, { extra: json })] })]);
    await extra('{"a": 1}');
    expect((await extra('{"a": 1}'))[0]?.rowsDuplicate).toBe(1);
    expect((await extra('{"b": 2}'))[0]?.rowsStored).toBe(1);
    expect((await extra('{"a": 3}'))[0]?.rowsConflicting).toBe(1);
    expect(await all("SELECT extra FROM instant_profile")).toEqual([{ extra: { a: 1, b: 2 } }]);
  });

  it("doesn't hold up the new ones of its batch, nor a second copy within the batch", async () => {
    await store.commit([first()]);
    const event = row(METER_EVENTS, {
      ...{ time: T, meter_id: other, log: "voltage", code: 1, sequence: 0, name: "x", severity: "info" },
      ...{ origin: "push", received_at: T },
    });
    const outcomes = await store.commit([
      push({ meterId: other, time: T, rows: [voltages(other, T, { voltage_l1_v: 1 }), event] }),
      first(),
      push({ meterId: other, time: T, rows: [voltages(other, T, { voltage_l1_v: 1, voltage_l2_v: 2 })] }),
    ]);
    expect(outcomes.map(({ verdict, rowsStored }) => `${verdict} ${rowsStored}`)).toEqual([
      "applied 2",
      "duplicate 0",
      "applied 1",
    ]);
    expect(await count("voltage_measurements")).toBe(2);
    expect(await count("meter_events")).toBe(1);
  });
});

describe("counters", () => {
  const under = (counter: number, octets?: string) =>
    push({
      meterId: meter,
      time: T + counter,
      counter: { keyId, counter, ...(octets === undefined ? {} : { octets }) },
      rows: [voltages(meter, T + counter, { voltage_l1_v: counter })],
    });

  it("tell retransmission and replay where another daemon was faster; the batch's others are stored", async () => {
    const elsewhere = await openStore();
    await elsewhere.commit([under(5, "five"), under(9, "nine")]);
    const outcomes = await store.commit([under(5, "five"), under(5, "forged"), under(8, "eight")]);
    expect(outcomes.map(({ verdict }) => verdict)).toEqual(["retransmission", "replay", "replay"]);
    const mixed = await store.commit([
      push({ meterId: other, time: T, rows: [voltages(other, T, { voltage_l1_v: 1 })] }),
      under(7, "seven"),
    ]);
    expect(mixed.map(({ verdict }) => verdict)).toEqual(["applied", "replay"]);
    expect(await count("voltage_measurements")).toBe(3);
    expect(await count("raw_frames")).toBe(3);
    expect(await all("SELECT counter FROM invocation_counters")).toEqual([{ counter: 9 }]);
  });

  it("let a batch through that a later one of the same daemon overtook", async () => {
    const counters = Array.from({ length: 40 }, (_, index) => index + 100);
    const outcomes = await Promise.all(counters.map((counter) => store.commit([under(counter)])));
    expect(outcomes.flat().map(({ verdict }) => verdict)).toEqual(counters.map(() => "applied"));
    expect(await all("SELECT counter FROM invocation_counters")).toEqual([{ counter: 139 }]);
  });

  it("recognise a batch that was stored although its connection was lost before COMMIT was answered", async () => {
    // The answer to COMMIT gets lost once: what the database did stays done.
    let lose = true;
    const { database } = test;
    const lossy: Database = {
      ...database,
      withClient: async (work) => {
        const result = await database.withClient(work);
        if (!lose) return result;
        lose = false;
        throw new StorageError("unavailable", "the connection is gone");
      },
    };
    const lossyStore = openPushStore(lossy, await openPartitions(database));
    await expect(lossyStore.commit([under(1, "one")])).rejects.toMatchObject({ code: "unavailable" });
    const [again] = await lossyStore.commit([under(1, "one")]);
    expect(again?.verdict).toBe("retransmission");
    expect(await count("push_history")).toBe(1);
    expect((await lossyStore.commit([under(2, "two")]))[0]?.verdict).toBe("applied");
  });

  it("store a frame once that two daemons accepted and acknowledged, and refuse nothing that was", async () => {
    const final = (counter: number, octets?: string) => {
      const one = under(counter, octets);
      return { ...one, counter: { ...one.counter!, isFinal: true } };
    };
    const verdicts = async (...pushes: ReturnType<typeof final>[]) =>
      (await store.commit(pushes)).map(({ verdict }) => verdict);
    expect(await verdicts(final(10, "ten"), final(10, "ten"))).toEqual(["applied", "retransmission"]);
    expect(await verdicts(final(10, "ten"))).toEqual(["retransmission"]);
    // Held back, and accepted by a daemon that had not heard of the tenth.
    expect(await verdicts(final(8, "eight"), final(8, "eight"))).toEqual(["applied", "retransmission"]);
    expect(await all("SELECT counter FROM invocation_counters")).toEqual([{ counter: 10 }]);
    expect(await count("push_history")).toBe(2);
    // In front of one that is new.
    expect(await verdicts(final(10, "ten"), final(11, "eleven"))).toEqual(["retransmission", "applied"]);
    expect(await all("SELECT counter FROM invocation_counters")).toEqual([{ counter: 11 }]);
    // Two readers of the same partition for a moment.
    const elsewhere = await openStore();
    for (let counter = 20; counter < 40; counter++) {
      const both = await Promise.all([store.commit([final(counter)]), elsewhere.commit([final(counter)])]);
      expect(
        both
          .flat()
          .map(({ verdict }) => verdict)
          .sort(),
      ).toEqual(["applied", "retransmission"]);
    }
    expect(await count("push_history")).toBe(23);
    expect(await count("raw_frames")).toBe(23);
  });

  it("are loaded with the digests of the last frames", async () => {
    await store.commit([under(1, "one"), under(2, "two")]);
    const counters = openCounterStore(test.database);
    const loaded = await counters.loadCounter(keyId, "4142430000000001", 48);
    expect(loaded.high).toBe(2);
    expect(loaded.digests.map(({ counter }) => counter)).toEqual([2, 1]);
    expect(await counters.loadCounter(keyId, "4142430000000001", 1)).toEqual({ high: null, digests: [] });
  });

  it("that are asked for at the same time are one query, and each asker gets its own", async () => {
    await store.commit([under(1, "one")]);
    let queries = 0;
    const { database } = test;
    const query: typeof database.query = (sql, parameters) => {
      queries++;
      return database.query(sql, parameters);
    };
    const counters = openCounterStore({ ...database, query });
    const saps = [1, 48, 2, 48];
    const loaded = await Promise.all(
      saps.map((clientSap) => counters.loadCounter(keyId, "4142430000000001", clientSap)),
    );
    expect(loaded.map(({ high }) => high)).toEqual([null, 1, null, 1]);
    expect(loaded.map(({ digests }) => digests.length)).toEqual([0, 1, 0, 1]);
    expect(queries).toBe(1);
    await expect(
      Promise.all(["x", "y"].map((no) => counters.loadCounter(no as never, "4142430000000001", 1))),
    ).rejects.toThrow("integer");
  });
});

describe("a push that the database can't hold", () => {
  const good = (index: number) =>
    push({ meterId: meter, time: T + index, rows: [voltages(meter, T + index, { voltage_l1_v: 1 })] });

  it.each([
    ["a constraint", () => voltages(meter, T, { source: "nonsense" })],
    ["a reference", () => reading(meter, T, 999_999, { value: 1 })],
    ["a cell of the wrong kind", () => instant(meter, T, { power_on_min: 1, clock_status: 70_000 })],
    ["jsonb that is none", () => instant(meter, T, { extra: "{" })],
  ])("because of %s goes to quarantine, and the others of its batch are stored", async (_, poison) => {
    const batch = [good(1), good(2), push({ meterId: meter, time: T, rows: [poison()] }), good(3)];
    const outcomes = await store.commit(batch);
    expect(outcomes.map(({ verdict }) => verdict)).toEqual(["applied", "applied", "quarantined", "applied"]);
    expect(await count("voltage_measurements")).toBe(3);
    expect(await all("SELECT reason, meter_id FROM quarantine")).toEqual([
      { reason: "unstorable", meter_id: meter },
    ]);
    expect(refused).toHaveLength(1);
  });

  it("because its meter was deleted keeps its octets", async () => {
    const gone = "00000000-0000-4000-8000-000000000000";
    const [outcome] = await store.commit([push({ meterId: gone, time: T, rows: [voltages(gone, T, {})] })]);
    expect(outcome?.verdict).toBe("quarantined");
    expect(await all("SELECT meter_id, apdu FROM quarantine")).toEqual([
      { meter_id: null, apdu: Buffer.from(`push ${T} `) },
    ]);
  });

  it("by its reason stands in quarantine beside history and frame", async () => {
    const [outcome] = await store.commit([
      push({ meterId: meter, time: T, quarantine: { reason: "scaler_unknown", text: "1.0.1.8.0.255" } }),
    ]);
    expect(outcome?.verdict).toBe("quarantined");
    expect(await all("SELECT verdict FROM push_history")).toEqual([{ verdict: "quarantined" }]);
    expect(await all("SELECT q.reason FROM quarantine q JOIN raw_frames f ON f.id = q.frame_id")).toEqual([
      { reason: "scaler_unknown" },
    ]);
  });
});

describe("batches in flight together", () => {
  it("over the same meters and the same rows neither lose nor double anything", async () => {
    const batch = (seed: number) =>
      Array.from({ length: 30 }, (_, index) => {
        const id = (index + seed) % 2 ? meter : other;
        const time = T + ((index * 7 + seed) % 30);
        return push({ meterId: id, time, rows: [voltages(id, time, { voltage_l1_v: 230 })] });
      });
    const outcomes = (await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => store.commit(batch(seed))))).flat();
    const stored = outcomes.reduce((sum, { rowsStored }) => sum + rowsStored, 0);
    const duplicates = outcomes.reduce((sum, { rowsDuplicate }) => sum + rowsDuplicate, 0);
    expect(stored + duplicates).toBe(180);
    expect(stored).toBe(await count("voltage_measurements"));
    expect(await count("push_history")).toBe(180);
  });
});

it("says that it is worth trying again while the database is away", async () => {
  const away = openDatabase({ url: "postgres://hes@%2Fnowhere/hes", schema: "hes" });
  const partitions = await openPartitions(test.database);
  const failed = openPushStore(away, partitions).commit([push({ meterId: meter, time: T })]);
  await expect(failed).rejects.toMatchObject({ code: "unavailable", retryable: true });
  await away.close();
});

it("settles every batch when its connection is cut in the middle, and goes on afterwards", async () => {
  const batch = (round: number) =>
    Array.from({ length: 200 }, (_, index) => {
      const time = T + round * 1_000 + index;
      return push({ meterId: meter, time, rows: [voltages(meter, time, { voltage_l1_v: 1 })] });
    });
  let cutting = true;
  const cutter = (async () => {
    while (cutting) {
      await test.database
        .query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %' AND datname = current_database()",
        )
        .catch(() => undefined);
    }
  })();
  const settled = await Promise.allSettled(
    Array.from({ length: 40 }, (_, round) => store.commit(batch(round))),
  );
  cutting = false;
  await cutter;
  const failed = settled.filter((one) => one.status === "rejected");
  expect(failed.length).toBeGreaterThan(0);
  for (const { reason } of failed) expect(reason).toMatchObject({ code: "unavailable" });
  expect(await count("push_history")).toBe((settled.length - failed.length) * 200);
  expect((await store.commit(batch(99)))[0]?.verdict).toBe("applied");
});
