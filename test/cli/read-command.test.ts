import { createSecretKey } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReceivedCounter } from "../../src/dlms/association/protection.ts";
import type { AssociationPolicy } from "../../src/dlms/association/server-options.ts";
import { readSelection } from "../../src/dlms/cosem/selective-access.ts";
import { counting, hex, secret } from "../support/associations.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { dataOf } from "../support/fake-association.ts";
import { type CommandLine, commandLine } from "../support/hes.ts";
import { type MeterServer, meterServer } from "../support/meter-server.ts";
import { PaperMeter } from "../support/paper-meter.ts";

/*
 * A D1 meter on loopback as IS 15959 has them: the meter reader (32) comes by password and with keys of its own. Its objects are octets by
 * hand after DLMS-FACTS 13 and 19.3; its rows those of the block load push in 19.5.
 */
const TITLE = "47494e00000003e9";
const GUEK = "32".repeat(16);
const GAK = "d0".repeat(16);

const ROWS = [
  "0208 090c 07ea0718ff0a0f0000feb600 120902 120064 120066 120000 120000 1201c2 1100",
  "0208 090c 07ea0718ff0a1e0000feb600 120903 120065 120067 120000 120000 1201c4 1100",
];
const COLUMN = (classId: string, obis: string) => `0204 12${classId} 0906${obis} 0f02 120000`;
const COLUMNS =
  `0108 ${COLUMN("0008", "0000010000ff")} ${COLUMN("0003", "01000c1b00ff")} ${COLUMN("0003", "0100011d00ff")}
  ${COLUMN("0003", "0100091d00ff")} ${COLUMN("0003", "0100021d00ff")} ${COLUMN("0003", "01000a1d00ff")}
  ${COLUMN("0003", "01000b1b00ff")} ${COLUMN("0001", "0000600a01ff")}`.replaceAll("\n", "");

const asked: unknown[] = [];

function paperMeter(): PaperMeter {
  const scaler = (obis: string, octets: string) => meter.attribute(3, obis, 3, dataOf(octets), 1);
  const meter = new PaperMeter()
    .attribute(8, "0.0.1.0.0.255", 2, dataOf("090c 07ea0718ff0a0f1e00feb600"), 1)
    .attribute(3, "1.0.1.8.0.255", 2, dataOf("06 0000c350"), 1)
    .attribute(7, "1.0.99.1.0.255", 3, dataOf(COLUMNS), 1)
    .attribute(7, "1.0.99.1.0.255", 4, dataOf("06 00000384"), 1)
    .attribute(7, "1.0.99.1.0.255", 7, dataOf("06 00000002"), 1)
    .attribute(7, "1.0.99.1.0.255", 2, dataOf(`0102 ${ROWS.join(" ")}`), 1, (selection) => {
      asked.push(readSelection(selection));
      return { kind: "data", value: dataOf(`0101 ${ROWS[1]}`) };
    });
  scaler("1.0.1.8.0.255", "0202 0f01 161e");
  scaler("1.0.12.27.0.255", "0202 0fff 1623");
  for (const obis of ["1.0.1.29.0.255", "1.0.2.29.0.255"]) scaler(obis, "0202 0f00 161e");
  for (const obis of ["1.0.9.29.0.255", "1.0.10.29.0.255"]) scaler(obis, "0202 0f00 161f");
  scaler("1.0.11.27.0.255", "0202 0ffe 1621");
  return meter;
}

const policy: AssociationPolicy = {
  ...{ mechanism: 1, secret: secret("12345678"), ciphered: true, conformance: 0x603e1d },
  security: {
    suite: 0,
    keys: { encryption: createSecretKey(hex(GUEK)), authentication: createSecretKey(hex(GAK)) },
    sent: counting(1),
    received: new ReceivedCounter(),
    required: 0x30,
  },
};

