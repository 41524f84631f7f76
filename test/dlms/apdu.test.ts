import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecodeError } from "../../src/dlms/bytes/errors.ts";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { readApdu, writeApdu } from "../../src/dlms/xdlms/apdu.ts";
import { conformanceNames } from "../../src/dlms/xdlms/initiate.ts";

const LIMITS = { depthMax: 16, elementsMax: 20_000 };
const read = (hex: string) => readApdu(parseHex(hex), LIMITS);

const CLOCK = { classId: 8, instanceId: parseObis("0.0.1.0.0.255"), attributeId: 2 };
const TIME = "07EA0718FF0A0F1E00FEB600";

describe("data-notification", () => {
  const body = "0201 1105";
  it.each([
    ["no time", `0F 00000001 00 ${body}`, null, false],
    ["twelve octets", `0F 00000001 0C ${TIME} ${body}`, 2026, false],
    ["tagged as octet-string", `0F 00000001 090C ${TIME} ${body}`, 2026, true],
    ["tagged as date-time", `0F 00000001 19 ${TIME} ${body}`, 2026, true],
    ["tagged and empty", `0F 00000001 0900 ${body}`, null, true],
    ["without its length", `0F 00000001 ${TIME} ${body}`, 2026, false],
    ["left out", `0F 00000001 ${body}`, null, false],
  ])("date-time: %s", (_, hex, year, dateTimeTagged) => {
    const apdu = read(hex);
    if (apdu.apdu !== "data-notification") throw new Error(apdu.apdu);
    expect(apdu.longInvokeId).toBe(1);
    expect(apdu.dateTime?.year ?? null).toBe(year);
    expect(apdu.dateTimeTagged).toBe(dateTimeTagged);
    expect(toHex(apdu.body)).toBe("02011105");
  });

  it("without a body is truncated, with a time of 5 octets invalid", () => {
    expect(() => read("0F 00000001 00")).toThrow(expect.objectContaining({ code: "truncated" }));
    expect(() => read("0F 00000001 05 07EA0718FF 00")).toThrow(expect.objectContaining({ code: "invalid" }));
  });
});

describe("event-notification", () => {
  it.each(["01 0C", "09 0C"])("has an optional time (%s)", (time) => {
    expect(read(`C2 ${time} ${TIME} 0001 00005E5B12FF 02 040880`)).toMatchObject({
      apdu: "event-notification",
      time: { year: 2026, hour: 10 },
      attribute: { classId: 1, instanceId: parseObis("0.0.94.91.18.255"), attributeId: 2 },
      value: { type: "bit-string", value: { length: 8 } },
    });
  });

  it("may have none", () => {
    expect(read("C2 00 0001 00005E5B12FF 02 1105")).toMatchObject({ time: null, value: { value: 5 } });
  });
});

describe("envelopes", () => {
  it("general-glo-ciphering has a system title, or an empty one", () => {
    expect(read("DB 08 4142430000000001 06 3000000010AA")).toMatchObject({
      apdu: "general-glo-ciphering",
      systemTitle: parseHex("4142430000000001"),
      content: parseHex("3000000010AA"),
    });
    expect(read("DB 00 06 3000000010AA")).toMatchObject({ systemTitle: parseHex("") });
  });

  it("service-specific ciphering has content", () => {
    expect(read("C8 06 3000000003AA")).toMatchObject({
      apdu: "glo-get-request",
      content: parseHex("3000000003AA"),
    });
    expect(read("D7 05 2000000003")).toMatchObject({ apdu: "ded-action-response" });
  });

  it("general-ciphering has a header and key information", () => {
    // transaction id 01 02, originator, recipient, no time, no other information, key info: wrapped, KEK 0, key AABB
    expect(
      read("DD 020102 0841424300000000010841424300000000020000 01 01 00 02AABB 053100000001"),
    ).toMatchObject({
      apdu: "general-ciphering",
      transactionId: parseHex("0102"),
      keyInfo: { kind: "wrapped-key", keyEncryptionKeyId: 0, cipheredKey: parseHex("AABB") },
      content: parseHex("3100000001"),
    });
    expect(read("DD 0000000000 00 053100000001")).toMatchObject({ keyInfo: null });
  });

  it("general-block-transfer has a control octet", () => {
    expect(read("E0 C3 0002 0001 03 C401C1")).toEqual({
      apdu: "general-block-transfer",
      lastBlock: true,
      streaming: true,
      window: 3,
      blockNumber: 2,
      blockNumberAcknowledged: 1,
      blockData: parseHex("C401C1"),
    });
  });
});

