import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { modelToJson } from "../../src/dlms/cosem/meter-model.ts";
import { modelFromJson } from "../../src/dlms/cosem/meter-model-reader.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { dataOfTree, treeOf } from "../../src/dlms/encoding/data-tree.ts";

const PAGE = readFileSync(new URL("../../docs/reference/meter-model.md", import.meta.url), "utf8");
const example = (): Record<string, unknown> => JSON.parse(/```json\n(.*?)```/s.exec(PAGE)![1]!);

describe("meter models", () => {
  it("are as the reference page says", () => {
    const model = modelFromJson(example());
    expect(model.readAt).toBe("2026-07-24T04:45:30.000Z");
    expect(model.meter.logicalDeviceName).toBe("GIN0000000001000");
    const [association] = model.associations;
    expect(association).toMatchObject({ clientSap: 48, serverSap: 1, version: 2, conformance: 0x20189d });
    expect(association!.objectList[0]).toEqual({
      ...{ classId: 7, version: 1, logicalName: parseObis("1.0.99.1.0.255") },
      accessRights: {
        attributeAccess: [1, 2, 3, 4, 5, 6, 7, 8].map((attributeId) => ({
          attributeId,
          accessMode: attributeId === 4 ? 3 : 1,
          accessSelectors: attributeId === 2 ? [1, 2] : null,
        })),
        methodAccess: [1, 2].map((methodId) => ({ methodId, accessMode: 0 })),
      },
    });
    expect([...model.objects[0]!.attributes]).toEqual([
      [1, { kind: "data", data: { type: "octet-string", value: Buffer.from("0000010000ff", "hex") } }],
      [
        2,
        {
          kind: "data",
          data: { type: "octet-string", value: Buffer.from("07ea0718ff0a0f1e00feb600", "hex") },
        },
      ],
      [9, { kind: "missing", reason: "read-write-denied" }],
    ]);
    expect(modelToJson(model)).toEqual(example());
  });

  it.each([
    ["no model", ["format"], "something", "is no meter model"],
    ["another version", ["version"], 2, "version 2"],
    ["a class that is text", ["objects", 0, "class"], "8", "the file.objects[0].class is no whole number"],
    ["an OBIS code", ["objects", 0, "logical_name"], "1.2", '"1.2" is not an OBIS code'],
    ["an attribute's number", ["objects", 0, "attributes", "time"], null, '"time" is no number'],
    [
      "an empty attribute",
      ["objects", 0, "attributes", "3"],
      {},
      "objects[0].attributes.3.missing is missing",
    ],
    ["too few bits", ["associations", 0, "conformance"], "20189", "six hex digits"],
    ["data", ["objects", 0, "attributes", "2", "data"], { os: "0x" }, 'attributes.2.data "0x" is no hex'],
    ["a list", ["objects"], {}, "the file.objects is no list"],
  ])("with a fault are refused by its place: %s", (_what, path, value, message) => {
    const model = example();
    let at = model as Record<string | number, unknown>;
    for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
    at[path.at(-1)!] = value;
    expect(() => modelFromJson(model)).toThrow(message);
  });
});

describe("Data as a tree", () => {
  it.each([
    [null, { type: "null-data", value: null }],
    [{ os: "0102" }, { type: "octet-string", value: Buffer.from([1, 2]) }],
    [{ vs: "ABC" }, { type: "visible-string", value: "ABC" }],
    [{ "utf8-string": "Aé" }, { type: "utf8-string", value: "Aé" }],
    [
      { structure: [{ integer: -3 }, { enum: 30 }] },
      {
        type: "structure",
        value: [
          { type: "integer", value: -3 },
          { type: "enum", value: 30 },
        ],
      },
    ],
    [
      { "long64-unsigned": "18446744073709551615" },
      { type: "long64-unsigned", value: 18446744073709551615n },
    ],
    [{ long64: -100 }, { type: "long64", value: -100 }],
    [{ "bit-string": "80" }, { type: "bit-string", value: { length: 8, octets: Buffer.from([0x80]) } }],
    [
      { "bit-string": "f8", bits: 7 },
      { type: "bit-string", value: { length: 7, octets: Buffer.from([0xf8]) } },
    ],
    [{ float32: "NaN" }, { type: "float32", value: Number.NaN }],
    [{ time: "0a0f1e00" }, { type: "time", value: Buffer.from("0a0f1e00", "hex") }],
    [{ "delta-long-unsigned": 7 }, { type: "delta-long-unsigned", value: 7 }],
    [{ bcd: 0x42 }, { type: "bcd", value: 0x42 }],
    [{ boolean: true }, { type: "boolean", value: true }],
  ] as const)("%j", (tree, data) => {
    expect(dataOfTree(tree)).toEqual(data);
    expect(treeOf(dataOfTree(tree))).toEqual(tree);
  });

  it.each([
    [undefined, "no object"],
    [{}, "empty"],
    [[], "no object"],
    [{ quark: 1 }, "no type"],
    [{ unsigned: 256 }, "range of unsigned"],
    [{ unsigned: -1 }, "range of unsigned"],
    [{ integer: 1.5 }, "no integer"],
    [{ unsigned: "7" }, "no unsigned"],
    [{ long64: "9223372036854775808" }, "range of long64"],
    [{ os: "123" }, "no hex"],
    [{ "date-time": "07ea" }, "12 octets, not 2"],
    [{ "bit-string": "80", bits: 9 }, "no bit-string"],
    [{ structure: 1 }, "no list"],
    [{ array: [{ os: "00" }, { os: 1 }] }, "data.array[1] 1 is no hex"],
    [{ os: "00", vs: "" }, "has vs beside os"],
  ])("%j is none", (tree, message) => {
    expect(() => dataOfTree(tree)).toThrow(message);
  });

  it("is not followed without end", () => {
    let tree: unknown = null;
    for (let i = 0; i < 100; i++) tree = { array: [tree] };
    expect(() => dataOfTree(tree)).toThrow("more than 32 lists");
  });
});
