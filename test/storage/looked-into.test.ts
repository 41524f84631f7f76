import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { correctRows } from "../../src/storage/correct.ts";
import { openCounterStore, openStatusWordStore } from "../../src/storage/counters.ts";
import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import { type Client, type Database, openDatabase } from "../../src/storage/database.ts";
import { mergeRows } from "../../src/storage/merge.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { identify } from "../../src/storage/push-batch.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { ReplayStore, type StoredFrame } from "../../src/storage/replay-store.ts";
import { storedAlready } from "../../src/storage/stored-already.ts";
import { createTestDatabase, skippedUnless, type TestDatabase } from "../support/database.ts";
import { instant, push, voltages } from "../support/pushes.ts";

/* Years of days: a statement that looks into all partitions takes a lock on each, and long to be planned. */

const skipped = skippedUnless(["partitions"], "TimescaleDB leaves chunks out by other means");
const DAY = 86_400_000;
/** Noon, so that a millisecond more or less is the same day. */
const NOON = Math.floor(Date.now() / DAY) * DAY - 20.5 * DAY;
const TABLES = [
  "voltage_measurements",
  "instant_profile",
  "block_load_profile",
  "energy_measurements",
  "push_history",
];
let test: TestDatabase;
let meter: string;

beforeAll(async () => {
  test = await createTestDatabase();
  const partitions = await openPartitions(test.database);
  for (let day = -5; day <= 5; day += 1) {
    await partitions.ensure(TABLES.map((table) => ({ table, time: NOON + day * DAY })));
  }
  const [found] = await test.database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'D1') RETURNING id",
  );
  meter = found!["id"];
  await openPushStore(test.database, partitions).commit([
    push({
      meterId: meter,
      time: NOON,
      rows: [voltages(meter, NOON, { voltage_l1_v: 230 }), instant(meter, NOON, { voltage_l1_v: 230 })],
    }),
  ]);
  await test.database.query(
    "INSERT INTO block_load_profile (time, meter_id, origin, received_at) SELECT now(), id, 'push', now() FROM public.meters",
  );
});
afterAll(() => test.drop());

/** Partitions that a transaction which does `work` has locked. */
async function lookedInto(work: (client: Client) => Promise<unknown>): Promise<number> {
  return test.database.transaction(async (client) => {
    await work(client);
    const { rows } = await client.query(
      `SELECT count(DISTINCT c.oid)::int AS n FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE l.pid = pg_backend_pid() AND c.relispartition AND c.relkind = 'r'`,
    );
    return rows[0]!.n as number;
  });
}

/** Does `work` while somebody has locked all partitions but those of two days before and behind NOON: it fails where it looks into one of them. */
const besideLocked = <R>(work: (database: Database) => Promise<R>) =>
  besideLockedOf(TABLES, (day) => Math.abs(day - NOON) > 2.5 * DAY, work);

async function besideLockedOf<R>(
  tables: readonly string[],
  isLocked: (day: number) => boolean,
  work: (database: Database) => Promise<R>,
): Promise<R> {
  const database = openDatabase({ url: test.url, schema: "hes", poolMax: 2, lockTimeoutMs: LOCK_TIMEOUT_MS });
  try {
    return await test.database.transaction(async (client) => {
      const { rows } = await client.query(
        `SELECT c.oid::regclass::text AS name, to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS day
           FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = ANY($1::regclass[])`,
        [tables],
      );
      const names = rows.filter(({ day }) => isLocked(day)).map(({ name }) => name);
      await client.query(`LOCK TABLE ${names.join(", ")} IN ACCESS EXCLUSIVE MODE`);
      return await work(database);
    });
  } finally {
    await database.close();
  }
}

const LOCK_TIMEOUT_MS = 1_000;

