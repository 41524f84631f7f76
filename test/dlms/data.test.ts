import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecodeError } from "../../src/dlms/bytes/errors.ts";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import { type Data, readData, skipData, writeData } from "../../src/dlms/encoding/data.ts";

const LIMITS = { depthMax: 16, elementsMax: 20_000 };

function decode(hex: string, limits = LIMITS): Data {
  const reader = new Reader(parseHex(hex));
  const data = readData(reader, limits);
  reader.expectEnd();
  return data;
}

function encode(data: Data): string {
  const writer = new Writer(4);
  writeData(writer, data);
  return toHex(writer.finish());
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
  return "no error";
}

const octets = (hex: string) => parseHex(hex);

/** Tag, content by hand after the table of types; the value that the standard gives it. */
const SCALARS: readonly [hex: string, type: Data["type"], value: unknown][] = [
  ["00", "null-data", null],
  ["ff", "dont-care", null],
  ["0301", "boolean", true],
  ["0300", "boolean", false],
  ["05ffffff9c", "double-long", -100],
  ["0580000000", "double-long", -2147483648],
  ["06000186a0", "double-long-unsigned", 100000],
  ["06ffffffff", "double-long-unsigned", 4294967295],
  ["09020102", "octet-string", octets("0102")],
  ["0900", "octet-string", octets("")],
  ["0a03414243", "visible-string", "ABC"],
  ["0c0341c3a9", "utf8-string", "Aé"],
  ["0d42", "bcd", 0x42],
  ["0ffe", "integer", -2],
  ["10ff38", "long", -200],
  ["11fa", "unsigned", 250],
  ["12ea60", "long-unsigned", 60000],
  ["14ffffffffffffff9c", "long64", -100],
  ["1500000000000186a0", "long64-unsigned", 100000],
  ["15ffffffffffffffff", "long64-unsigned", 18446744073709551615n],
  ["148000000000000000", "long64", -9223372036854775808n],
  ["15001fffffffffffff", "long64-unsigned", 9007199254740991],
  ["150020000000000000", "long64-unsigned", 9007199254740992n],
  ["161e", "enum", 30],
  ["1742f6e979", "float32", 123.45600128173828],
  ["18405edd2f1a9fbe77", "float64", 123.456],
  ["1907ea0718ff0a0f1e00feb600", "date-time", octets("07ea0718ff0a0f1e00feb600")],
  ["1a07ea0718ff", "date", octets("07ea0718ff")],
  ["1b0a0f1e00", "time", octets("0a0f1e00")],
  ["1cff", "delta-integer", -1],
  ["1dff38", "delta-long", -200],
  ["1effffff9c", "delta-double-long", -100],
  ["1fff", "delta-unsigned", 255],
  ["20ffff", "delta-long-unsigned", 65535],
  ["21ffffffff", "delta-double-long-unsigned", 4294967295],
  ["040880", "bit-string", { length: 8, octets: octets("80") }],
  ["040ba5e0", "bit-string", { length: 11, octets: octets("a5e0") }],
];

describe("the types of Data", () => {
  it.each(SCALARS)("%s is %s %s", (hex, type, value) => {
    const data = decode(hex);
    expect(data.type).toBe(type);
    expect(data.value).toEqual(value);
  });

  it.each(SCALARS.filter(([, type]) => type !== "boolean"))("%s is written again as it came", (hex) => {
    expect(encode(decode(hex))).toBe(hex);
  });

  it("takes any octet but zero for true", () => {
    expect(decode("03ff")).toEqual({ type: "boolean", value: true });
  });

  it.each(["07", "08", "0b", "0e", "22", "40", "fe"])("refuses tag %s, which is not assigned", (tag) => {
    expect(codeOf(() => decode(`${tag}0000`))).toBe("invalid");
    expect(codeOf(() => skipData(new Reader(octets(`${tag}0000`)), LIMITS))).toBe("invalid");
  });

  it("takes the single octet 80 for the length of a 128-bit string, as some meters send it", () => {
    const bits = "80100000000000000000000400000000".slice(0, 32);
    expect(decode(`0480${bits}`)).toEqual({
      type: "bit-string",
      value: { length: 128, octets: octets(bits) },
    });
    expect(decode(`048180${bits}`)).toEqual(decode(`0480${bits}`));
    expect(encode(decode(`0480${bits}`))).toBe(`048180${bits}`);
  });

  it("accepts lengths that are longer than they need be", () => {
    expect(decode("09820002aabb")).toEqual({ type: "octet-string", value: octets("aabb") });
    expect(decode("098400000001aa")).toEqual({ type: "octet-string", value: octets("aa") });
    expect(codeOf(() => decode("0985000000000100"))).toBe("invalid");
  });
});

