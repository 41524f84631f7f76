import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import { DataMismatch } from "../../src/dlms/cosem/classes/data-codec.ts";
import { attributeValue } from "../../src/dlms/cosem/classes/interface-class.ts";
import { profileGeneric } from "../../src/dlms/cosem/classes/profile-generic.ts";
import { formatObis, parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { clockColumnOf, profileRows } from "../../src/dlms/cosem/profile-buffer.ts";
import {
  CLOCK_TIME,
  entriesFromTo,
  readSelection,
  rowsBetween,
  selectedColumns,
  writeSelection,
} from "../../src/dlms/cosem/selective-access.ts";
import { readData, writeData } from "../../src/dlms/encoding/data.ts";
import { readDateTime, toEpochMs } from "../../src/dlms/encoding/date-time.ts";

const decode = (hex: string) =>
  readData(new Reader(parseHex(hex.replaceAll(" ", ""))), { depthMax: 16, elementsMax: 200_000 });
const encode = (data: Parameters<typeof writeData>[1]) => {
  const writer = new Writer();
  writeData(writer, data);
  return toHex(writer.finish());
};

const day = (dayOfMonth: number) => ({
  ...{ year: 2026, month: 7, dayOfMonth, dayOfWeek: null },
  ...{ hour: 0, minute: 0, second: 0, hundredths: 0, deviation: -330, clockStatus: 0 },
});

/** Parameters of the worked requests in DLMS-FACTS 19.3: one day of 1.0.99.1.0, and entries 1 to 10 of 0.0.99.98.0. */
const ONE_DAY =
  "020402041200080906" + "0000010000ff0f02120000090c07ea0718ff00000000feb600090c07ea0719ff00000000feb6000100";
const TEN_ENTRIES = "0204060000000106 0000000a 120001 120000".replaceAll(" ", "");

describe("selective access", () => {
  it("by range is the worked request of one day", () => {
    const range = rowsBetween(day(24), day(25));
    expect(range.selector).toBe(1);
    expect(encode(range.parameters)).toBe(ONE_DAY);
    expect(readSelection({ selector: 1, parameters: decode(ONE_DAY) })).toMatchObject({
      kind: "range",
      restrictingObject: CLOCK_TIME,
      selectedValues: [],
    });
  });

  it("by entry is the worked request of ten rows", () => {
    const entries = entriesFromTo(1, 10);
    expect(entries.selector).toBe(2);
    expect(encode(entries.parameters)).toBe(TEN_ENTRIES);
    expect(readSelection({ selector: 2, parameters: decode(TEN_ENTRIES) })).toEqual({
      ...{ kind: "entry", fromEntry: 1, toEntry: 10, fromSelectedValue: 1, toSelectedValue: 0 },
    });
  });

  it("of something else is told", () => {
    expect(() => readSelection({ selector: 3, parameters: decode("00") })).toThrow("selector 3");
    expect(() =>
      readSelection({ selector: 2, parameters: decode("020306000000010600000000120001") }),
    ).toThrow(DataMismatch);
    const narrow = { fromEntry: 1, toEntry: 0, fromSelectedValue: 1, toSelectedValue: 70_000 };
    expect(() => writeSelection({ kind: "entry", ...narrow })).toThrow("toSelectedValue: 70000");
  });

  it("chooses columns", () => {
    const energy = (code: string) => ({
      ...{ classId: 3, logicalName: parseObis(code), attributeIndex: 2, dataIndex: 0 },
    });
    const columns = [
      CLOCK_TIME,
      energy("1.0.1.29.0.255"),
      energy("1.0.9.29.0.255"),
      energy("1.0.2.29.0.255"),
    ];
    const entry = (fromSelectedValue: number, toSelectedValue: number) =>
      selectedColumns(columns, {
        ...{ kind: "entry", fromEntry: 1, toEntry: 0 },
        fromSelectedValue,
        toSelectedValue,
      });
    expect(selectedColumns(columns, null)).toEqual([0, 1, 2, 3]);
    expect([entry(1, 0), entry(2, 3), entry(4, 9), entry(5, 0), entry(0, 1)]).toEqual([
      ...[[0, 1, 2, 3], [1, 2], [3], [], [0]],
    ]);
    const chosen = rowsBetween(day(1), day(2), [columns[3]!, CLOCK_TIME, energy("1.0.99.99.0.255")]);
    expect(selectedColumns(columns, readSelection(chosen))).toEqual([0, 3]);
    expect(selectedColumns(columns, readSelection(rowsBetween(day(1), day(2))))).toEqual([0, 1, 2, 3]);
  });
});

/** Two block load rows of DLMS-FACTS 19.5, without the push around them. */
const BLOCKS =
  "0102 0208 090c07ea0718ff0a0f0000feb600 120902 120064 120066 120000 120000 1201c2 1100" +
  "0208 090c07ea0718ff0a1e0000feb600 120903 120065 120067 120000 120000 1201c4 1100";

const column = (classId: number, code: string) => ({
  ...{ classId, logicalName: parseObis(code), attributeIndex: 2, dataIndex: 0 },
});
const BLOCK_COLUMNS = [
  CLOCK_TIME,
  ...["12.27", "1.29", "9.29", "2.29", "10.29", "11.27"].map((cd) => column(3, `1.0.${cd}.0.255`)),
  column(1, "0.0.96.10.1.255"),
];

describe("a profile's buffer", () => {
  it("has a value for every capture object", () => {
    const rows = profileRows(decode(BLOCKS), BLOCK_COLUMNS, 900);
    expect(rows.map((row) => row.slice(1).map(({ value }) => value))).toEqual([
      [2306, 100, 102, 0, 0, 450, 0],
      [2307, 101, 103, 0, 0, 452, 0],
    ]);
  });

  it("that has other columns is refused by the row", () => {
    expect(() => profileRows(decode(BLOCKS), BLOCK_COLUMNS.slice(1), 900)).toThrow(
      "[0]: structure of 8 where structure of 7 is expected",
    );
    expect(() => profileRows(decode("0101 1200ff"), BLOCK_COLUMNS, 900)).toThrow("[0]: long-unsigned");
    expect(() => profileRows(decode("0900"), BLOCK_COLUMNS, 900)).toThrow("array of rows");
  });

  it("without rows has none", () => {
    expect(profileRows(decode("0100"), BLOCK_COLUMNS, 900)).toEqual([]);
    expect(profileRows(decode("00"), BLOCK_COLUMNS, 900)).toEqual([]);
  });

  it("knows its clock", () => {
    expect(clockColumnOf(BLOCK_COLUMNS)).toBe(0);
    expect(clockColumnOf(BLOCK_COLUMNS.slice(1))).toBeNull();
    expect(clockColumnOf([column(3, "1.0.1.8.0.255"), CLOCK_TIME])).toBe(1);
  });
});

/** Captures of the field are read where they lie beside a checkout; without them these tests are skipped. */
const FILE = new URL("../../../shared/vectors/field-frames.jsonl", import.meta.url);
const present = existsSync(FILE);
if (!present) console.warn(`SKIPPED: the field frames are not there (${FILE.pathname})`);
const frame = (id: string) =>
  readFileSync(FILE, "utf8")
    .split("\n")
    .filter((line) => line.includes(`"${id}"`))
    .map((line) => JSON.parse(line) as { id: string; hex: string; plaintext?: string })
    .find((vector) => vector.id === id)!;

describe.skipIf(!present)("profiles of the field", () => {
  it("whose clock is left out in further rows: the time before and a period", () => {
    const columns = [CLOCK_TIME, ...[1, 2, 3, 4, 5, 6, 7].map((e) => column(3, `1.0.${e}.8.0.255`))];
    const rows = profileRows(decode(frame("cx-profile-2").hex), columns, 3600);
    const zone = { deviationSign: "standard", offsetMinutesAt: () => 0 } as const;
    const times = rows.map(([time]) => toEpochMs(readDateTime(time!.value as Buffer, 0), zone));
    expect(times).toEqual([0, 1, 2].map((hour) => Date.UTC(2010, 8, 8, 11 + hour)));
  });

  it("are told by their capture objects", () => {
    const objects = attributeValue(profileGeneric, "captureObjects", decode(frame("spodes-profile-1").hex));
    expect(objects.map((o) => [o.classId, formatObis(o.logicalName), o.attributeIndex])).toEqual([
      [8, "0.0.1.0.0.255", 2],
      [1, "0.0.96.11.0.255", 2],
      [3, "1.0.12.7.0.255", 2],
      [3, "1.0.12.7.4.255", 2],
      [1, "0.0.96.8.10.255", 2],
      [3, "0.0.96.8.0.255", 2],
    ]);
  });
});