describe.skipIf(skipped)("only the days that are asked for are looked into", () => {
  it("by a correction", async () => {
    const rows = [voltages(meter, NOON, { voltage_l1_v: 231 })];
    expect(await lookedInto((client) => correctRows(client, rows))).toBe(1);
  });

  it("by the merge of rows that are there already, one of which fills a column", async () => {
    const rows = [instant(meter, NOON, { voltage_l1_v: 230, frequency_hz: 50 })];
    const item = identify(push({ meterId: meter, time: NOON, rows }), 1);
    expect(await lookedInto((client) => mergeRows(client, [item]))).toBe(1);
    expect(item.merged).toMatchObject({ stored: 1 });
  });

  it("by what finds pushes that are stored already", async () => {
    const item = identify(push({ meterId: meter, time: NOON }), 1);
    let found: ReadonlySet<unknown> = new Set();
    const looked = await lookedInto(async (client) => {
      found = await storedAlready(client, [item]);
    });
    expect([looked, found.size]).toEqual([1, 1]);
  });

  it("by a batch that holds rows which are there already", async () => {
    const partitions = await openPartitions(test.database);
    const batch = [0, 1].map((step) => {
      const time = NOON + step * 1_000;
      return push({ meterId: meter, time, rows: [voltages(meter, time, { voltage_l1_v: 231 })] });
    });
    const outcomes = await besideLocked((database) => openPushStore(database, partitions).commit(batch));
    expect(outcomes.map(({ verdict }) => verdict)).toEqual(["duplicate", "applied"]);
  });

  it("by what makes days", async () => {
    await test.database.query("DELETE FROM daily_load_changes");
    const day = new Date(NOON).toISOString().slice(0, 10);
    await test.database.query("INSERT INTO daily_load_changes VALUES ($1, $2)", [meter, day]);
    const written = await besideLocked((database) => refreshDailyLoadProfile(database, { timeZone: "UTC" }));
    expect(written).toBe(1);
    const [made] = await test.database.query("SELECT max_voltage_v FROM daily_load_profile");
    expect(made).toMatchObject({ max_voltage_v: 231 });
  });

  it("by what makes days that lie far apart, which are made one after the other", async () => {
    const days = [-400, -40, 0].map((back) => new Date(NOON + back * DAY).toISOString().slice(0, 10));
    await test.database.query("INSERT INTO daily_load_changes SELECT $1, unnest($2::date[])", [meter, days]);
    const written = await besideLocked((database) => refreshDailyLoadProfile(database, { timeZone: "UTC" }));
    expect(written).toBe(3);
  });

  it("by what learns which days there are", async () => {
    const partitions = await openPartitions(test.database);
    await besideLocked(async (database) => {
      const learning = await openPartitions(database);
      // Which tells of a database that doesn't answer; opening goes on without one.
      await learning.refresh();
      for (let day = -9; day <= 9; day += 1) {
        const asked = ["voltage_measurements", NOON + day * DAY] as const;
        expect(learning.covers(...asked)).toBe(partitions.covers(...asked));
      }
    });
  });

  it("by what finds counters and status words of meters that aren't silent", async () => {
    const partitions = await openPartitions(test.database);
    const long = Date.now() - 100 * DAY;
    const tables = ["push_history", "meter_readings"];
    await partitions.ensure(tables.map((table) => ({ table, time: long })));
    await test.database.query("INSERT INTO public.meters (meter_number, meter_type) VALUES ('2', 'D1')");
    const keys = await test.database.query(
      `INSERT INTO meter_keys (meter_id, kind, envelope) SELECT id, 'guek', '\\x00' FROM public.meters ORDER BY meter_number
       RETURNING id, meter_id`,
    );
    const [pushing, silent] = keys.map(({ id }) => id as number) as [number, number];
    await openPushStore(test.database, partitions).commit(
      keys.map(({ id, meter_id: meterId }) =>
        push({ meterId, time: id === silent ? long : NOON, counter: { keyId: id, counter: 7 } }),
      ),
    );
    const found = (keyId: number, database = test.database) =>
      openCounterStore(database).loadCounter(keyId, "4142430000000001", 48);
    await besideLockedOf(
      tables,
      (day) => day < Date.now() - 70 * DAY,
      async (database) => {
        expect((await found(pushing, database)).digests).toHaveLength(1);
        expect(await openStatusWordStore(database).lastStatusWord(meter, 1)).toBeNull();
        await expect(found(silent, database)).rejects.toThrow("lock timeout");
      },
    );
    expect((await found(silent)).digests).toHaveLength(1);
  });

  it("by a replay", async () => {
    const partitions = await openPartitions(test.database);
    await partitions.ensure([{ table: "push_history", time: Date.now() - 100 * DAY }]);
    const rows = [voltages(meter, NOON, { voltage_l1_v: 231 })];
    const [history] = await test.database.query(
      "UPDATE push_history SET verdict = 'quarantined' WHERE id = (SELECT max(id) FROM push_history) RETURNING id, started_at",
    );
    const { id, started_at: receivedAtMs } = history!;
    const outcome = await besideLockedOf(
      TABLES,
      (day) => Math.min(Math.abs(day - NOON), Math.abs(day - receivedAtMs)) > 2.5 * DAY,
      (database) =>
        new ReplayStore(database, partitions, {}, { timeZone: "UTC" }).correct([
          { frame: { id, receivedAtMs } as StoredFrame, rows, valueCount: 1 },
        ]),
    );
    expect(outcome).toEqual({ rowsAdded: 0, rowsCorrected: 0 });
    const [after] = await test.database.query("SELECT verdict FROM push_history WHERE id = $1", [id]);
    expect(after).toEqual({ verdict: "applied" });
  });

  it.each(["capture_completeness", "fleet_completeness"])("by %s", async (name) => {
    const day = new Date(NOON).toISOString().slice(0, 10);
    await besideLocked((database) => database.query(`SELECT * FROM ${name}($1::date, $1::date)`, [day]));
  });

  it("by what finds gaps", async () => {
    expect(
      await lookedInto((client) =>
        client.query(
          "SELECT count(*) FROM stored_captures($1, 'block', to_timestamp($2::float8 / 1000), to_timestamp($2::float8 / 1000) + interval '1 day')",
          [meter, NOON],
        ),
      ),
    ).toBe(2);
  });

  it("by what finds the newest capture, which is one of the last days", async () => {
    const ask = (client: Client) => client.query("SELECT newest_capture($1, 'block') AS at", [meter]);
    expect(await lookedInto(ask)).toBeLessThan(5);
    const { rows } = await test.database.withClient(ask);
    expect(rows[0]!.at).toBeGreaterThan(Date.now() - DAY);
  });

  it("and all days, where a meter has none in the last ones", async () => {
    const ask = (client: Client) => client.query("SELECT newest_capture($1, 'daily') AS at", [meter]);
    expect(await lookedInto(ask)).toBeGreaterThan(11);
    await test.database.query(
      `INSERT INTO energy_measurements (time, meter_id, source, origin, received_at)
       SELECT to_timestamp($1::float8 / 1000), id, 'daily', 'push', now() FROM public.meters`,
      [NOON],
    );
    expect((await test.database.withClient(ask)).rows[0]!.at).toBe(NOON);
  });
});