describe("compact-array", () => {
  it("becomes its rows", () => {
    // 13, structure of (double-long-unsigned, long-unsigned), 12 octets of content: two rows
    const row = (a: number, b: number): Data => ({
      type: "structure",
      value: [
        { type: "double-long-unsigned", value: a },
        { type: "long-unsigned", value: b },
      ],
    });
    expect(decode("13 02020612 0c 000000640901 000000c80902")).toEqual({
      type: "array",
      value: [row(100, 2305), row(200, 2306)],
    });
  });

  it("reads arrays, strings and bit-strings inside", () => {
    // rows of { array of 2 unsigned, octet-string, bit-string }
    expect(decode("13 0203 010002 11 09 04 06 0102 01aa 0340")).toMatchObject({
      value: [
        {
          value: [
            { type: "array", value: [{ value: 1 }, { value: 2 }] },
            { type: "octet-string", value: octets("aa") },
            { type: "bit-string", value: { length: 3, octets: octets("40") } },
          ],
        },
      ],
    });
  });

  it("may be of one basic type, and empty", () => {
    expect(decode("13 12 04 0001 0002")).toMatchObject({ value: [{ value: 1 }, { value: 2 }] });
    expect(decode("13 12 00")).toEqual({ type: "array", value: [] });
  });

  it("refuses rows that take no octets", () => {
    expect(codeOf(() => decode("13 00 01 00"))).toBe("invalid");
    expect(codeOf(() => decode("13 0200 02 0000"))).toBe("invalid");
  });

  it("counts the elements that it describes before it makes them", () => {
    // array of 65535 arrays of 65535 null-data, and one unsigned so that the row has an octet
    expect(codeOf(() => decode("13 0202 01ffff 01ffff 00 11 01 05"))).toBe("limit");
    // one octet of content a row, 65535 nulls beside it
    const rows = "0102030405060708";
    expect(codeOf(() => decode(`13 0202 01ffff00 11 08 ${rows}`))).toBe("limit");
  });

  it("refuses a row that the content cuts off, and a compact-array inside the description", () => {
    expect(codeOf(() => decode("13 12 03 0001 00"))).toBe("truncated");
    expect(codeOf(() => decode("13 13 12 02 0001"))).toBe("invalid");
  });
});

describe("limits", () => {
  it("counts depth", () => {
    const nested = (depth: number) => `${"0101".repeat(depth)}00`;
    expect(decode(nested(16)).type).toBe("array");
    expect(codeOf(() => decode(nested(17)))).toBe("limit");
    expect(codeOf(() => decode(nested(100_000)))).toBe("limit");
    expect(codeOf(() => skipData(new Reader(octets(nested(17))), LIMITS))).toBe("limit");
    expect(codeOf(() => decode(`13 ${"0201".repeat(20)} 11 01 05`))).toBe("limit");
  });

  it("checks a count against the octets that are left before it makes room", () => {
    expect(codeOf(() => decode("0184ffffffff00"))).toBe("truncated");
    expect(codeOf(() => decode("0284ffffffff00"))).toBe("truncated");
    expect(codeOf(() => decode("0984ffffffff00"))).toBe("truncated");
    expect(codeOf(() => decode("0484ffffffff00"))).toBe("truncated");
  });

  it("counts elements over all levels", () => {
    const limits = { depthMax: 16, elementsMax: 6 };
    expect(decode("0202 0102 1101 1102 0102 1103 1104", limits).type).toBe("structure");
    expect(codeOf(() => decode("0202 0102 1101 1102 0103 1103 1104 1105", limits))).toBe("limit");
  });
});

describe("any octets", () => {
  const anything = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

  it("are a value or a DecodeError, and skipping agrees with reading", () => {
    fc.assert(
      fc.property(anything, (input) => {
        const read = new Reader(input);
        const skipped = new Reader(input);
        const a = codeOf(() => readData(read, LIMITS));
        const b = codeOf(() => skipData(skipped, LIMITS));
        expect(b).toBe(a);
        if (a === "no error") expect(skipped.offset).toBe(read.offset);
      }),
      { numRuns: 5_000 },
    );
  });

  it("that were read are refused as truncated when any of them is missing at the end", () => {
    fc.assert(
      fc.property(anything, (input) => {
        const reader = new Reader(input);
        if (codeOf(() => readData(reader, LIMITS)) !== "no error") return;
        for (let end = 0; end < reader.offset; end++) {
          expect(codeOf(() => readData(new Reader(input, 0, end), LIMITS))).toBe("truncated");
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
