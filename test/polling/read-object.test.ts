import { describe, expect, it } from "vitest";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { readDateTime } from "../../src/dlms/encoding/date-time.ts";
import { type RowsWanted, readObject } from "../../src/polling/read-object.ts";
import { FakeAssociation } from "../support/fake-association.ts";

/* Three rows of a clock and a register, in octets by hand. */
const CLOCKS = ["07ea0718050a0000 00feb600", "07ea0718050a1e00 00feb600", "07ea0718050b0000 00feb600"];
const rows = (order: readonly number[]) =>
  `010${order.length} ${order.map((at) => `0202 090c ${CLOCKS[at]} 12000${at}`).join(" ")}`;
const PROFILE = { classId: 7, instanceId: parseObis("1.0.99.1.0.255"), attributeId: 2 };
const at = (octets: string) => readDateTime(Buffer.from(octets.replaceAll(" ", ""), "hex"), 0);

function meter(newestFirst: boolean, selects: boolean): FakeAssociation {
  const association = new FakeAssociation({
    "7/1.0.99.1.0.255/2": rows(newestFirst ? [2, 1, 0] : [0, 1, 2]),
    "7/1.0.99.1.0.255/3":
      "0102 0204 120008 0906 0000010000ff 0f02 120000 0204 120001 0906 0100000a01ff 0f02 120000",
    "7/1.0.99.1.0.255/4": "06 00000708",
    "7/1.0.99.1.0.255/5": newestFirst ? "1602" : "1601",
    "7/1.0.99.1.0.255/7": "06 00000003",
  });
  association.selects = selects;
  return association;
}

async function read(association: FakeAssociation, wanted: RowsWanted): Promise<unknown> {
  const reading = await readObject(association, PROFILE, wanted, () => {});
  return reading.kind === "profile" ? reading.rows.map((row) => row[1]!.value) : reading;
}

describe("rows of a profile for people", () => {
  it("the last ones are the newest, wherever the meter has them", async () => {
    const fifo = meter(false, true);
    await read(fifo, { kind: "last", count: 2 });
    expect(fifo.asked.at(-1)).toBe("7/1.0.99.1.0.255/2 020406000000020600000003120001120000");
    const lifo = meter(true, true);
    await read(lifo, { kind: "last", count: 2 });
    expect(lifo.asked.at(-1)).toBe("7/1.0.99.1.0.255/2 020406000000010600000002120001120000");
  });

  it("where the meter doesn't select them, all are read and the wanted kept", async () => {
    expect(await read(meter(false, false), { kind: "last", count: 2 })).toEqual([1, 2]);
    expect(await read(meter(true, false), { kind: "last", count: 2 })).toEqual([2, 1]);
    // Day of week and deviation don't count.
    const range: RowsWanted = { kind: "range", from: at("07ea0718ff0a0100 00800000"), to: at(CLOCKS[2]!) };
    expect(await read(meter(false, false), range)).toEqual([1, 2]);
  });
});
