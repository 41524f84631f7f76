import { afterAll, beforeAll, expect, it } from "vitest";
import { kekProvider, keyEncryptionKey } from "../../src/keys/kek-provider.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { openMeterDirectory } from "../../src/storage/meter-directory.ts";
import { openMeterRegistrar } from "../../src/storage/meter-registrar.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

it("makes a meter of a stranger, once, and asks for protection where it has a system title", async () => {
  const ring = new KeyRing(kekProvider(keyEncryptionKey(Buffer.alloc(32, 7))));
  const directory = await openMeterDirectory(test.database, ring);
  const registrar = openMeterRegistrar(test.database, directory);
  expect(await directory.byIdentifier("GP1")).toBeNull();

  const plain = await registrar.register({ meterNumber: "GP1", systemTitle: null });
  expect(plain).toMatchObject({ meterNumber: "GP1", category: "unknown", requiredProtection: 0 });
  expect((await registrar.register({ meterNumber: "GP1", systemTitle: null }))?.id).toBe(plain!.id);
  expect((await directory.byIdentifier("GP1"))?.id).toBe(plain!.id);

  const titled = await registrar.register({
    meterNumber: "4750000000000001",
    systemTitle: "4750000000000001",
  });
  expect(titled).toMatchObject({ systemTitle: "4750000000000001", requiredProtection: 0x30, keys: [] });
  await directory.close();
});