let test: TestDatabase;
let cli: CommandLine;
let server: MeterServer;
beforeAll(async () => {
  test = await createTestDatabase();
  cli = commandLine(test.url);
  const objects = paperMeter();
  server = await meterServer({
    ...{ framing: "wrapper", objects: () => objects, systemTitle: hex(TITLE) },
    policy: (clientSap) => (clientSap === 32 ? policy : null),
  });
  const meters = `meter_number,meter_type,system_title,mode,framing,host,port
GIN1001,D1,${TITLE},dial,wrapper,127.0.0.1,${server.port}
GIN1002,D1,,listen,wrapper,,
`;
  const keys = `meter_number,client_sap,mechanism,secret,guek,gak
GIN1001,32,lls,text:12345678,${GUEK},${GAK}
GIN1001,48,hls2,text:1234567890123456,${GUEK},${GAK}
GIN1002,32,lls,text:12345678,,
`;
  expect((await cli.hes("meters", "import", cli.file("meters.csv", meters))).stderr).toBe("");
  expect((await cli.hes("keys", "import", cli.file("keys.csv", keys))).stderr).toBe("");
});
afterAll(async () => {
  await server.close();
  cli.remove();
  await test.drop();
});

describe("hes read", () => {
  it("reads values as meter reader, scaled and with their units, and says what the meter refuses", async () => {
    const { code, stdout } = await cli.hes(
      "read",
      "GIN1001",
      "0.0.1.0.0.255",
      "1-0:1.8.0",
      "3:1.0.99.8.0.255",
    );
    expect(stdout).toMatch(/0\.0\.1\.0\.0\.255 +8 +2 +2026-07-24T10:15:30\+05:30/);
    expect(stdout).toMatch(/1\.0\.1\.8\.0\.255 +3 +2 +500000 +Wh/);
    expect(stdout).toMatch(/1\.0\.99\.8\.0\.255 .*object-undefined/);
    expect(code).toBe(69);
  });

  it("for scripts", async () => {
    expect(await cli.json("read", "GIN1001", "1.0.1.8.0.255")).toEqual({
      meter: "GIN1001",
      client: 32,
      objects: [
        {
          ...{
            obis: "1.0.1.8.0.255",
            class: 3,
            attribute: 2,
            value: 500_000,
            unit: "Wh",
            raw: 50_000,
            scaler: 1,
          },
          data: { "double-long-unsigned": 50_000 },
        },
      ],
    });
  });

  it("rows of a profile: all, and between two times of the meter's clock", async () => {
    const all = await cli.json("read", "GIN1001", "7:1.0.99.1.0.255");
    expect(all.objects[0].rows).toEqual([
      ["2026-07-24T10:15:00+05:30", 230.6, 100, 102, 0, 0, 4.5, 0],
      ["2026-07-24T10:30:00+05:30", 230.7, 101, 103, 0, 0, 4.52, 0],
    ]);
    const { stdout } = await cli.hes(
      "read",
      "GIN1001",
      "1.0.99.1.0.255",
      "--from",
      "2026-07-24T10:30",
      "--to",
      "2026-07-24",
    );
    expect(stdout).toContain("1.0.99.1.0.255: 1 rows");
    expect(stdout).toMatch(/2026-07-24T10:30:00\+05:30 +230\.7/);
    expect(asked).toEqual([
      expect.objectContaining({
        kind: "range",
        fromValue: { type: "octet-string", value: hex("07ea0718050a1e0000feb600") },
        toValue: { type: "octet-string", value: hex("07ea071805173b3b00feb600") },
      }),
    ]);
  });

  it("says why it comes to nothing, as a sentence", async () => {
    const refused = await cli.hes("read", "GIN1001", "1.0.1.8.0.255", "--client", "48");
    expect([refused.code, refused.stderr]).toEqual([
      69,
      expect.stringContaining("the meter refuses the association"),
    ]);
    const silent = await cli.hes("read", "GIN1002", "1.0.1.8.0.255");
    expect([silent.code, silent.stderr]).toEqual([
      69,
      expect.stringContaining("calls us, and it is not connected to any daemon now"),
    ]);
    const unknown = await cli.hes("read", "GIN9999", "1.0.1.8.0.255");
    expect([unknown.code, unknown.stderr]).toEqual([65, expect.stringContaining('no meter "GIN9999"')]);
    const wrong = await cli.hes("read", "GIN1001", "energy");
    expect([wrong.code, wrong.stderr]).toEqual([64, expect.stringContaining('"energy" is no object')]);
  });
});
