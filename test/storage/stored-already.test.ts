import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ROW_TABLES } from "../../src/mapping/rows.ts";
import type { AcceptedPush, PushStore } from "../../src/storage/accepted-push.ts";
import type { Database } from "../../src/storage/database.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { push, reading, voltages } from "../support/pushes.ts";

let test: TestDatabase;
let store: PushStore;
let meter: string;
let other: string;
const T = Date.UTC(2026, 10, 23, 12, 0, 0, 273);

beforeAll(async () => {
  test = await createTestDatabase();
  const { database } = test;
  await database.query("INSERT INTO meter_types (name, category) VALUES ('T1', 'D1')");
  const meters = await database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'T1'), ('2', 'T1') RETURNING id",
  );
  [meter, other] = meters.map((found) => found["id"] as string) as [string, string];
  store = openPushStore(database, await openPartitions(database));
});
afterAll(() => test.drop());
beforeEach(async () => {
  await test.database.query(
    `TRUNCATE ${ROW_TABLES.map(({ name }) => name).join(", ")}, invocation_counters, quarantine, reading_conflicts`,
  );
});

/** In clear, so that nothing but its octets and the instant at which they came tells that it is the same. */
const first = (meterId = meter, time = T) =>
  push({ meterId, time, rows: [voltages(meterId, time, { voltage_l1_v: 230 })] });
/** As it comes from the durable log of a daemon that was killed. */
const again = (one: AcceptedPush): AcceptedPush => ({ ...one, again: true });
const verdicts = async (...pushes: AcceptedPush[]) =>
  (await store.commit(pushes)).map(({ verdict }) => verdict);
const count = async (table: string) =>
  (await test.database.query(`SELECT count(*) AS n FROM ${table}`))[0]!["n"];

describe("a push that comes from the log again", () => {
  it("is passed over where it is stored, and nothing of it stands twice", async () => {
    expect(await verdicts(first())).toEqual(["applied"]);
    expect(await verdicts(again(first()))).toEqual(["duplicate"]);
    expect([
      await count("push_history"),
      await count("raw_frames"),
      await count("voltage_measurements"),
    ]).toEqual([1, 1, 1]);
  });

  it("is stored where it isn't, beside others of its batch that are", async () => {
    await store.commit([first(meter, T), first(meter, T + 2)]);
    const batch = [0, 1, 2, 3].map((ms) => again(first(meter, T + ms)));
    expect(await verdicts(...batch)).toEqual(["duplicate", "applied", "duplicate", "applied"]);
    expect(await count("push_history")).toBe(4);
  });

  it("is stored once where it stands in the log twice, as after an fdatasync that failed", async () => {
    expect(await verdicts(again(first()), again(first(other)), again(first()))).toEqual([
      "applied",
      "applied",
      "duplicate",
    ]);
    expect(await count("push_history")).toBe(2);
    expect(await count("raw_frames")).toBe(2);
  });

  it("is another one where the octets are another meter's, or came at another time", async () => {
    // Octets without a time in them, as an alert in clear may be: each of them is a push of its own.
    const alert = (meterId: string, time: number) => {
      const one = push({ meterId, time, counter: null });
      const digest = "\x07".repeat(16);
      one.history!.cells[one.history!.table.position.get("digest")!] = digest;
      return one;
    };
    expect(await verdicts(alert(meter, T))).toEqual(["applied"]);
    expect(
      await verdicts(again(alert(other, T)), again(alert(meter, T + 1)), again(alert(meter, T))),
    ).toEqual(["applied", "applied", "duplicate"]);
  });

  it("is known among what the database refused", async () => {
    const poisoned = () =>
      push({ meterId: meter, time: T, rows: [reading(meter, T, 999_999, { value: 1 })] });
    expect(await verdicts(poisoned())).toEqual(["quarantined"]);
    expect(await verdicts(again(poisoned()), again(first(other)))).toEqual(["duplicate", "applied"]);
    expect(await count("quarantine")).toBe(1);
  });

  it("is known among what was put aside because its meter is gone", async () => {
    const gone = "00000000-0000-4000-8000-000000000000";
    expect(await verdicts(first(gone))).toEqual(["quarantined"]);
    expect(await verdicts(again(first(gone)))).toEqual(["duplicate"]);
    expect(await count("quarantine")).toBe(1);
  });

  it("is known where the database went away in the middle of a batch that it didn't take as a whole", async () => {
    const { database } = test;
    let isAway = true;
    const leaving: Database = {
      ...database,
      // What is put aside after the others were stored.
      transaction: async (work) => {
        if (isAway) throw new StorageError("unavailable", "away");
        return database.transaction(work);
      },
    };
    const leavingStore = openPushStore(leaving, await openPartitions(database));
    const gone = "ffffffff-ffff-4fff-8fff-ffffffffffff";
    const batch = [first(), first(gone)];
    await expect(leavingStore.commit(batch)).rejects.toMatchObject({ code: "unavailable" });
    expect(await count("push_history")).toBe(1);
    isAway = false;
    expect((await leavingStore.commit(batch)).map(({ verdict }) => verdict)).toEqual([
      "duplicate",
      "quarantined",
    ]);
    expect([await count("push_history"), await count("raw_frames"), await count("quarantine")]).toEqual([
      1, 1, 1,
    ]);
  });
});
