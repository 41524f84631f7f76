import { describe, expect, it } from "vitest";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { type Data, readData } from "../../src/dlms/encoding/data.ts";
import { expandProfileRows } from "../../src/dlms/encoding/profile-compression.ts";

const rows = (hex: string) =>
  readData(new Reader(parseHex(hex)), { depthMax: 16, elementsMax: 1000 }).value as Data[];

const shown = (expanded: readonly Data[]) =>
  expanded.map((row) =>
    (row.value as Data[]).map(
      ({ type, value }) => `${type} ${Buffer.isBuffer(value) ? toHex(value) : value}`,
    ),
  );

const HALF_HOUR = { clockColumn: 0, capturePeriodSeconds: 1800 };

describe("rows of a profile buffer", () => {
  it("null-data is the value before; a clock left out is one period later", () => {
    // 23:45 on 31 December, then rows whose clock is null-data or an empty octet-string
    const expanded = expandProfileRows(
      rows("0103 0203 090c07e90c1f03172d0000feb680 12 0901 16 01 0203 00 00 00 0203 0900 12 0902 00"),
      HALF_HOUR,
    );
    expect(shown(expanded)).toEqual([
      ["octet-string 07e90c1f03172d0000feb680", "long-unsigned 2305", "enum 1"],
      ["octet-string 07ea010104000f0000feb680", "long-unsigned 2305", "enum 1"],
      ["octet-string 07ea010104002d0000feb680", "long-unsigned 2306", "enum 1"],
    ]);
  });

  it("a delta is added to the value before, whose type it keeps", () => {
    const expanded = expandProfileRows(
      rows("0103 0202 06000186a0 10ff38 0202 1c9c 1d0001 0202 1fff 20ffff"),
      { clockColumn: null, capturePeriodSeconds: null },
    );
    expect(shown(expanded)).toEqual([
      ["double-long-unsigned 100000", "long -200"],
      ["double-long-unsigned 99900", "long -199"],
      ["double-long-unsigned 100155", "long 65336"],
    ]);
  });

  it("what nothing precedes stays, and a clock without a known period stays out", () => {
    expect(shown(expandProfileRows(rows("0102 0202 00 1c05 0202 00 00"), HALF_HOUR))).toEqual([
      ["null-data null", "integer 5"],
      ["null-data null", "integer 5"],
    ]);
    const noPeriod = { clockColumn: 0, capturePeriodSeconds: null };
    expect(
      shown(expandProfileRows(rows("0102 0201 090c07ea0718ff0a0f1e00feb600 0201 00"), noPeriod)),
    ).toEqual([["octet-string 07ea0718ff0a0f1e00feb600"], ["null-data null"]]);
  });

  it("unspecified weekdays and seconds stay unspecified", () => {
    const expanded = expandProfileRows(rows("0102 0201 090c07ea0718ff0a0fffff8000ff 0201 00"), HALF_HOUR);
    expect(shown(expanded)[1]).toEqual(["octet-string 07ea0718ff0a2dffff8000ff"]);
  });

  it("leaves rows alone that need nothing", () => {
    const plain = rows("0101 0202 1105 1106");
    expect(expandProfileRows(plain, HALF_HOUR)[0]).toBe(plain[0]);
  });
});
