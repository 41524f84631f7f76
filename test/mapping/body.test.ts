import { describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { DecodeError } from "../../src/dlms/bytes/errors.ts";
import { formatObis } from "../../src/dlms/cosem/obis-code.ts";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { capturesOf } from "../../src/mapping/captured.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping, type ListRecord } from "../../src/mapping/configuration.ts";

const records = recordsOfCatalogue(loadCatalogue());
const entry = (code: string, classId = 3, attribute = 2) => ({ code, classId, attribute, dataIndex: 0 });
const positional: ListRecord = {
  ...{ id: 900, setupId: null, name: "three values", pushSetup: null, kind: "single" },
  ...{ meterId: null, meterType: "posi", category: null },
  entries: [entry("0.0.42.0.0.255", 1), entry("1.0.32.7.0.255"), entry("1.0.1.8.0.255")],
};
const own: ListRecord = {
  ...positional,
  ...{ id: 901, name: "one meter's", meterId: "special", meterType: null },
  entries: [entry("0.0.42.0.0.255", 1), entry("1.0.52.7.0.255"), entry("1.0.2.8.0.255")],
};
const configuration = configureMapping({ ...records, lists: [...records.lists, positional, own] });
const all = new CaptureLists(configuration);
const LIMITS = { depthMax: 16, elementsMax: 20_000 };

function decode(hex: string, meter: { id?: string; meterType?: string; category?: string } = {}) {
  const whose = { id: "m", meterType: "D1", category: "D1", ...meter };
  const body = Buffer.from(hex.replaceAll(/\s+/g, ""), "hex");
  return decodePush(body, { lists: all.for(whose), limits: LIMITS });
}

const named = (push: ReturnType<typeof decode>) =>
  capturesOf(push).map((row) => row.map(({ obis, data }) => [formatObis(obis), data.value]));

/* 02 n structure · 0A 06 "GIN001" · 09 06 name of the push setup · 09 0C 2026-10-06 00:00:00, no deviation. */
const HEAD = "0a06 47494e303031";
const SETUP = (octets: string) => `0906 ${octets}`;
const CLOCK = "090c 07ea0a06ff00000000800000";

describe("IS 15959", () => {
  it("flat: device id, push setup, then the columns with the clock first", () => {
    // Daily: 06 double-long-unsigned 1000, 1100, 2, 3.
    const push = decode(
      `0207 ${HEAD} ${SETUP("0006190900ff")} ${CLOCK} 06000003e8 060000044c 0600000002 0600000003`,
    );
    expect(push).toMatchObject({ layout: "is15959-flat", identifiers: ["GIN001"], problem: null });
    expect(formatObis(push.pushSetup!)).toBe("0.6.25.9.0.255");
    expect(named(push)[0]!.slice(1)).toEqual([
      ["1.0.1.8.0.255", 1000],
      ["1.0.9.8.0.255", 1100],
      ["1.0.2.8.0.255", 2],
      ["1.0.10.8.0.255", 3],
    ]);
  });

  it("nested: a clock and the profile's buffer; what is null-data or a delta follows from the row before", () => {
    const row1 = `0205 ${CLOCK} 06000003e8 060000044c 0600000002 0600000003`;
    // null-data for the clock and two registers, delta-unsigned (1f) 5 for the first.
    const row2 = "0205 00 1f05 1f06 00 00";
    const push = decode(`0204 ${HEAD} ${SETUP("0006190900ff")} ${CLOCK} 0102 ${row1} ${row2}`);
    expect(push).toMatchObject({ layout: "is15959-nested", problem: null });
    const second = named(push)[1]!;
    expect((second[0]![1] as Buffer).toString("hex")).toBe("07ea0a07ff00000000800000");
    expect(second.slice(1)).toEqual([
      ["1.0.1.8.0.255", 1005],
      ["1.0.9.8.0.255", 1106],
      ["1.0.2.8.0.255", 2],
      ["1.0.10.8.0.255", 3],
    ]);
  });

  it("an empty buffer has no rows and is no problem", () => {
    const push = decode(`0204 ${HEAD} ${SETUP("0005190900ff")} ${CLOCK} 0100`);
    expect(push).toMatchObject({ layout: "is15959-nested", rows: [], problem: null });
    expect(push.list!.kind).toBe("block");
  });

  it("alert: a clock and the event status word", () => {
    // 04 8180: bit-string of 128 bits; bit 85 is octet 10, mask 04.
    const word = `${"00".repeat(10)}04${"00".repeat(5)}`;
    const push = decode(`0204 ${HEAD} ${SETUP("0004190900ff")} ${CLOCK} 048180 ${word}`);
    expect(push.layout).toBe("is15959-esw");
    expect(formatObis(push.list!.columns[1]!.obis)).toBe("0.0.94.91.18.255");
  });

  it("takes a push without a device id and one with two", () => {
    const tail = `${SETUP("0006190900ff")} ${CLOCK} 06000003e8 060000044c 0600000002 0600000003`;
    expect(decode(`0206 ${tail}`)).toMatchObject({ identifiers: [], layout: "is15959-flat", problem: null });
    const two = decode(`0208 ${HEAD} 0906 47494e303032 ${tail}`);
    expect(two.identifiers).toEqual(["GIN001", "GIN002"]);
  });

  it("says how many values came and how many the configured lists have", () => {
    const push = decode(`0205 ${HEAD} ${SETUP("0006190900ff")} ${CLOCK} 0600000001 0600000002`);
    expect(push.list).toBeNull();
    expect(push.identifiers).toEqual(["GIN001"]);
    expect(push.problem).toContain("0.6.25.9.0.255 came with 3 values");
    expect(push.problem).toContain("5");
  });
});

/* Entries of a push object list: 02 n · 12 class · 09 06 logical name · 0F attribute · 12 data index · … */
const OBJECT4 = (classId: string, name: string) => `0204 12${classId} 0906${name} 0f02 120000`;
const OBJECT5 = (classId: string, name: string) => `0205 12${classId} 0906${name} 0f02 120000 0202 1600 00`;
const OBJECT6 = (classId: string, name: string) =>
  `0206 12${classId} 0906${name} 0f02 120000 0202 1600 00 0100`;

describe("a push object list in front", () => {
  it.each([
    ["four", OBJECT4],
    ["five", OBJECT5],
    ["six", OBJECT6],
  ])("with %s fields an entry, the first time and again", (_, object) => {
    const list = `0103 ${object("0028", "0000190900ff")} ${object("0001", "00002a0000ff")} ${object("0003", "0100200700ff")}`;
    const first = decode(`0203 ${list} 0903 414243 120903`);
    const second = decode(`0203 ${list} 0903 444546 120904`);
    expect([first.identifiers, second.identifiers]).toEqual([["ABC"], ["DEF"]]);
    expect(named(first)[0]!.slice(2)).toEqual([["1.0.32.7.0.255", 2307]]);
    expect(named(second)[0]!.slice(2)).toEqual([["1.0.32.7.0.255", 2308]]);
    // The plan hangs on the list: the same one for both.
    expect(second.list).toBe(first.list);
    expect(second.layout).toBe("push-object-list");
  });

  it("that does not name itself", () => {
    const list = `0102 ${OBJECT4("0003", "0100200700ff")} ${OBJECT4("0003", "0100340700ff")}`;
    const bodies = [`0203 ${list} 120001 120002`, `0203 ${list} 120003 120004`];
    expect(bodies.map((body) => named(decode(body))[0])).toEqual([
      [
        ["1.0.32.7.0.255", 1],
        ["1.0.52.7.0.255", 2],
      ],
      [
        ["1.0.32.7.0.255", 3],
        ["1.0.52.7.0.255", 4],
      ],
    ]);
  });

  it("with more values than objects is a problem, known list or not", () => {
    const list = `0102 ${OBJECT4("0028", "0000190900ff")} ${OBJECT4("0003", "0100200700ff")}`;
    expect(decode(`0202 ${list} 120001`).problem).toBeNull();
    expect(decode(`0204 ${list} 120001 120002 120003`)).toMatchObject({ list: null });
  });

  it("a known list does not hide octets that are wrong behind it", () => {
    const list = `0102 ${OBJECT4("0028", "0000190900ff")} ${OBJECT4("0003", "0100200700ff")}`;
    decode(`0202 ${list} 120001`);
    expect(() => decode(`0202 ${list} 1200`)).toThrow(DecodeError);
    expect(() => decode(`0202 ${list} 120001 00`)).toThrow(DecodeError);
    expect(() => decode(`0202 ${list} 99`)).toThrow(DecodeError);
  });
});

describe("values that carry their names", () => {
  it.each([
    [
      "nested",
      "0102 0203 0906 0100200700ff 120902 0202 0fff 1623 0203 0906 0100340700ff 120903 0202 0fff 1623",
    ],
    ["flat", "0206 0906 0100200700ff 120902 0202 0fff 1623 0906 0100340700ff 120903 0202 0fff 1623"],
    [
      "the first flat",
      "0204 0906 0100200700ff 120902 0202 0fff 1623 0203 0906 0100340700ff 120903 0202 0fff 1623",
    ],
  ])("OBIS, value, scaler and unit: %s", (_, body) => {
    const push = decode(body);
    expect(push.layout).toBe("obis-value-scaler");
    expect(capturesOf(push)[0]).toMatchObject([
      { scaler: -1, unit: 35, data: { value: 2306 } },
      { scaler: -1, unit: 35, data: { value: 2307 } },
    ]);
  });

  it.each([
    ["nested", "0202 0202 0906 0000600100ff 0903 313233 0202 0906 0100010800ff 0600000064"],
    ["flat", "0204 0906 0000600100ff 0903 313233 0906 0100010800ff 0600000064"],
  ])("OBIS and value: %s", (_, body) => {
    const push = decode(body);
    expect(push).toMatchObject({ layout: "obis-value", identifiers: ["123"] });
    expect(named(push)[0]![1]).toEqual(["1.0.1.8.0.255", 100]);
  });
});

describe("values without names", () => {
  const body = "0203 0903 313233 120902 0600000064";

  it("are those of the list that the meter's type has for so many", () => {
    const push = decode(body, { meterType: "posi" });
    expect(push).toMatchObject({ layout: "positional", identifiers: ["123"] });
    expect(named(push)[0]!.slice(1)).toEqual([
      ["1.0.32.7.0.255", 2306],
      ["1.0.1.8.0.255", 100],
    ]);
  });

  it("are the meter's own list's where it has one", () => {
    const push = decode(body, { id: "special", meterType: "posi" });
    expect(named(push)[0]!.slice(1)).toEqual([
      ["1.0.52.7.0.255", 2306],
      ["1.0.2.8.0.255", 100],
    ]);
  });

  it("are nobody's without a list, but may say whose they are", () => {
    expect(decode(body)).toMatchObject({ list: null, layout: null, identifiers: ["123"] });
  });
});

it("octets that are no Data are refused, whole or cut", () => {
  const body = `0207 ${HEAD} ${SETUP("0006190900ff")} ${CLOCK} 06000003e8 060000044c 0600000002 0600000003`;
  const octets = body.replaceAll(" ", "");
  for (let end = 0; end < octets.length; end += 2)
    expect(() => decode(octets.slice(0, end))).toThrow(DecodeError);
  expect(() => decode(`${octets}00`)).toThrow(DecodeError);
});
