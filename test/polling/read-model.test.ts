import { describe, expect, it } from "vitest";
import { modelToJson } from "../../src/dlms/cosem/meter-model.ts";
import { modelFromJson } from "../../src/dlms/cosem/meter-model-reader.ts";
import { PollError, type ReadRequest } from "../../src/polling/meter-association.ts";
import { ModelBuilder, readModel } from "../../src/polling/read-model.ts";
import { FakeAssociation } from "../support/fake-association.ts";

/* Object lists by hand: class, version, logical name, access rights (attributes with mode and no selectors, methods). */
const rights = (modes: readonly number[]) => {
  const items = modes.map((mode, i) => `0203 0f${(i + 1).toString(16).padStart(2, "0")} 160${mode} 00`);
  return `0202 01${modes.length.toString(16).padStart(2, "0")} ${items.join(" ")} 0100`;
};
const element = (classId: string, version: string, obis: string, modes: readonly number[]) =>
  `0204 12${classId} 11${version} 0906 ${obis} ${rights(modes)}`;
const list = (...elements: string[]) => `010${elements.length} ${elements.join(" ")}`;

const CLOCK = "0000010000ff";
const BLOCK = "0100630100ff";
const CONTEXT = (key: string) => `0206 0418 20189d 1202ee 1202ee 1106 0f00 09${key}`;

const READER = list(
  element("000f", "02", "0000280000ff", [1, 1, 1, 1, 1, 1, 3, 1]),
  element("0008", "00", CLOCK, [1, 1, 0, 2]),
  element("0007", "01", BLOCK, [1, 1, 1, 1, 1, 1, 1, 1]),
);
const BLOCK_ATTRIBUTES = {
  "7/1.0.99.1.0.255/2": "0101 0202 090c 07ea0718ff0a0f0000feb600 120064",
  "7/1.0.99.1.0.255/5": "16 01",
  "7/1.0.99.1.0.255/7": "06 00000b40",
};

function reader(more: Readonly<Record<string, string>> = {}) {
  return new FakeAssociation(
    {
      "15/0.0.40.0.0.255/2": READER,
      "15/0.0.40.0.0.255/5": CONTEXT("10 00112233445566778899aabbccddeeff"),
      "15/0.0.40.0.0.255/7": "0908 3132333435363738",
      "8/0.0.1.0.0.255/2": "090c 07ea0718ff0a0f1e00feb600",
      ...BLOCK_ATTRIBUTES,
      ...more,
    },
    { clientSap: 32 },
  );
}

const modelOf = (builder: ModelBuilder) =>
  modelToJson({
    readAt: "2026-07-24T04:45:30.000Z",
    meter: {
      meterNumber: null,
      meterType: null,
      manufacturer: null,
      logicalDeviceName: null,
      systemTitle: null,
    },
    associations: builder.associations,
    objects: builder.objects,
  }) as { associations: unknown[]; objects: { logical_name: string; attributes: Record<string, unknown> }[] };

const objectOf = (builder: ModelBuilder, logicalName: string) =>
  modelOf(builder).objects.find((one) => one.logical_name === logicalName)!.attributes;

