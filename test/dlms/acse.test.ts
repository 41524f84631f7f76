import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readAcse, writeAcse } from "../../src/dlms/acse/apdu.ts";
import { DecodeError } from "../../src/dlms/bytes/errors.ts";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";

const LIMITS = { depthMax: 16, elementsMax: 20_000 };
const read = (hex: string) => readAcse(parseHex(hex), LIMITS);

const EXAMPLES = [
  "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0",
  "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0",
  "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F0400001C1D04000007",
  "611FA109060760857405080101A203020101A305A10302010DBE0604040E010601",
  "6066A109060760857405080103A60A04084D4D4D0000BC614E8A0207808B0760857405080205AC0A80084B35366956616759BE34043221303001234567801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE6841DB204D39EE6FDB8E356855",
  "6169A109060760857405080103A203020100A305A10302010EA40A0408414243000000000188020780890760857405080202AA1280105365727665724368616C6C656E676531BE230421281F30000000016C14212E7D5643804C8F26F9B87F3035F375B2F46B8BE2644DFF",
  "6203800100",
  "6303800100",
  "6300",
];

describe("association", () => {
  it("proposes a context, a mechanism and a password", () => {
    expect(read(EXAMPLES[1]!)).toMatchObject({
      apdu: "aarq",
      applicationContextName: "2.16.756.5.8.1.1",
      mechanismName: "2.16.756.5.8.2.1",
      senderAcseRequirements: parseHex("0780"),
      callingAuthenticationValue: Buffer.from("12345678"),
      callingApTitle: null,
      userInformation: parseHex("01000000065F1F0400007E1F04B0"),
    });
  });

  it("is answered with a result, a diagnostic and a challenge", () => {
    expect(read(EXAMPLES[5]!)).toMatchObject({
      apdu: "aare",
      result: "accepted",
      resultSourceDiagnostic: { source: "acse-service-user", diagnostic: "authentication-required" },
      respondingApTitle: parseHex("4142430000000001"),
      mechanismName: "2.16.756.5.8.2.2",
      respondingAuthenticationValue: Buffer.from("ServerChallenge1"),
    });
    expect(read(EXAMPLES[3]!)).toMatchObject({
      result: "rejected-permanent",
      resultSourceDiagnostic: { diagnostic: "authentication-failure" },
    });
    expect(read("610CA203020102A305A203020102")).toMatchObject({
      resultSourceDiagnostic: { source: "acse-service-provider", diagnostic: "no-common-acse-version" },
    });
  });

  it("is released", () => {
    expect(read("6203800100")).toMatchObject({ apdu: "rlrq", reason: "normal" });
    expect(read("6303800101")).toMatchObject({ apdu: "rlre", reason: "not-finished" });
    expect(read("6303800122")).toMatchObject({ reason: 0x22 });
    // a universal INTEGER inside
    expect(read("63058003020100")).toMatchObject({ reason: "normal" });
    expect(read("6300")).toMatchObject({ reason: null, userInformation: null });
  });

  it.each(EXAMPLES)("%s is written as it came, refused with an octet more, truncated where cut", (hex) => {
    expect(toHex(writeAcse(read(hex)))).toBe(hex.toLowerCase());
    expect(() => read(`${hex}00`)).toThrow(expect.objectContaining({ code: "trailing" }));
    const octets = parseHex(hex);
    for (let end = 0; end < octets.length; end++) {
      expect(() => readAcse(octets.subarray(0, end), LIMITS)).toThrow(
        expect.objectContaining({ code: "truncated" }),
      );
    }
  });

  it("takes fields whose length is shorter than what is inside", () => {
    // AA 02 80 08 …: the authentication value says 2 octets and has 10; 61 41 and BE 0F 04 0E: one short
    expect(
      read(
        "6141a109060760857405080101a203020100a305a10302010088020780890760857405080201aa0280083535353535353535be0f040e0800065f1f040000001d0190fa00",
      ),
    ).toMatchObject({
      respondingAuthenticationValue: Buffer.from("55555555"),
      userInformation: parseHex("0800065f1f040000001d0190fa00"),
    });
  });

  it("gives a value or a DecodeError for any octets", () => {
    const tag = fc.constantFrom(0x60, 0x61, 0x62, 0x63, 0x64);
    const field = fc.tuple(
      fc.constantFrom(0x80, 0xa1, 0xa2, 0xa3, 0xa4, 0xa6, 0xa9, 0x8a, 0x8b, 0xac, 0xaa, 0x88, 0x89, 0xbe),
      fc.uint8Array({ maxLength: 20 }),
    );
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((array) => [...array]),
      fc.array(field, { maxLength: 5 }).map((list) => list.flatMap(([t, c]) => [t, c.length, ...c])),
    );
    fc.assert(
      fc.property(tag, content, (first, octets) => {
        try {
          readAcse(Buffer.from([first, octets.length & 0x7f, ...octets]), LIMITS);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
