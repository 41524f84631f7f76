import { describe, expect, it } from "vitest";
import { DecodeError } from "../../src/dlms/bytes/errors.ts";
import { formatObis } from "../../src/dlms/cosem/obis-code.ts";
import { asciiPushBody, asciiPushEnd, readAsciiPush } from "../../src/dlms/text/ascii-push.ts";
import { readTelegram, telegramEnd, telegramNumber, telegramTime } from "../../src/dlms/text/p1-telegram.ts";

const telegram = (...lines: string[]) => Buffer.from(`${lines.join("\r\n")}\r\n`, "latin1");

describe("a P1 telegram", () => {
  const WITHOUT_CRC = telegram(
    "/XMX5MAKER",
    "",
    "0-0:1.0.0(260102030405W)",
    "1-0:1.8.1(000123.456*kWh)",
    "!",
  );

  it("is lines of OBIS codes without F and values in brackets", () => {
    const { identification, lines, checked } = readTelegram(WITHOUT_CRC);
    expect(identification).toBe("XMX5MAKER");
    expect(checked).toBe(false);
    expect(lines.map(({ obis, values }) => [formatObis(obis), values])).toEqual([
      ["0.0.1.0.0.255", ["260102030405W"]],
      ["1.0.1.8.1.255", ["000123.456*kWh"]],
    ]);
  });

  it("with a wrong CRC is refused", () => {
    // CRC-16/ARC over "/a!" is none of these two at once.
    for (const crc of ["0000", "FFFF"]) {
      expect(() => readTelegram(Buffer.from(`/a!${crc}\r\n`))).toThrow(DecodeError);
    }
  });

  it("is text with values: what a wrong key made of a push, and happens to begin with a slash, is none", () => {
    const garbage =
      "2faeeb268a5421b034bfe0fcbf372653ed8483131e47bb55064ad8313440c213e59f09f6e145303ce4331c49524bf5d6";
    expect(() => readTelegram(Buffer.from(garbage, "hex"))).toThrow(DecodeError);
    expect(() => readTelegram(Buffer.from("/KFM5 a maker and nothing else\r\n!\r\n"))).toThrow(DecodeError);
  });

  it("ends behind its CRC, and needs more before", () => {
    const whole = Buffer.from("/ISK5\\2M\r\n\r\n1-0:1.7.0(00.123*kW)\r\n!1A2B\r\n");
    expect(telegramEnd(whole, 0, whole.length, false)).toBe(whole.length);
    for (let to = 2; to < whole.length - 2; to++) {
      expect(telegramEnd(whole, 0, to, false)).toBe("need-more");
    }
    expect(telegramEnd(Buffer.from("/1"), 0, 2, false)).toBeNull();
    expect(telegramEnd(Buffer.alloc(8_192, "/a"), 0, 8_192, false)).toBeNull();
  });

  it.each([
    ["000123.456*kWh", { raw: 123_456, scaler: 0, unit: 30 }],
    ["00.200*kW", { raw: 200, scaler: 0, unit: 27 }],
    ["230.1*V", { raw: 2_301, scaler: -1, unit: 35 }],
    ["12785.123*m3", { raw: 12_785_123, scaler: -3, unit: 13 }],
    ["0002", { raw: 2, scaler: 0, unit: null }],
    ["-5*W", { raw: -5, scaler: 0, unit: 27 }],
    ["4530", { raw: 4_530, scaler: 0, unit: null }],
    ["1.2.3", null],
    ["", null],
  ])("the number %s", (text, expected) => {
    expect(telegramNumber(text)).toEqual(expected);
  });

  it("times say whether it is summer, not the deviation", () => {
    expect(telegramTime("260714153000S")?.toString("hex")).toBe("07ea070eff0f1e0000800080");
    expect(telegramTime("260114153000W")?.toString("hex")).toBe("07ea010eff0f1e0000800000");
    expect(telegramTime("260114153000")).toBeNull();
  });
});

describe("the ASCII push of DSMR 4", () => {
  const ID = "EXXXX123456789012";
  const alarm = Buffer.concat([Buffer.from(`${ID},`), Buffer.from("00000001", "hex")]);
  const wakeUp = Buffer.concat([Buffer.from(`${ID},`), Buffer.from("0000020300ff", "hex")]);

  it("is an identifier with an alarm register or a logical name", () => {
    expect(readAsciiPush(alarm)).toMatchObject({ identifier: ID, alarms: 1, pushSetup: null });
    expect(readAsciiPush(wakeUp)).toMatchObject({ identifier: ID, alarms: null });
    expect(readAsciiPush(alarm.subarray(1))).toBeNull();
    expect(readAsciiPush(Buffer.concat([alarm, Buffer.from([0])]))).toBeNull();
  });

  it("says what an SMR 5 meter says as structure { identifier, push setup, alarms }", () => {
    const body = asciiPushBody(readAsciiPush(alarm)!);
    const id = Buffer.from(ID).toString("hex");
    expect(body.toString("hex")).toBe(`02030911${id}09060001190900ff0600000001`);
  });

  it("with four octets that may begin a logical name waits for two more", () => {
    expect(asciiPushEnd(alarm, 0, alarm.length, false)).toBe(alarm.length);
    expect(asciiPushEnd(wakeUp, 0, wakeUp.length, false)).toBe(wakeUp.length);
    expect(asciiPushEnd(wakeUp, 0, wakeUp.length - 2, false)).toBe("need-more");
    expect(asciiPushEnd(wakeUp, 0, wakeUp.length - 2, true)).toBe(wakeUp.length - 2);
  });
});
