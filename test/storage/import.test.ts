import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../src/exit.ts";
import { kekProvider, keyEncryptionKey } from "../../src/keys/kek-provider.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { listAssociations } from "../../src/storage/associations.ts";
import { importKeys } from "../../src/storage/key-import.ts";
import { openMeterDirectory } from "../../src/storage/meter-directory.ts";
import { guessCategory, importMeters } from "../../src/storage/meter-import.ts";
import { listMeters, recordSeen, showMeter } from "../../src/storage/meters.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let test: TestDatabase;
const ring = new KeyRing(kekProvider(keyEncryptionKey(Buffer.alloc(32, 1))));
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());
beforeEach(() => test.database.query("TRUNCATE public.meters CASCADE"));

const HEADER =
  "meter_number,meter_type,logical_device_name,system_title,required_protection,security_suite,guek,gak,host,group";
const GUEK = "000102030405060708090A0B0C0D0E0F";
const importText = (lines: string[], dryRun = false) =>
  importMeters(test.database, ring, [HEADER, ...lines].join("\n"), { dryRun });

describe("importing meters", () => {
  it("adds them with their keys, and changes what a second file says and nothing else", async () => {
    const report = await importText([
      `M1,D1-X,ABCM1,4142430000000001,encrypted,0,${GUEK},text:abcdefghijklmnop,10.0.0.1,north`,
      "M2,D2-Y,,,none,,,,,",
    ]);
    expect(report).toMatchObject({ created: 2, updated: 0, keysStored: 2 });
    expect(report.typesCreated).toEqual([
      { name: "D1-X", category: "D1" },
      { name: "D2-Y", category: "D2" },
    ]);
    const again = await importText(["M1,D1-X,,,,,,,10.0.0.2,", "M2,D2-Y,,,,,,,,"]);
    expect(again).toMatchObject({ created: 0, updated: 1, keysStored: 0 });
    expect(await showMeter(test.database, "M1")).toMatchObject({
      host: "10.0.0.2",
      group: "north",
      requiredProtection: 0x20,
      systemTitle: "4142430000000001",
      keys: [
        { kind: "guek", clientSap: null, state: "ACTIVE" },
        { kind: "gak", clientSap: null, state: "ACTIVE" },
      ],
    });
  });

  it("names every bad line and imports nothing", async () => {
    const bad = importText([
      "M1,D1,,,,,,,,",
      "M2,D1,,41424300000001,,,,,,",
      `M3,D1,,,perhaps,3,${GUEK}00,xyz,,`,
      "M1,,,,,,,,,",
    ]);
    await expect(bad).rejects.toThrow(UserError);
    const text = await bad.catch((error: Error) => error.message);
    expect(text).toMatch(/line 3: system_title has 7 octets/);
    expect(text).toMatch(/line 4: required_protection is "perhaps"/);
    expect(text).toMatch(/line 4: security_suite is "3"/);
    expect(text).toMatch(/line 4: guek has 17 octets; security suite 0 takes 16/);
    expect(text).toMatch(/line 4: gak: write pairs of hex/);
    expect(text).toMatch(/line 5: meter_type is empty/);
    expect(text).toMatch(/line 5: meter_number M1 stands in line 2 already/);
    expect(text).not.toContain(GUEK);
    expect(await listMeters(test.database)).toEqual([]);
  });

  it.each([
    ["[2001:db8::1]", "2001:db8::1"],
    ["::1", "::1"],
    ["meter.example", "meter.example"],
    ["/dev/serial/by-path/pci-0000:00:14.0", "/dev/serial/by-path/pci-0000:00:14.0"],
  ])("takes the host %s as %s", async (host, taken) => {
    await importText([`M1,D1,,,,,,,${host},`]);
    expect((await showMeter(test.database, "M1"))?.host).toBe(taken);
  });

  it("refuses a host with its port behind it", async () => {
    await expect(importText(["M1,D1,,,,,,,192.0.2.1:4059,"])).rejects.toThrow(
      'line 2: host is "192.0.2.1:4059"; it must be an address or a name, with the port in its own column',
    );
  });

  it("refuses a title that another meter of the database has, and a column that nobody knows", async () => {
    await importText(["M1,D1,,4142430000000001,,,,,,"]);
    await expect(importText(["M2,D1,,4142430000000001,,,,,,"])).rejects.toThrow(
      /line 2: .* is that of meter M1/,
    );
    await expect(importMeters(test.database, ring, "meter_number,meter_typ\nM1,D1\n")).rejects.toThrow(
      /line 1: no column is called "meter_typ"/,
    );
  });

  it("changes nothing in a dry run, and finds the same faults", async () => {
    expect(await importText(["M1,D9-new,,,,,,,,"], true)).toMatchObject({ created: 1 });
    expect(await listMeters(test.database)).toEqual([]);
    expect(await test.database.query("SELECT 1 FROM meter_types WHERE name = 'D9-new'")).toEqual([]);
    await expect(importText(["M1,,,,,,,,,"], true)).rejects.toThrow(/line 2/);
  });

  it.each([
    ["D1", "D1"],
    ["GENUS D3 LTCT", "D3"],
    ["d2-secure", "D2"],
    ["IDIS-P2", "IDIS"],
    ["ESMR5", "unknown"],
    ["HPL-C", "C"],
    ["BRAND", "unknown"],
  ])("guesses the category of type %s: %s", (type, category) => expect(guessCategory(type)).toBe(category));
});