describe("GET, SET, ACTION, ACCESS", () => {
  it("asks for the clock and gets it", () => {
    expect(read("C001C100080000010000FF0200")).toEqual({
      apdu: "get-request",
      kind: "normal",
      invokeIdAndPriority: 0xc1,
      attribute: CLOCK,
      accessSelection: null,
    });
    expect(read("C401C100090C07EA0718FF0A0F1E00FEB600")).toMatchObject({
      apdu: "get-response",
      kind: "normal",
      result: { kind: "data", data: { type: "octet-string" } },
    });
    expect(read("C401C10104")).toMatchObject({
      result: { kind: "data-access-result", result: "object-undefined" },
    });
    expect(read("C401C10163")).toMatchObject({ result: { result: 0x63 } });
  });

  it("selects rows", () => {
    expect(
      read(
        "C001C100070100630100FF0201010204020412000809060000010000FF0F02120000090C07EA0718FF00000000FEB600090C07EA0719FF00000000FEB6000100",
      ),
    ).toMatchObject({
      attribute: { classId: 7 },
      accessSelection: { selector: 1, parameters: { type: "structure" } },
    });
  });

  it("transfers blocks", () => {
    expect(read("C002C100000001")).toMatchObject({ kind: "next", blockNumber: 1 });
    expect(read("C402C1000000000100080102020309001200")).toMatchObject({
      kind: "with-datablock",
      lastBlock: false,
      blockNumber: 1,
      result: { kind: "raw-data", rawData: parseHex("0102020309001200") },
    });
  });

  it("handles lists", () => {
    expect(read("C003C10200080000010000FF020000030100010800FF0200")).toMatchObject({
      kind: "with-list",
      attributes: [{ attribute: CLOCK }, { attribute: { classId: 3 } }],
    });
    expect(read("C403C10200090C07EA0718FF0A0F1E00FEB60000060000C350")).toMatchObject({
      kind: "with-list",
      results: [{ kind: "data" }, { data: { value: 50000 } }],
    });
  });

  it("sets and acts", () => {
    expect(read("C101C100080000010000FF0200090C07EA0718FF0A0F1E00FEB600")).toMatchObject({
      apdu: "set-request",
      attribute: CLOCK,
      value: { type: "octet-string" },
    });
    expect(read("C501C103")).toMatchObject({ apdu: "set-response", result: "read-write-denied" });
    expect(read("C301C10046000060030AFF01010F00")).toMatchObject({
      apdu: "action-request",
      method: { classId: 70, instanceId: parseObis("0.0.96.3.10.255"), methodId: 1 },
      parameters: { type: "integer", value: 0 },
    });
    expect(read("C701C10000")).toMatchObject({ result: "success", returnParameters: null });
    expect(read("C701C10300")).toMatchObject({ result: "read-write-denied" });
  });

  it("accesses several at once", () => {
    expect(read("D94000000100020100080000010000FF020100030100010800FF02020000")).toMatchObject({
      apdu: "access-request",
      dateTime: null,
      specifications: [{ kind: "get", attribute: CLOCK }, { kind: "get" }],
      data: [{ type: "null-data" }, { type: "null-data" }],
    });
    // response: no specifications, one Data, result of a get
    expect(read("DA 40000001 00 00 01 1105 01 01 00")).toMatchObject({
      apdu: "access-response",
      specifications: null,
      data: [{ value: 5 }],
      results: [{ kind: "get", result: "success" }],
    });
  });
});

describe("refusals and initiation", () => {
  it("names what was refused", () => {
    expect(read("D80102")).toMatchObject({
      stateError: "service-not-allowed",
      serviceError: "service-not-supported",
      invocationCounter: null,
    });
    expect(read("D8020600000011")).toMatchObject({
      serviceError: "invocation-counter-error",
      invocationCounter: 17,
    });
    expect(read("D80206")).toMatchObject({ invocationCounter: null });
    expect(read("0E010601")).toMatchObject({
      service: "initiate-error",
      error: { kind: "initiate", value: "dlms-version-too-low" },
    });
  });

  it("proposes and negotiates", () => {
    const request = read("01 00 00 00 06 5F1F0400 007E1F 04B0");
    expect(request).toMatchObject({
      apdu: "initiate-request",
      dedicatedKey: null,
      responseAllowed: true,
      proposedDlmsVersionNumber: 6,
      proposedConformance: 0x007e1f,
      clientMaxReceivePduSize: 1200,
    });
    expect(conformanceNames(0x007e1f)).toHaveLength(11);
    expect(conformanceNames(0x20189d)).toEqual([
      "general-block-transfer",
      "block-transfer-with-get-or-read",
      "block-transfer-with-set-or-write",
      "data-notification",
      "get",
      "set",
      "selective-access",
      "action",
    ]);
    expect(read("08 00 06 5F1F0400 001C1D 0400 0007")).toMatchObject({
      apdu: "initiate-response",
      negotiatedConformance: 0x001c1d,
      serverMaxReceivePduSize: 1024,
      vaaName: 7,
    });
    // an old device without 1F; a dedicated key; response not allowed
    expect(read("01 01 02AABB 0100 00 06 5F0400 007E1F 04B0")).toMatchObject({
      dedicatedKey: parseHex("AABB"),
      responseAllowed: false,
      proposedConformance: 0x007e1f,
    });
  });
});

