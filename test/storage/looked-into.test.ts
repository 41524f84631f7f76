import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { correctRows } from "../../src/storage/correct.ts";
import type { Client } from "../../src/storage/database.ts";
import { mergeRows } from "../../src/storage/merge.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { identify } from "../../src/storage/push-batch.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
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
