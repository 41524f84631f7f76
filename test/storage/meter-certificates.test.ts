import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { kekProvider, keyEncryptionKey } from "../../src/keys/kek-provider.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { findMeters } from "../../src/storage/meters.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

let test: TestDatabase;
let cli: CommandLine;
beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  await test.database.query(`INSERT INTO public.meters (meter_number, meter_type, system_title)
    VALUES ('GB1', 'D1', '4142430000000001'), ('GB2', 'D1', '4142430000000002')`);
});
afterAll(async () => {
  cli.remove();
  await test.drop();
});

const file = (name: string) => fileURLToPath(new URL(`../support/certificates/${name}`, import.meta.url));
const keysOf = async (meterNumber: string) => {
  const ring = new KeyRing(kekProvider(keyEncryptionKey(Buffer.alloc(32, 7))));
  const [meter] = await test.database.withClient((client) =>
    findMeters(client, ring, "identifier", [meterNumber]),
  );
  return meter!.signatureKeys;
};

it("keeps a meter's certificate once, and finds the meter with its key", async () => {
  expect(await keysOf("GB1")).toBeUndefined();
  for (const _ of [1, 2]) {
    expect((await cli.hes("certificates", "import", "GB1", file("meter.pem"))).stdout).toContain(
      "is valid until",
    );
  }
  expect(await cli.json("certificates", "list")).toMatchObject([
    { meterNumber: "GB1", subject: "CN=4142430000000001" },
  ]);
  const keys = await keysOf("GB1");
  expect(keys?.map((key) => key.asymmetricKeyDetails?.namedCurve)).toEqual(["prime256v1"]);
});

it.each([
  ["GB2", "meter.pem", "must be the system title of GB2 (4142430000000002), it is 4142430000000001"],
  ["GB3", "meter.pem", "there is no meter GB3"],
  ["GB1", "other-curve.pem", "not of P-256 (suite 1) or P-384 (suite 2)"],
  ["GB1", "meter-key.pem", "no X.509 certificate"],
])("says what is wrong with %s and %s", async (meter, name, text) => {
  const { code, stderr } = await cli.hes("certificates", "import", meter, file(name));
  expect({ code, says: stderr.includes(text), stderr }).toMatchObject({ code: 65, says: true });
});
