import { describe, expect, it } from "vitest";
import { readAssociations, readMeters, readScalers } from "../../src/cli/import/meter-lines.ts";

const TYPES = ["D1", "D2", "D3"];
const KEY = "000102030405060708090A0B0C0D0E0F";

describe("meters", () => {
  it("are read with columns in any order, keys in hex or as text, and sensible defaults", () => {
    const meters = readMeters(
      "meters.csv",
      `meter_type,meter_number,system_title,guek,gak,required_protection,group
# the test bench
D1,SN001,4C 4E 54 00 00 00 00 01,${KEY},text:DDDDDDDDDDDDDDDD,,bench
D3,SN002,,,,,
D2,SN003,4c4e540000000003,${KEY},,encrypted,"a, b"
`,
      TYPES,
    );
    expect(meters).toHaveLength(3);
    expect(meters[0]).toMatchObject({
      line: 3,
      meterNumber: "SN001",
      meterType: "D1",
      systemTitle: "4c4e540000000001",
      requiredProtection: 0x30,
      securitySuite: 0,
      framing: "auto",
      mode: "listen",
      deviationSign: "standard",
      group: "bench",
    });
    expect(meters[0]!.keys.map(({ kind, key }) => [kind, key.export().toString("hex")])).toEqual([
      ["guek", KEY.toLowerCase()],
      ["gak", "44".repeat(16)],
    ]);
    expect(meters[1]).toMatchObject({ requiredProtection: 0, keys: [], systemTitle: null, group: null });
    expect(meters[2]).toMatchObject({ requiredProtection: 0x20, group: "a, b" });
  });

  it("wants 32 octets for suite 2", () => {
    const line = (key: string) =>
      `meter_number,meter_type,system_title,security_suite,guek\nA,D1,4c4e540000000003,2,${key}\n`;
    expect(readMeters("m.csv", line(KEY + KEY), TYPES)[0]!.keys[0]!.key.symmetricKeySize).toBe(32);
    expect(() => readMeters("m.csv", line(KEY), TYPES)).toThrow("line 2: guek must be 32 octets");
  });

  it("that can't be used are all named with line and column, and no key is repeated", () => {
    const text = `meter_number,meter_type,system_title,guek,port,framing,time_zone,mode
A,D1,4c4e54000000000,${KEY}FF,,,,
A,D9,,,70000,ppp,Asia/Atlantis,dial
,D1,,,,,,
B,D1,4c4e540000000001,,,,,,,
C,D1,4c4e540000000002,,,,,
D,D1,4c4e540000000002,,,,,
`;
    try {
      readMeters("meters.csv", text, TYPES);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ exitCode: 65 });
      const { message } = error as Error;
      for (const part of [
        "meters.csv can't be imported, nothing was changed",
        "line 2: system_title must be 16 hex digits",
        "line 2: guek must be 16 octets",
        'line 3: there is no meter type "D9"; there are D1, D2, D3',
        "line 3: port",
        "line 3: framing",
        "line 3: time_zone",
        "line 3: mode dial needs host",
        "line 3: meter_number A stands in line 2 already",
        "line 4: meter_number is empty",
        "line 5: has 10 fields, the header 8",
        "line 7: system_title 4c4e540000000002 stands in line 6 already",
      ]) {
        expect(message).toContain(part);
      }
      expect(message).not.toContain(KEY);
    }
  });

  it.each([
    ["meter_number,meter_typ\nA,D1\n", "no such column: meter_typ"],
    ["meter_number\nA\n", "the header must name the column meter_type"],
    ["meter_number,meter_type,meter_type\nA,D1,D1\n", "twice"],
    ["", "the header must name"],
    ['meter_number,meter_type\n"A,D1\n', "line 2"],
  ])("need a sound header: %j", (text, message) => {
    expect(() => readMeters("meters.csv", text, TYPES)).toThrow(message);
  });
});

describe("associations", () => {
  it("are one a line", () => {
    const [a, b] = readAssociations(
      "keys.csv",
      `meter_number,client_sap,mechanism,secret,guek\nSN001,32,lls,text:1234,\nSN001,48,hls5,,${KEY}\n`,
    );
    expect(a).toMatchObject({ meterNumber: "SN001", clientSap: 32, mechanism: "lls", keys: [] });
    expect(a!.secret!.export().toString()).toBe("1234");
    expect(b).toMatchObject({ clientSap: 48, mechanism: "hls5", secret: null });
    expect(b!.keys.map(({ kind }) => kind)).toEqual(["guek"]);
  });

  it("without a SAP or a password that the mechanism needs are refused", () => {
    expect(() => readAssociations("keys.csv", "meter_number,client_sap\nA,\n")).toThrow(
      "client_sap is empty",
    );
    expect(() => readAssociations("keys.csv", "meter_number,client_sap,mechanism\nA,32,lls\n")).toThrow(
      "line 2: mechanism lls needs secret",
    );
  });
});

describe("scalers", () => {
  it("take both spellings of an OBIS code", () => {
    expect(
      readScalers(
        "s.csv",
        "meter_type,obis,scaler,unit\nD1,1.0.12.7.0.255,-2,V\nD2,1-0:1.8.0*255,0,\n",
        TYPES,
      ),
    ).toEqual([
      { line: 2, meterType: "D1", code: "1.0.12.7.0.255", attribute: 2, scaler: -2, unit: "V" },
      { line: 3, meterType: "D2", code: "1.0.1.8.0.255", attribute: 2, scaler: 0, unit: null },
    ]);
  });

  it("name what can't be used", () => {
    expect(() => readScalers("s.csv", "meter_type,obis,scaler\nD1,1.0.12.7.255,-2\n", TYPES)).toThrow(
      "OBIS code",
    );
    expect(() => readScalers("s.csv", "meter_type,obis,scaler\nD1,1.0.12.7.0.255,\n", TYPES)).toThrow(
      "scaler is empty",
    );
  });
});
