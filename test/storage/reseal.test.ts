import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KeyEncryptionKey, kekProvider, keyEncryptionKey } from "../../src/keys/kek-provider.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import type { Database } from "../../src/storage/database.ts";
import { importKeys } from "../../src/storage/key-import.ts";
import { importMeters } from "../../src/storage/meter-import.ts";
import { loadKeys } from "../../src/storage/meter-keys.ts";
import { resealKeys, sealedWith } from "../../src/storage/reseal.ts";
import { findSharedKeys } from "../../src/storage/shared-keys.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const kek = (octet: number) => keyEncryptionKey(Buffer.alloc(32, octet));
const former = kek(1);
const next = kek(2);
const ringOf = (current: KeyEncryptionKey, ...others: KeyEncryptionKey[]) =>
  new KeyRing(kekProvider(current, others));
const METERS = 1_200;
const SHARED = "000102030405060708090a0b0c0d0e0f";
const own = (index: number) => index.toString(16).padStart(32, "0");

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
  const lines = Array.from(
    { length: METERS },
    (_, index) => `M${index},D1,${own(2 * index + 1)},${own(2 * index + 2)}`,
  );
  const header = "meter_number,meter_type,guek,gak";
  const report = await importMeters(test.database, ringOf(former), [header, ...lines].join("\n"));
  expect(report.sharedKeys).toEqual([]);
  await importKeys(
    test.database,
    ringOf(former),
    "meter_number,client_sap,mechanism,secret,guek\nM1,48,hls2,text:verysecret,\nM2,32,lls,text:12345678,",
  );
});
afterAll(() => test.drop());

/** A database whose transactions fail after the first `count`, as those of a killed process do. */
function cutAfter(database: Database, count: number): Database {
  let left = count;
  return {
    ...database,
    transaction: (work) =>
      database.transaction(async (client) => {
        const result = await work(client);
        if (left-- === 0) throw new Error("killed");
        return result;
      }),
  };
}

const usable = async (ring: KeyRing) => {
  const problems: Error[] = [];
  const ids = (await test.database.query("SELECT id FROM public.meters")).map((row) => row["id"] as string);
  const keys = await test.database.withClient((client) =>
    loadKeys(client, ring, ids, (error) => problems.push(error)),
  );
  return { keys: [...keys.values()].flat(), problems };
};

describe("a rotation of the key-encryption key", () => {
  it("is interrupted, and goes on where it was", async () => {
    const ring = ringOf(next, former);
    await expect(resealKeys(cutAfter(test.database, 2), ring)).rejects.toThrow("killed");
    expect(await sealedWith(test.database)).toEqual(
      [
        { kekId: former.id, keys: 2 * METERS - 1_000, secrets: 2 },
        { kekId: next.id, keys: 1_000, secrets: 0 },
      ].sort((a, b) => (a.kekId < b.kekId ? -1 : 1)),
    );
    // A daemon that knows both keys never misses one.
    expect(await usable(ring)).toMatchObject({ problems: [], keys: { length: 2 * METERS } });
    const { resealed, unopened } = await resealKeys(test.database, ring);
    expect({ resealed, unopened }).toEqual({ resealed: 2 * METERS - 1_000 + 2, unopened: [] });
    expect(await sealedWith(test.database)).toEqual([{ kekId: next.id, keys: 2 * METERS, secrets: 2 }]);
    expect((await resealKeys(test.database, ring)).resealed).toBe(0);
  });

  it("leaves every key as it was, under the new key-encryption key alone", async () => {
    const { keys, problems } = await usable(ringOf(next));
    expect(problems).toEqual([]);
    expect(keys.map(({ key }) => key.export().toString("hex")).sort()).toEqual(
      Array.from({ length: 2 * METERS }, (_, index) => own(index + 1)).sort(),
    );
    const [secret] = await test.database.query(
      "SELECT id, meter_id, secret FROM meter_associations WHERE client_sap = 48",
    );
    const binding = { meterId: secret!["meter_id"], kind: "secret", keyId: secret!["id"], systemTitle: null };
    expect(ringOf(next).open(secret!["secret"], binding).export().toString()).toBe("verysecret");
    expect((await usable(ringOf(former))).problems).toHaveLength(2 * METERS);
  });

  it("names what it can't open, and goes on with the rest", async () => {
    const third = ringOf(kek(3), next);
    const [key] = await test.database.query(
      "UPDATE meter_keys SET envelope = set_byte(envelope, 30, get_byte(envelope, 30) # 1) WHERE id = (SELECT min(id) FROM meter_keys) RETURNING meter_id",
    );
    const { resealed, unopened } = await resealKeys(test.database, third);
    expect(resealed).toBe(2 * METERS + 2 - 1);
    expect(unopened).toEqual([expect.stringContaining(`guek of meter ${key!["meter_id"]}`)]);
    await test.database.query("DELETE FROM public.meters");
  });
});

describe("a key that several meters have", () => {
  const ring = ringOf(kek(3), next);
  const importText = (lines: string[]) =>
    importMeters(test.database, ring, ["meter_number,meter_type,guek,gak", ...lines].join("\n"));

  it("is reported when it is imported, and when it was stored before there were MACs", async () => {
    expect((await importText([`A,D1,${SHARED},${own(1)}`])).sharedKeys).toEqual([]);
    const second = await importText([`B,D1,${own(2)},${SHARED}`, `C,D1,${own(3)},${own(4)}`]);
    expect(second.sharedKeys).toEqual([{ kinds: "gak guek", meterCount: 2, meters: ["A", "B"] }]);
    await test.database.query("UPDATE meter_keys SET mac = NULL");
    const shared = () => test.database.withClient((client) => findSharedKeys(client));
    expect(await shared()).toEqual([]);
    expect((await resealKeys(test.database, ring)).resealed).toBe(6);
    expect(await shared()).toEqual([{ kinds: "gak guek", meterCount: 2, meters: ["A", "B"] }]);
  });

  it("is no longer reported once it has been replaced", async () => {
    expect((await importText([`B,D1,,${own(5)}`])).sharedKeys).toEqual([]);
  });
});
