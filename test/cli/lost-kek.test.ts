import { chmodSync, existsSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

const KEY = "000102030405060708090a0b0c0d0e0f";
const METERS = `meter_number,meter_type,system_title,guek,gak\nLOST1,D1,4c4e540000000001,${KEY},${KEY}\n`;
const KEYS = "meter_number,client_sap,mechanism,secret\nLOST1,32,lls,text:12345678\n";

let test: TestDatabase;
let cli: CommandLine;
let kek: string;
let meters: string;
let keys: string;

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  kek = join(cli.folder, "data/kek");
  meters = cli.file("meters.csv", METERS);
  keys = cli.file("keys.csv", KEYS);
});
afterAll(async () => {
  cli.remove();
  await test.drop();
});

const envelopes = () =>
  test.database.query(
    `SELECT encode(envelope, 'hex') AS sealed FROM meter_keys
     UNION ALL SELECT encode(secret, 'hex') FROM meter_associations ORDER BY 1`,
  );

it("is no loss where nothing was sealed yet: the first command that needs the key makes it", async () => {
  await cli.json("meter-types", "list");
  expect(existsSync(kek)).toBe(false);
  expect(await cli.json("meters", "import", meters)).toMatchObject({ created: 1, keysStored: 2 });
  expect(await cli.json("keys", "import", keys)).toMatchObject({ associations: 1 });
  expect(statSync(kek).mode & 0o777).toBe(0o400);
});

it("is refused by every command that needs it where something is sealed, and none is made", async () => {
  renameSync(kek, `${kek}.away`);
  const before = await envelopes();
  for (const argv of [
    ["meters", "import", meters],
    ["meters", "add", "LOST2", "--meter-type", "D1"],
    ["meters", "adopt", "--all"],
    ["keys", "import", keys],
    ["keys", "rekey"],
    ["keys", "rekey", "--new-key"],
    ["keys", "rotate", "LOST1"],
    ["keys", "restart-counters", "LOST1", "--reason", "test"],
    ["replay"],
    ["read", "LOST1", "1.0.1.8.0.255"],
  ]) {
    const { code, stderr } = await cli.hes(...argv);
    expect({ argv, code }).toEqual({ argv, code: 78 });
    expect(stderr).toContain(
      `${kek} isn't there (security.kek_file), and 2 keys and 1 secret are sealed with`,
    );
    expect(stderr).toContain("docs/operating/backup-and-restore.md");
    expect(stderr).not.toMatch(/\n\s+at /);
  }
  expect(existsSync(kek)).toBe(false);
  expect(await envelopes()).toEqual(before);
  // What needs no key works.
  expect(await cli.json("keys", "list")).toHaveLength(2);
  expect((await cli.hes("doctor")).stdout).toMatch(
    /^WRONG keys +2 keys and 1 secret are sealed with .*kek isn't there$/m,
  );
});

it("goes on as before with its copy", async () => {
  renameSync(`${kek}.away`, kek);
  expect(await cli.json("meters", "import", meters)).toMatchObject({ created: 0, keysStored: 0 });
});

it("can be given up: another one is made, nothing stored is touched, and an import makes meters usable again", async () => {
  const there = await cli.hes("keys", "rekey", "--lost");
  expect(there).toMatchObject({ code: 64, stderr: expect.stringContaining(`${kek} is there`) });
  expect((await cli.hes("keys", "rekey", "--lost", "--new-key")).code).toBe(64);

  const former = readFileSync(kek, "utf8");
  await test.database.query("INSERT INTO sent_counters SELECT id, 5 FROM meter_keys WHERE kind = 'guek'");
  rmSync(kek);
  const before = await envelopes();
  const { kekId, lost } = await cli.json("keys", "rekey", "--lost");
  expect(lost).toEqual([{ kekId: before[0]!["sealed"].slice(2, 18), keys: 2, secrets: 1 }]);
  expect(kekId).not.toBe(lost[0].kekId);
  expect(statSync(kek).mode & 0o777).toBe(0o400);
  expect(await envelopes()).toEqual(before);
  expect((await cli.hes("doctor")).stdout).toMatch(/^WRONG keys +2 keys of 1 meter can't be opened /m);
  const events = await test.database.query(
    "SELECT data FROM event_logs WHERE message LIKE '%in place of a lost one'",
  );
  expect(events).toMatchObject([{ data: { kekId, lost } }]);

  expect(await cli.json("meters", "import", meters)).toMatchObject({ created: 0, keysStored: 2 });
  expect(await cli.json("keys", "import", keys)).toMatchObject({ associations: 1 });
  // It is the same key, which nobody can tell: what we send goes on above what was sent under it.
  expect(
    await test.database.query(
      "SELECT reserved > 5 AS above, state FROM sent_counters JOIN meter_keys ON id = key_id ORDER BY id",
    ),
  ).toEqual([
    { above: false, state: "EXPIRED" },
    { above: true, state: "ACTIVE" },
  ]);
  expect((await cli.hes("doctor")).stdout).toMatch(
    new RegExp(`^ok +keys +those of 1 meter were opened with the key-encryption key ${kekId}$`, "m"),
  );

  // What the lost one seals is in nobody's way.
  const rotated = await cli.hes("keys", "rekey", "--new-key");
  expect(rotated.stdout).toContain(`  ${lost[0].kekId}: 2 keys, 0 secrets`);
  expect(readFileSync(kek, "utf8").trim().split("\n")).toHaveLength(2);

  // And where it turns up again it goes behind the others.
  chmodSync(kek, 0o600);
  cli.file("data/kek", readFileSync(kek, "utf8") + former);
  expect(await cli.json("keys", "rekey")).toMatchObject({ resealed: 2, unopened: [], sealedWithFormer: [] });
});
