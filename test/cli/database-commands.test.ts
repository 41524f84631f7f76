import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQuarantine } from "../../src/storage/quarantine.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";

const KEY = "000102030405060708090a0b0c0d0e0f";
let test: TestDatabase;
let cli: CommandLine;

beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  await test.database.query(`INSERT INTO meter_types (name, category) VALUES ('D1', 'D1'), ('D2', 'D2'), ('D3', 'D3')
    ON CONFLICT DO NOTHING`);
  await test.database.query(`INSERT INTO obis_codes (code, attribute, class_id, unit, destination_table, destination_column, standard)
    VALUES ('1.0.12.7.0.255', 2, 3, 'V', 'voltage_measurements', 'voltage_l1_v', 'IS 15959'),
           ('1.0.1.8.0.255', 2, 3, 'Wh', 'energy_measurements', 'active_import_wh', 'IS 15959') ON CONFLICT DO NOTHING`);
});
afterAll(async () => {
  cli.remove();
  await test.drop();
});

describe("hes migrate", () => {
  it("finds nothing to do where everything is there", async () => {
    expect((await cli.hes("migrate")).stdout).toMatch(
      /^The database \((?:postgresql|timescaledb)\) has \d+ migrations, 0 of them new\.$/m,
    );
  });

  it("says 69 and no stack where the database is away", async () => {
    const away = commandLine("postgres://hes:s3cret@127.0.0.1:1/hes");
    const { code, stderr } = await away.hes("migrate");
    away.remove();
    expect(code).toBe(69);
    expect(stderr).toContain("127.0.0.1:1");
    expect(stderr).not.toContain("s3cret");
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it("is done by the first command on an empty database", async () => {
    const empty = await createTestDatabase({ empty: true });
    const first = commandLine(empty.url);
    expect(await first.json("meters", "list")).toEqual([]);
    first.remove();
    await empty.drop();
  });
});

describe("hes meters", () => {
  const csv = `meter_number,meter_type,system_title,guek,gak,required_protection,group
SN001,D1,4c4e540000000001,${KEY},text:DDDDDDDDDDDDDDDD,authenticated+encrypted,bench
SN002,D3,,,,none,
`;

  it("imports nothing in a dry run, then everything, then nothing new", async () => {
    const path = cli.file("meters.csv", csv);
    expect((await cli.hes("meters", "import", path, "--dry-run")).stdout).toContain(
      "2 meters would be added",
    );
    expect(await cli.json("meters", "list")).toEqual([]);
    expect((await cli.hes("meters", "import", path)).stdout).toContain(
      "2 meters were added, 0 changed, 2 keys stored.",
    );
    expect(await cli.json("meters", "import", path)).toMatchObject({ created: 0, updated: 0, keysStored: 0 });
  });

  it("lists and shows them without their keys", async () => {
    const list = await cli.hes("meters", "list");
    expect(list.stdout).toMatch(/^METER +TYPE +MANUFACTURER/);
    expect(list.stdout).toMatch(
      /^SN001 +D1 +- +4c4e540000000001 +authenticated\+encrypted +guek gak +bench/m,
    );
    expect(
      (await cli.json("meters", "list", "--type", "D3")).map((m: { meterNumber: string }) => m.meterNumber),
    ).toEqual(["SN002"]);
    const shown = await cli.hes("meters", "show", "4c4e540000000001");
    expect(shown.stdout).toMatch(/^meter number +SN001$/m);
    expect(shown.stdout).toMatch(/guek +all +ACTIVE/);
    expect(list.stdout + shown.stdout).not.toContain(KEY.slice(0, 12));
  });

  it("adds one meter with its key from a file", async () => {
    const key = cli.file("key.txt", `${KEY}\n`);
    const added = await cli.hes(
      ...["meters", "add", "SN003", "--meter-type", "D2", "--system-title", "4C4E540000000003"],
      ...[
        "--guek",
        `@${key}`,
        "--required-protection",
        "encrypted",
        "--manufacturer",
        'Genus "Power", Jaipur',
      ],
    );
    expect(added).toMatchObject({ code: 0, stdout: "1 meter was added, 0 changed, 1 key stored.\n" });
    expect(await cli.json("meters", "show", "SN003")).toMatchObject({
      manufacturer: 'Genus "Power", Jaipur',
      systemTitle: "4c4e540000000003",
      requiredProtection: 32,
    });
    // The key-encryption key was made with the first import, for its owner alone.
    expect(statSync(join(cli.folder, "data/kek")).mode & 0o777).toBe(0o400);
  });

  it("names the bad lines of a file and imports none of it", async () => {
    const path = cli.file("bad.csv", "meter_number,meter_type,guek\nSN010,D1,\nSN011,D1,00\n");
    const { code, stderr } = await cli.hes("meters", "import", path);
    expect(code).toBe(65);
    expect(stderr).toContain("line 3: guek");
    expect((await cli.hes("meters", "show", "SN010")).code).toBe(65);
    expect((await cli.hes("meters", "import", "/nonexistent.csv")).code).toBe(65);
    expect((await cli.hes("meters", "add", "SN012")).code).toBe(64);
  });
});

describe("hes keys", () => {
  it("imports associations and lists keys without themselves", async () => {
    const path = cli.file(
      "keys.csv",
      `meter_number,client_sap,mechanism,secret,guek\nSN001,48,lls,text:1234,${KEY}\n`,
    );
    expect((await cli.hes("keys", "import", path)).stdout).toBe(
      "1 association was imported, 1 key of them new.\n",
    );
    const listed = await cli.hes("keys", "list", "SN001");
    expect(listed.stdout).toMatch(/^SN001 +guek +48 +ACTIVE/m);
    expect(listed.stdout).not.toContain(KEY.slice(0, 12));
    const bad = await cli.hes("keys", "import", cli.file("k.csv", "meter_number,client_sap\nSN999,48\n"));
    expect(bad.code).toBe(65);
    expect(bad.stderr).toContain("line 2: no meter has the number SN999");
  });
});

describe("hes meter-types", () => {
  it("imports scalers by either name of the column, and lists them", async () => {
    const path = cli.file(
      "scalers.csv",
      "meter_type,obis,attribute,scaler,unit\nD1,1.0.12.7.0.255,2,-2,V\nD1,1-0:1.8.0*255,,0,Wh\n",
    );
    expect((await cli.hes("meter-types", "import", path)).stdout).toBe("2 scalers were added, 0 changed.\n");
    const again = cli.file("again.csv", "meter_type,code,attribute,scaler,unit\nD1,1.0.12.7.0.255,2,-1,V\n");
    expect(await cli.json("meter-types", "import", again, "--dry-run")).toEqual({ created: 0, updated: 1 });
    expect(await cli.json("meter-types", "import", again)).toEqual({ created: 0, updated: 1 });
    expect((await cli.json("meter-types", "list", "D1")).map((s: { scaler: number }) => s.scaler)).toEqual([
      0, -1,
    ]);
    expect((await cli.hes("meter-types", "list")).stdout).toMatch(/^D1 +D1 .* 2$/m);
  });

  it("names what can't be meant", async () => {
    const path = cli.file(
      "bad-scalers.csv",
      "meter_type,obis,scaler,unit\nD9,1.0.12.7.0.255,-1,V\nD1,1.0.12,-1,V\nD1,1.0.12.7.0.255,x,V\nD1,1.0.12.7.0.255,-1,Volt\n",
    );
    const { code, stderr } = await cli.hes("meter-types", "import", path);
    expect(code).toBe(65);
    for (const part of [
      'line 2: there is no meter type "D9"',
      "line 3: obis",
      "line 4: scaler",
      'line 5: the unit "Volt"',
    ]) {
      expect(stderr).toContain(part);
    }
  });
});

describe("hes obis list", () => {
  it("tells where a value is stored, and which codes nobody knows", async () => {
    const { stdout } = await cli.hes("obis", "list", "--search", "1.0.12.7.0.255");
    expect(stdout).toMatch(/^1\.0\.12\.7\.0\.255 +2 +3 +V +voltage_measurements\.voltage_l1_v/m);
    expect((await cli.hes("obis", "list", "--unknown")).stdout).toBe("No meter has sent an unknown code.\n");
    await test.database.query(
      "INSERT INTO obis_codes (code, attribute, class_id) VALUES ('1.128.7.6.5.4', 2, 3)",
    );
    expect((await cli.json("obis", "list", "--unknown")).map((c: { code: string }) => c.code)).toEqual([
      "1.128.7.6.5.4",
    ]);
  });
});

describe("hes quarantine", () => {
  it("lists who waits and shows the octets", async () => {
    expect((await cli.hes("quarantine", "list")).stdout).toBe("Nothing is in quarantine.\n");
    await openQuarantine(test.database, { framesPerSourceMax: 4, framesMax: 10 }).keep([
      {
        source: "4c4e540000000009",
        systemTitle: "4c4e540000000009",
        peer: "10.0.0.9",
        framing: "wrapper",
        reason: "unknown_system_title",
        receivedAtMs: Date.UTC(2026, 10, 23, 12, 0, 0),
        clientSap: 1,
        serverSap: 1,
        apdu: Buffer.from("db084c4e540000000009", "hex"),
      },
    ]);
    const { stdout } = await cli.hes("quarantine", "list");
    expect(stdout).toMatch(/^4c4e540000000009 +no +unknown_system_title +1 +2026-11-23T12:00:00Z/m);
    expect((await cli.hes("quarantine", "show", "4c4e540000000009")).stdout).toContain(
      "db084c4e540000000009",
    );
    expect((await cli.hes("quarantine", "show", "nobody")).code).toBe(65);
  });
});

describe("secrets", () => {
  it("stand nowhere in the clear", async () => {
    const rows = await test.database.query("SELECT encode(envelope, 'hex') AS envelope FROM meter_keys");
    expect(rows.length).toBeGreaterThan(2);
    for (const row of rows) expect(row["envelope"]).not.toContain(KEY);
    expect(readFileSync(join(cli.folder, "hes.toml"), "utf8")).not.toContain(KEY);
  });
});
