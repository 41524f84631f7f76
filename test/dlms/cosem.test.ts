import { describe, expect, it } from "vitest";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import { captureObjectFromData } from "../../src/dlms/cosem/capture-object.ts";
import { formatObis, obisFromOctets, obisToOctets, parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { pushObjectListFromData, pushObjectToData } from "../../src/dlms/cosem/push-object.ts";
import { scalerUnitFromData } from "../../src/dlms/cosem/scaler-unit.ts";
import { unitFromSymbol, unitSymbol } from "../../src/dlms/cosem/unit.ts";
import { readData, writeData } from "../../src/dlms/encoding/data.ts";

const decode = (hex: string) => readData(new Reader(parseHex(hex)), { depthMax: 16, elementsMax: 1000 });

describe("OBIS codes", () => {
  it("are 48-bit numbers", () => {
    expect(obisFromOctets(parseHex("0100010800ff"), 0)).toBe(0x0100010800ff);
    expect(obisFromOctets(parseHex("aa ffffffffffff"), 1)).toBe(0xffffffffffff);
    expect(toHex(obisToOctets(0x0100010800ff))).toBe("0100010800ff");
    expect(() => obisFromOctets(parseHex("0100010800"), 0)).toThrow("6 octets");
  });

  it.each([
    ["1.0.1.8.0.255", "0100010800ff"],
    ["1-0:1.8.0*255", "0100010800ff"],
    ["1-0:1.8.0", "0100010800ff"],
    ["0.0.25.9.0.255", "0000190900ff"],
    ["128.128.128.128.128.0", "808080808000"],
    ["255.255.255.255.255.255", "ffffffffffff"],
  ])("%s is %s", (text, hex) => {
    expect(toHex(obisToOctets(parseObis(text)))).toBe(hex);
  });

  it("are written with dots", () => {
    expect(formatObis(parseObis("1-0:1.8.0*255"))).toBe("1.0.1.8.0.255");
    expect(formatObis(0x8080fffe01ff)).toBe("128.128.255.254.1.255");
  });

  it.each(["", "1.0.1.8", "1.0.1.8.0.256", "1.0.1.8.0.255.1", "a.b.c.d.e.f"])("%j is none", (text) => {
    expect(() => parseObis(text)).toThrow("is not an OBIS code");
  });
});

describe("units and scalers", () => {
  it("have numbers and symbols", () => {
    expect([27, 30, 33, 35, 255, 77].map(unitSymbol)).toEqual(["W", "Wh", "A", "V", "", "unit 77"]);
    expect(["W", "Wh", "VAh", "varh", "m³", "nonsense"].map(unitFromSymbol)).toEqual([
      27,
      30,
      31,
      32,
      13,
      null,
    ]);
    expect(unitFromSymbol("gal (US)")).toBe(140);
  });

  it("come as a structure of integer and enum", () => {
    expect(scalerUnitFromData(decode("02020ffd160d"))).toEqual({ scaler: -3, unit: 13 });
    expect(scalerUnitFromData(decode("02020ffd11 0d"))).toBeNull();
    expect(scalerUnitFromData(decode("0203 0ffd160d00"))).toBeNull();
  });
});

describe("capture objects and push objects", () => {
  // class 3, 1.0.1.8.0.255, attribute 2, data index 0
  const four = "0204 120003 09060100010800ff 0f02 120000";

  it("have four fields", () => {
    expect(captureObjectFromData(decode(four))).toEqual({
      classId: 3,
      logicalName: parseObis("1.0.1.8.0.255"),
      attributeIndex: 2,
      dataIndex: 0,
    });
    expect(captureObjectFromData(decode("0204 120003 09050100010800 0f02 120000"))).toBeNull();
  });

  it("have four, five or six fields in a push object list", () => {
    // restriction: { enum 0, null-data }; columns: empty array
    const five = "0205 120028 09060000190900ff 0f02 120000 0202 1600 00";
    const six = "0206 120028 09060000190900ff 0f02 120000 0202 1600 00 0100";
    const objects = pushObjectListFromData(decode(`0103 ${four} ${five} ${six}`))!;
    expect(
      objects.map(({ classId, restriction, columns }) => [classId, restriction?.type, columns?.type]),
    ).toEqual([
      [3, undefined, undefined],
      [40, "structure", undefined],
      [40, "structure", "array"],
    ]);
    for (const [index, hex] of [four, five, six].entries()) {
      const writer = new Writer();
      writeData(writer, pushObjectToData(objects[index]!));
      expect(toHex(writer.finish())).toBe(hex.replaceAll(" ", ""));
    }
  });

  it("are not seen in other arrays", () => {
    expect(pushObjectListFromData(decode("0100"))).toBeNull();
    expect(pushObjectListFromData(decode("0101 1101"))).toBeNull();
    expect(pushObjectListFromData(decode(`0102 ${four} 00`))).toBeNull();
  });
});
