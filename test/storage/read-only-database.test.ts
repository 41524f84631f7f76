import { afterAll, beforeAll, expect, it } from "vitest";
import { openDatabase } from "../../src/storage/database.ts";
import { openPartitions } from "../../src/storage/partitions.ts";
import { openPushStore } from "../../src/storage/push-store.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { push } from "../support/pushes.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

it("is one that is away: a push is stored over a new connection when the address leads to one that can be written", async () => {
  const { database, name, url } = test;
  await database.query("INSERT INTO meter_types (name, category) VALUES ('T1', 'D1')");
  const [meter] = await database.query(
    "INSERT INTO public.meters (meter_number, meter_type) VALUES ('1', 'T1') RETURNING id",
  );
  // New sessions only, as after a failover: the address leads to a standby, or to a primary that was put down to one.
  await database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  const standby = openDatabase({ url, schema: "hes", poolMax: 1 });
  try {
    const store = openPushStore(standby, await openPartitions(database));
    const pushes = [push({ meterId: meter!["id"], time: Date.UTC(2026, 10, 23, 12) })];
    await expect(store.commit(pushes)).rejects.toMatchObject({ code: "unavailable", sqlState: "25006" });
    await database.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    expect(await store.commit(pushes)).toMatchObject([{ verdict: "applied" }]);
  } finally {
    await standby.close();
  }
});