describe("every service", () => {
  const examples = [
    "0F 00000001 0C 07EA0718FF0A0F1E00FEB600 02011105",
    "0F 00000001 090C 07EA0718FF0A0F1E00FEB600 02011105",
    "10 40000001 00",
    "C2 01 0C 07EA0718FF0A0F1E00FEB600 0001 00005E5B12FF 02 040880",
    "DD 020102 0841424300000000010841424300000000020000 01 01 00 02AABB 053100000001",
    "DD 0000000000 01 02 01 02 00 053100000001",
    "DF 0201020000000002aabb02ccdd",
    "DB 08 4142430000000001 06 3000000010AA",
    "E0 C3 0002 0001 03 C401C1",
    "C101C1001600000F0004FF0400010202020904000000000905FFFFFFFFFF02020904000F00000905FFFFFFFFFF",
    "C1 02 C1 0008 0000010000FF 02 00 00 00000001 03 010203",
    "C1 03 C1 01 00000002 03 010203",
    "C1 04 C1 01 0008 0000010000FF 02 00 01 1105",
    "C1 05 C1 01 0008 0000010000FF 02 00 00 00000001 03 010203",
    "C5 02 C1 00000001",
    "C5 03 C1 00 00000002",
    "C5 04 C1 02 0003 00000002",
    "C5 05 C1 02 00FA",
    "C3 02 C1 00000001",
    "C3 03 C1 01 0046 000060030AFF 01 01 0F00",
    "C3 04 C1 0046 000060030AFF 01 00 00000001 02 0F00",
    "C3 05 C1 01 0046 000060030AFF 01 01 00000001 02 0F00",
    "C3 06 C1 01 00000002 02 0F00",
    "C7 01 C1 00 01 00 0F00",
    "C7 01 C1 00 01 01 04",
    "C7 02 C1 01 00000001 02 0F00",
    "C7 03 C1 02 00 00 03 01 01 03",
    "C7 04 C1 00000001",
    "DA 40000001 0C 07EA0718FF0A0F1E00FEB600 01 01 04 0008 0000010000FF 02 01 00 01 00 01 03 00",
    "D8 02 06 00000011",
    "0E 01 06 01",
    "01 01 02AABB 01 00 00 06 5F1F0400 007E1F 04B0",
    "08 01 01 06 5F1F0400 001C1D 0400 0007",
  ].map((hex) => hex.replaceAll(" ", "").toLowerCase());

  it.each(examples)("%s is written as it came, and refused with an octet more", (hex) => {
    expect(toHex(writeApdu(read(hex)))).toBe(hex);
    if (!hex.startsWith("0f")) {
      expect(() => read(`${hex}00`)).toThrow(expect.objectContaining({ code: "trailing" }));
    }
  });

  it.each(examples)("%s is truncated where it is cut off", (hex) => {
    const octets = parseHex(hex);
    const bodyless = hex.startsWith("0f") ? octets.length - 3 : octets.length;
    for (let end = 0; end < bodyless; end++) {
      // an exception-response may leave out its counter
      if (hex.startsWith("d8") && end === 3) continue;
      expect(() => readApdu(octets.subarray(0, end), LIMITS)).toThrow(
        expect.objectContaining({ code: "truncated" }),
      );
    }
  });

  it("gives a value or a DecodeError for any octets", () => {
    const tags = [
      0x01, 0x08, 0x0e, 0x0f, 0x10, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc7, 0xd8, 0xd9, 0xda, 0xdb, 0xdd,
      0xdf, 0xe0,
    ];
    fc.assert(
      fc.property(fc.constantFrom(...tags), fc.uint8Array({ maxLength: 120 }), (tag, content) => {
        try {
          readApdu(Buffer.from([tag, ...content]), LIMITS);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it("refuses tags that are not assigned", () => {
    expect(() => read("3000")).toThrow("30 is not the tag of an xDLMS APDU");
    expect(() => read("")).toThrow(expect.objectContaining({ code: "truncated" }));
  });
});
