import { describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { parseHex } from "../../src/dlms/bytes/hex.ts";
import { formatObis } from "../../src/dlms/cosem/obis-code.ts";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { capturesOf } from "../../src/mapping/captured.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping } from "../../src/mapping/configuration.ts";

const lists = new CaptureLists(configureMapping(recordsOfCatalogue(loadCatalogue()))).forAnybody();
const limits = { depthMax: 16, elementsMax: 1000 };
const decode = (hex: string) => decodePush(parseHex(hex), { lists, limits });

/** { enum 1, array of rows { class, logical name, attribute without tags; a tagged value } } */
const ROWS =
  "0202 1601 0103 0202 0001 0000600100ff 02 090441424344 0202 0003 0100010800ff 02 0600000064 0202 0046 000060030aff 03 1601";

describe("rows whose descriptors have no type tags", () => {
  it("name their values, and whose they are", () => {
    const push = decode(ROWS);
    expect(push).toMatchObject({ layout: "obis-value", identifiers: ["ABCD"], problem: null });
    const [row] = capturesOf(push);
    expect(row!.map((c) => [formatObis(c.obis), c.classId, c.attribute, c.data.value])).toEqual([
      ["0.0.96.1.0.255", 1, 2, parseHex("41424344")],
      ["1.0.1.8.0.255", 3, 2, 100],
      ["0.0.96.3.10.255", 70, 3, 1],
    ]);
  });

  it.each([
    ["cut off", ROWS.slice(0, -2)],
    ["with an octet behind them", `${ROWS}00`],
    ["without any", "0202 1601 0100 00"],
    ["of three members", ROWS.replace("0202 0003", "0203 0003")],
  ])("%s are no Data either", (_, hex) => {
    expect(() => decode(hex)).toThrow(expect.objectContaining({ name: "DecodeError" }));
  });
});

describe("null-data in place of code and value", () => {
  it("is passed over", () => {
    // list name, 1.1.1.7.0.255 = 1896, two absent, 1.1.32.7.0.255 = 230
    const push = decode("0207 0a024b56 0906 0101010700ff 0600000768 00 00 0906 0101200700ff 1200e6");
    const [row] = capturesOf(push);
    expect(row!.map((c) => [formatObis(c.obis), c.data.value])).toEqual([
      ["1.1.1.7.0.255", 1896],
      ["1.1.32.7.0.255", 230],
    ]);
  });
});
