import { describe, expect, it } from "vitest";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";

describe("hexadecimal text", () => {
  it("may have blanks, line ends, colons and 0x", () => {
    expect(toHex(parseHex(" 0x7E 0XA0\n03:21\t93-aB,00 "))).toBe("7ea0032193ab00");
    expect(toHex(parseHex("0x0a0b"))).toBe("0a0b");
    expect(parseHex("")).toHaveLength(0);
  });

  it.each(["7", "7 E", "zz", "7e a", "0x"])("%j is refused", (text) => {
    if (text === "0x") expect(parseHex(text)).toHaveLength(0);
    else expect(() => parseHex(text)).toThrow(/digit/);
  });
});

describe("the reader", () => {
  it("reads big-endian numbers", () => {
    const reader = new Reader(parseHex("ff ffff 010203 ffffffff 80 8000 80000000"));
    expect([
      reader.unsigned8(),
      reader.unsigned16(),
      reader.unsigned24(),
      reader.unsigned32(),
      reader.integer8(),
      reader.integer16(),
      reader.integer32(),
    ]).toEqual([255, 65535, 0x010203, 4294967295, -128, -32768, -2147483648]);
    expect(reader.remaining()).toBe(0);
    expect(() => reader.unsigned8()).toThrow("1 octets needed, 0 left");
  });

  it("gives numbers where they are safe and bigints where not", () => {
    const integer64 = (hex: string) => new Reader(parseHex(hex)).integer64();
    expect(integer64("ffe0000000000001")).toBe(-9007199254740991);
    expect(integer64("ffe0000000000000")).toBe(-9007199254740992n);
    expect(integer64("ffffffffffffffff")).toBe(-1);
    expect(integer64("001fffffffffffff")).toBe(9007199254740991);
    expect(integer64("0020000000000000")).toBe(9007199254740992n);
  });

  it("never passes the end of a part, and names offsets of the whole", () => {
    const reader = new Reader(parseHex("0102030405"), 1);
    const part = reader.sub(2);
    expect(reader.offset).toBe(3);
    expect(part.unsigned16()).toBe(0x0203);
    expect(() => part.octets(1)).toThrow(expect.objectContaining({ code: "truncated", offset: 3 }));
    expect(() => reader.expectEnd()).toThrow(expect.objectContaining({ code: "trailing", offset: 3 }));
    expect(() => reader.sub(3)).toThrow(expect.objectContaining({ code: "truncated" }));
  });
});

describe("the writer", () => {
  it("grows", () => {
    const writer = new Writer(1);
    writer.unsigned8(0x1ff);
    writer.integer16(-2);
    writer.unsigned24(0x010203);
    writer.unsigned32(0xfffffffe);
    writer.integer64(-1);
    writer.unsigned64(18446744073709551615n);
    writer.float32(1.5);
    writer.float64(-2.25);
    writer.octets(parseHex("aabb"));
    expect(toHex(writer.finish())).toBe(
      "ff fffe 010203 fffffffe ffffffffffffffff ffffffffffffffff 3fc00000 c002000000000000 aabb".replaceAll(
        " ",
        "",
      ),
    );
  });

  it.each([
    ["", ""],
    ["wrapper", "77726170706572"],
    ["10.0.0.7", "31302e302e302e37"],
    ["Zähler", "5ac3a4686c6572"],
    ["a".repeat(41), "61".repeat(41)],
    ["€".repeat(41), "e282ac".repeat(41)],
  ])("writes %j as UTF-8", (text, hex) => {
    const writer = new Writer(1);
    writer.unsigned8(0);
    expect(writer.text(text)).toBe(hex.length / 2);
    writer.unsigned8(0xff);
    expect(toHex(writer.finish())).toBe(`00${hex}ff`);
  });

  it("forgets what is behind a length, and gives out octets of its own", () => {
    const writer = new Writer(1);
    writer.octets(parseHex("010203"));
    const first = writer.finish();
    writer.truncate(1);
    writer.unsigned8(9);
    writer.patch8(0, 8);
    expect(toHex(writer.finish())).toBe("0809");
    expect(toHex(first)).toBe("010203");
    writer.truncate(7);
    expect(writer.length).toBe(2);
  });
});