describe("importing keys", () => {
  const head = "meter_number,client_sap,mechanism,secret,guek,gak,dedicated";
  const keys = (...lines: string[]) => importKeys(test.database, ring, [head, ...lines].join("\n"));

  it("stores associations, and the keys that only one of them uses; a changed key replaces the former", async () => {
    await importText([`M1,D1,,,,,${GUEK},,,`]);
    expect(await keys(`M1,48,hls5,,${GUEK},${GUEK},`, "M1,32,lls,text:12345678,,,")).toEqual({
      associations: 2,
      keysStored: 2,
      sharedKeys: [],
    });
    expect(await keys("M1,48,hls5,,FF0102030405060708090A0B0C0D0E0F,,")).toMatchObject({ keysStored: 1 });
    const meter = await showMeter(test.database, "M1");
    expect(meter?.keys.map(({ kind, clientSap, state }) => `${kind} ${clientSap} ${state}`)).toEqual([
      "guek null ACTIVE",
      "guek 48 EXPIRED",
      "gak 48 ACTIVE",
      "guek 48 ACTIVE",
    ]);
    const [row] = await test.database.query("SELECT secret FROM meter_associations WHERE client_sap = 32");
    expect((row!["secret"] as Buffer).includes("12345678")).toBe(false);
  });

  it("stores what is known of an association that stands beforehand, and forgets it where it is negotiated again", async () => {
    await importText([`M1,D1,,,,,${GUEK},,,`]);
    const more = `${head},pre_established,conformance,max_receive_pdu_size`;
    const stored = async (...lines: string[]) => {
      await importKeys(test.database, ring, [more, ...lines].join("\n"));
      const [row] = await test.database.query("SELECT id FROM public.meters WHERE meter_number = 'M1'");
      const [one] = await listAssociations(test.database, row!["id"]);
      return [one!.preEstablished, one!.conformance, one!.maxReceivePduSize];
    };
    expect(await stored("M1,102,none,,,,,yes,00101d,0")).toEqual([true, "00101D", 0]);
    expect(await stored("M1,102,none,,,,,no,,")).toEqual([false, null, null]);
  });

  it.each([
    ["M1,102,hls5,,,,,yes,00101D,512", "nobody is authenticated by hls5"],
    [`M1,102,none,,,,${GUEK},yes,00101D,512`, "there is no dedicated key"],
    ["M1,102,none,,,,,yes,,", "conformance and max_receive_pdu_size are needed"],
    ["M1,102,none,,,,,yes,101D,512", 'conformance is "101D"; it must be 24 bits as 6 hex digits'],
    ["M1,102,none,,,,,,00101D,512", "are negotiated"],
  ])("refuses an association that can't stand beforehand: %s", async (line, why) => {
    await importText(["M1,D1,,,,,,,,"]);
    const more = `${head},pre_established,conformance,max_receive_pdu_size`;
    await expect(importKeys(test.database, ring, `${more}\n${line}`)).rejects.toThrow(why);
  });

  it("names the line of a meter that isn't there, of a wrong length, and of an association that comes twice", async () => {
    await importText(["M1,D1,,,,,,,,"]);
    const bad = keys("M9,48,none,,,,", "M1,48,none,,0011,,");
    await expect(bad).rejects.toThrow(/line 2: no meter has the number M9[\s\S]*line 3: guek has 2 octets/);
    await expect(keys("M1,48,none,,,,", "M1,48,none,,,,")).rejects.toThrow(/line 3: .* line 2/);
  });
});