describe("reading a model", () => {
  it("reads what may be read, and notes what may not or was refused", async () => {
    const meter = reader();
    const builder = new ModelBuilder();
    const seen: number[] = [];
    const onObject = (object: { classId: number }) => seen.push(object.classId);
    await readModel(meter, builder, { serverSap: 1, rowsMax: 96, onObject });
    expect(seen).toEqual([15, 8, 7]);
    expect(objectOf(builder, "0.0.1.0.0.255")).toEqual({
      "1": { data: { os: CLOCK } },
      "2": { data: { os: "07ea0718ff0a0f1e00feb600" } },
      "3": { missing: "not readable" },
      "4": { missing: "not readable" },
    });
    expect(objectOf(builder, "1.0.99.1.0.255")).toMatchObject({
      "3": { missing: "object-undefined" },
      "7": { data: { "double-long-unsigned": 2880 } },
    });
    expect(modelOf(builder).associations).toMatchObject([
      { client_sap: 32, server_sap: 1, version: 2, conformance: "20189d" },
    ]);
    expect(meter.asked).not.toContain("8/0.0.1.0.0.255/3");
  });

  it("neither asks for secrets nor keeps the dedicated key", async () => {
    const meter = reader();
    const builder = new ModelBuilder();
    await readModel(meter, builder, { serverSap: 1, rowsMax: 96 });
    const association = objectOf(builder, "0.0.40.0.0.255");
    expect(association["7"]).toEqual({ missing: "secret" });
    expect(meter.asked).not.toContain("15/0.0.40.0.0.255/7");
    expect(association["5"]).toMatchObject({ data: { structure: [{}, {}, {}, {}, {}, { os: "" }] } });
    expect(JSON.stringify(modelOf(builder))).not.toContain("00112233445566778899aabbccddeeff");
  });

  it.each([
    [
      "the last of 2,880, the oldest first",
      {},
      "7/1.0.99.1.0.255/2 0204 0600000ae1 0600000b40 120001 120000",
    ],
    [
      "the first, the newest first",
      { "7/1.0.99.1.0.255/5": "1602" },
      "7/1.0.99.1.0.255/2 02040600000001 0600000060 120001 120000",
    ],
    ["all where they are few", { "7/1.0.99.1.0.255/7": "0600000060" }, "7/1.0.99.1.0.255/2"],
  ])("reads the newest rows only: %s", async (_what, more, asked) => {
    const meter = reader(more);
    await readModel(meter, new ModelBuilder(), { serverSap: 1, rowsMax: 96 });
    const [name, ...parameters] = asked.split(" ");
    expect(meter.asked.at(-1)).toBe([name, parameters.join("")].join(parameters.length > 0 ? " " : ""));
  });

  it("takes from a second association what the first could not read, and asks for nothing twice", async () => {
    const builder = new ModelBuilder();
    await readModel(reader(), builder, { serverSap: 1, rowsMax: 96 });
    const setter = new FakeAssociation(
      {
        "15/0.0.40.0.0.255/2": list(
          element("0008", "00", CLOCK, [1, 3, 3]),
          element("0046", "00", "000060030aff", []),
        ),
        "8/0.0.1.0.0.255/3": "10 feb6",
        "70/0.0.96.3.10.255/2": "03 01",
      },
      { clientSap: 48 },
    );
    await readModel(setter, builder, { serverSap: 1, rowsMax: 96 });
    expect(setter.asked).toEqual([
      ...["15/0.0.40.0.0.255/2", "8/0.0.1.0.0.255/3"],
      // The list names no attributes of it: those of the class.
      ...["70/0.0.96.3.10.255/2", "70/0.0.96.3.10.255/3", "70/0.0.96.3.10.255/4"],
    ]);
    expect(objectOf(builder, "0.0.1.0.0.255")).toMatchObject({ "2": {}, "3": { data: { long: -330 } } });
    expect(objectOf(builder, "0.0.96.3.10.255")).toMatchObject({
      "2": { data: { boolean: true } },
      "3": { missing: "object-undefined" },
    });
    expect(modelFromJson(modelOf(builder)).associations.map(({ clientSap }) => clientSap)).toEqual([32, 48]);
  });

  it("notes an answer that makes no sense, alone or in a list, and goes on", async () => {
    const meter = reader();
    const asked = (requests: readonly ReadRequest[] | undefined, classId: number, attributeId: number) =>
      requests?.some(
        ({ attribute }) => attribute.classId === classId && attribute.attributeId === attributeId,
      );
    meter.onRequest = (_kind, requests) => {
      if (asked(requests, 15, 3) || asked(requests, 7, 2)) {
        throw new PollError("protocol", "block 1 came in place of 2", { associationStands: true });
      }
    };
    const builder = new ModelBuilder();
    await readModel(meter, builder, { serverSap: 1, rowsMax: 96 });
    expect(objectOf(builder, "0.0.40.0.0.255")).toMatchObject({
      "2": { data: {} },
      "3": { missing: "block 1 came in place of 2" },
      "5": { data: {} },
    });
    expect(objectOf(builder, "0.0.1.0.0.255")).toMatchObject({ "2": { data: {} } });
    expect(objectOf(builder, "1.0.99.1.0.255")).toMatchObject({
      "2": { missing: "block 1 came in place of 2 (asked for 96 of its rows)" },
      "7": { data: {} },
    });
  });

  it("goes on with the next object in a new association where it broke, and not for ever", async () => {
    const silentAt = (...classes: number[]) => {
      const meter = reader();
      meter.onRequest = (_kind, requests) => {
        const { classId, attributeId } = requests![0]!.attribute;
        if (classes.includes(classId) && !(classId === 15 && attributeId === 2 && requests!.length === 1)) {
          throw new PollError("timeout", "no answer within 10000 ms");
        }
      };
      return meter;
    };
    const builder = new ModelBuilder();
    const opened: number[] = [];
    const again = (meter: FakeAssociation) => async () => {
      opened.push(1);
      return meter;
    };
    const meter = silentAt(8);
    await readModel(meter, builder, { serverSap: 1, rowsMax: 96, reopen: again(meter) });
    expect(objectOf(builder, "0.0.1.0.0.255")).toMatchObject({
      "2": { missing: "no answer within 10000 ms" },
    });
    expect(objectOf(builder, "1.0.99.1.0.255")).toMatchObject({ "7": { data: {} } });
    expect(opened).toHaveLength(1);
    // Nobody opens it anew: then it ends there.
    await expect(
      readModel(silentAt(8), new ModelBuilder(), { serverSap: 1, rowsMax: 96 }),
    ).rejects.toMatchObject({ failure: "timeout" });
    const gone = reader({
      "15/0.0.40.0.0.255/2": list(
        ...["08", "03", "01", "04", "05"].map((classId) => element(`00${classId}`, "00", CLOCK, [1, 1])),
      ),
    });
    gone.onRequest = (_kind, requests) => {
      if (requests![0]!.attribute.classId !== 15) throw new PollError("connection-lost", "gone");
    };
    await expect(
      readModel(gone, new ModelBuilder(), { serverSap: 1, rowsMax: 96, reopen: again(gone) }),
    ).rejects.toMatchObject({ failure: "connection-lost" });
    expect(opened).toHaveLength(4);
  });

  it("says why it can't where there is no object list", async () => {
    const meter = new FakeAssociation({});
    await expect(readModel(meter, new ModelBuilder(), { serverSap: 1, rowsMax: 96 })).rejects.toThrow(
      "the meter's object list could not be read: object-undefined",
    );
    const odd = new FakeAssociation({ "15/0.0.40.0.0.255/2": "0101 0203 120008 1100 0906 0000010000ff" });
    await expect(readModel(odd, new ModelBuilder(), { serverSap: 1, rowsMax: 96 })).rejects.toThrow(
      "object_list[0]: structure of 3 where structure of 4 is expected",
    );
  });
});
