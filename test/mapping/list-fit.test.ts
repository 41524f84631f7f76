import { describe, expect, it } from "vitest";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";
import { decodePush } from "../../src/mapping/body.ts";
import { CaptureLists } from "../../src/mapping/capture-lists.ts";
import { recordsOfCatalogue } from "../../src/mapping/catalogue-records.ts";
import { configureMapping, type ListRecord } from "../../src/mapping/configuration.ts";

const records = recordsOfCatalogue(loadCatalogue());
const CLOCK = "090c07ea0718ff0a1e0000feb600";

/** structure of `count`: device id "M1", push setup, and what `columns` says. */
function listOf(
  category: string,
  pushSetup: string,
  count: string,
  columns: string,
  lists: readonly ListRecord[] = [],
) {
  const configuration = configureMapping({ ...records, lists: [...records.lists, ...lists] });
  const scope = { id: "m", meterType: "T", category };
  const body = Buffer.from(`02${count}0a024d310906${pushSetup}${columns}`, "hex");
  const limits = { depthMax: 8, elementsMax: 1_000 };
  return decodePush(body, { lists: new CaptureLists(configuration).for(scope), limits }).list;
}

/** V · Wh · VAh · Wh export · VAh export · A */
const BLOCK = `${CLOCK}12091806000000640600000066060000000006000000001201c2`;

describe("two lists of one length", () => {
  it("are told apart by the type of a value: a health indicator has one octet, a neutral current two", () => {
    const last = (value: string) => listOf("D1", "0005190900ff", "0a", BLOCK + value)?.columns.at(-1)?.code;
    expect(last("1100")).toBe("0.0.96.10.1.255");
    expect(last("1201b8")).toBe("1.0.91.27.0.255");
    expect(last("1740866666")).toBe("1.0.91.27.0.255");
    // Nothing to go by: the list that the catalogue has first.
    expect(last("00")).toBe("0.0.96.10.1.255");
  });

  it("are told apart by a time: export demands have theirs, quadrants have none", () => {
    // 0.132.25.9.0: date, power factor, 18 energies, 18 demands W and 18 VA with their times, power-on, export Wh and VAh.
    const demand = `0600000001${CLOCK}`;
    const common = `${CLOCK}1203e8${"0600000001".repeat(18)}${demand.repeat(18)}${"0600000001".repeat(3)}`;
    const tail = (columns: string) =>
      listOf("D2", "0084190900ff", "41", common + columns)
        ?.columns.slice(-4)
        .map(({ code, attribute }) => `${code}/${attribute}`);
    expect(tail(demand.repeat(2))).toEqual([
      "1.0.2.6.0.255/2",
      "1.0.2.6.0.255/5",
      "1.0.10.6.0.255/2",
      "1.0.10.6.0.255/5",
    ]);
    expect(tail("0600000001".repeat(4))).toEqual([5, 6, 7, 8].map((quadrant) => `1.0.${quadrant}.8.0.255/2`));
  });

  it("don't compete where one is meant for the meter's type: it wins whatever comes", () => {
    const neutral = records.lists.find(({ name }) => name === "D1 block with neutral current")!;
    const own = { ...neutral, id: 10_000, category: null, meterType: "T" };
    const list = listOf("D1", "0005190900ff", "0a", `${BLOCK}1100`, [own]);
    expect(list?.columns.at(-1)?.code).toBe("1.0.91.27.0.255");
  });
});