describe("the directory", () => {
  it("finds meters by title, number, name and address, with usable keys, and sees changes", async () => {
    await importText([
      `M1,D1,ABCM1,4142430000000001,,,${GUEK},,10.0.0.1,`,
      "M2,D1,TWINS,,,,,,10.0.0.9,",
      "M3,D1,TWINS,,,,,,10.0.0.9,",
    ]);
    const directory = await openMeterDirectory(test.database, ring, { unknownMs: 1 });
    expect(directory.peekBySystemTitle("4142430000000001")).toBeUndefined();
    const [meter, same, byName, byHost, twins, nat] = await Promise.all([
      directory.bySystemTitle("4142430000000001"),
      directory.bySystemTitle("4142430000000001"),
      directory.byIdentifier("ABCM1"),
      directory.byHost("10.0.0.1"),
      directory.byIdentifier("TWINS"),
      directory.byHost("10.0.0.9"),
    ]);
    expect(meter?.meterNumber).toBe("M1");
    expect([same, byName, byHost].map((found) => found?.id)).toEqual(Array(3).fill(meter?.id));
    expect([twins, nat]).toEqual([null, null]);
    expect(meter?.keys[0]?.key.export().toString("hex")).toBe(GUEK.toLowerCase());
    expect(directory.peekBySystemTitle("4142430000000001")).toBe(meter);
    // Not asked for by its id, and known by it: so the log is drained without another look-up.
    expect(directory.peekById(meter!.id)).toBeDefined();

    await importText(["M1,D1,,,encrypted,,,,,"]);
    const changed = await untilNot(meter, () => directory.bySystemTitle("4142430000000001"));
    expect(changed?.requiredProtection).toBe(0x20);

    expect(await directory.byIdentifier("M4")).toBeNull();
    await importText(["M4,D1,,,,,,,,"]);
    expect((await untilNot(null, () => directory.byIdentifier("M4")))?.meterNumber).toBe("M4");
    await directory.close();
  });

  it("isn't disturbed by the time at which a meter was last heard of", async () => {
    await importText(["M1,D1,,4142430000000001,,,,,,"]);
    const directory = await openMeterDirectory(test.database, ring);
    const meter = await directory.bySystemTitle("4142430000000001");
    await recordSeen(test.database, new Map([[meter!.id, Date.UTC(2026, 0, 1)]]));
    await importText(["M2,D1,,,,,,,,"]);
    await untilNot(null, () => directory.byIdentifier("M2"));
    expect(directory.peekBySystemTitle("4142430000000001")).toBe(meter);
    expect((await showMeter(test.database, "M1"))?.lastSeenAt).toBe(Date.UTC(2026, 0, 1));
    await directory.close();
  });

  it("lets what has a title wait for a database that is away, where the snapshot doesn't know the meter", async () => {
    const away = {
      ...test.database,
      withClient: () => Promise.reject(new StorageError("unavailable", "it is away")),
    };
    const directory = await openMeterDirectory(away, ring, { meanwhile: async () => [] });
    await expect(directory.bySystemTitle("4142430000000009")).rejects.toThrow("it is away");
    // A body may name its meter several times, and not every name is known.
    expect(await directory.byIdentifier("M9")).toBeNull();
    await directory.close();
  });
});

async function untilNot<T>(old: T, look: () => Promise<T>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== old) return found;
    await new Promise(setImmediate);
  }
}
