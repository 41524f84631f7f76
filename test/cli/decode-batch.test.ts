import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeLine } from "../../src/cli/decode/batch.ts";
import { FRAMINGS } from "../../src/cli/decode/framing.ts";
import { Naming } from "../../src/cli/decode/naming.ts";
import type { DecodeResult } from "../../src/cli/decode/result.ts";
import { REFUSAL_REASONS } from "../../src/refusal.ts";

const naming = new Naming({ depthMax: 16, elementsMax: 20_000 });

type Answer = DecodeResult & { id: unknown };
const decode = (input: object | string) =>
  decodeLine(typeof input === "string" ? input : JSON.stringify(input), naming) as Answer;

const KEYS = { guek: "000102030405060708090A0B0C0D0E0F", gak: "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF" };

/** Event status push of system title 4142430000000001, counter 16, authenticated and encrypted, wrapper 1 → 64. */
const STATUS_PUSH =
  "000100010040005BDB084142430000000001503000000010295184EC92371DEBAF0A7AF95A0B38165E94EAA3D45D0EA05AA6651FAC843D80F4867F578FAD0BD94303F386947F898FF7AD8AFE1D476F9866063C5DB5658E09D3C90EA0DCEF8E06E34AC4";
const STATUS_PLAIN =
  "0f00000001000204090c414243534d3030303030303109060004190900ff090c07ea0718ff0a0f1e00feb60004818010000000000000000000040000000000";

describe("one line of hes decode --batch", () => {
  it("is one answer with protection, plaintext, data, values and events", () => {
    const answer = decode({ id: "esw", framing: "wrapper", hex: STATUS_PUSH, keys: KEYS });
    expect(answer).toEqual({
      id: "esw",
      problems: [],
      apdus: [
        {
          apdu: "data-notification",
          direction: "push",
          protection: {
            control: "30",
            suite: 0,
            counter: 16,
            system_title: "4142430000000001",
            verified: true,
          },
          plaintext: STATUS_PLAIN,
          time: null,
          data: {
            structure: [
              { os: "414243534d30303030303031" },
              { os: "0004190900ff" },
              { os: "07ea0718ff0a0f1e00feb600" },
              { "bit-string": "10000000000000000000040000000000" },
            ],
          },
          values: [
            expect.objectContaining({ obis: "0.0.1.0.0.255", value: "2026-07-24T10:15:30+05:30" }),
            expect.objectContaining({ obis: "0.0.94.91.18.255", raw: "10000000000000000000040000000000" }),
          ],
          events: [
            expect.objectContaining({ code: 3, obis: "0.0.94.91.18.255", time: "2026-07-24T10:15:30+05:30" }),
            expect.objectContaining({ code: 85 }),
          ],
        },
      ],
    });
  });

  it("says verified only where a tag was checked", () => {
    const encryptedOnly =
      "000100010040004FDB084142430000000001442000000010295184EC92371DEBAF0A7AF95A0B38165E94EAA3D45D0EA05AA6651FAC843D80F4867F578FAD0BD94303F386947F898FF7AD8AFE1D476F9866063C5DB5658E";
    const answer = decode({ id: 1, framing: "auto", hex: encryptedOnly, keys: { guek: KEYS.guek } });
    expect(answer.apdus[0]).toMatchObject({
      plaintext: STATUS_PLAIN,
      protection: { control: "20", verified: false },
    });
    expect(answer.problems).toEqual([]);
  });

  it("refuses a wrong tag and shows nothing of what it protected", () => {
    const forged = `${STATUS_PUSH.slice(0, -2)}00`;
    const answer = decode({ id: "forged", framing: "wrapper", hex: forged, keys: KEYS });
    expect(answer.problems).toEqual([expect.objectContaining({ reason: "bad_tag" })]);
    expect(answer.apdus[0]).toMatchObject({
      apdu: "general-glo-ciphering",
      plaintext: null,
      data: null,
      values: [],
      protection: { verified: false },
    });
  });

  it("says which key is missing", () => {
    expect(decode({ framing: "wrapper", hex: STATUS_PUSH }).problems).toEqual([
      expect.objectContaining({ reason: "key_missing" }),
    ]);
    expect(decode({ framing: "wrapper", hex: STATUS_PUSH, keys: { guek: KEYS.guek } }).problems).toEqual([
      expect.objectContaining({ reason: "key_missing" }),
    ]);
  });

  it("scales as the frame says", () => {
    // structure of { 1.0.32.7.0.255, long-unsigned 2418, { −1, V } } and { 1.0.1.8.0.255, u64 2^53 + 1, { 0, Wh } }
    const hex =
      "0f00000001 0c 07ea0718ff0a0f1e00feb600 0202 0203 0906 0100200700ff 120972 02020fff1623 0203 0906 0100010800ff 150020000000000001 02020f00161e";
    const [apdu] = decode({ framing: "raw-apdu", hex }).apdus;
    expect(apdu!.time).toBe("2026-07-24T10:15:30+05:30");
    expect(apdu!.values).toEqual([
      expect.objectContaining({
        obis: "1.0.32.7.0.255",
        value: 241.8,
        raw: 2418,
        scaler: -1,
        unit: "V",
        attribute: 2,
      }),
      expect.objectContaining({ value: "9007199254740993", raw: "9007199254740993", unit: "Wh", class: 3 }),
    ]);
  });

  it("decodes a session message by message, with what the association said", () => {
    // GMAC association with the titles 4D4D4D0000BC614E and none; then get clock, ciphered by the client
    const session = [
      {
        dir: "C",
        hex: "6066A109060760857405080103A60A04084D4D4D0000BC614E8A0207808B0760857405080205AC0A80084B35366956616759BE34043221303001234567801302FF8A7874133D414CED25B42534D28DB0047720606B175BD52211BE6841DB204D39EE6FDB8E356855",
      },
      { dir: "C", hex: "C81E3000000003BBC29BB99274633EDC67AD5D562B050DB6DE606AD347E26DC9" },
      { dir: "M", hex: "C401C100090C07EA0718FF0A0F1E00FEB600" },
    ];
    const { apdus, problems } = decode({ id: "s", framing: "raw-apdu", session, keys: KEYS });
    expect(problems).toEqual([]);
    expect(apdus.map(({ apdu, direction }) => [apdu, direction])).toEqual([
      ["aarq", "request"],
      ["get-request", "request"],
      ["get-response", "response"],
    ]);
    expect(apdus[0]!.plaintext).toBe("01011000112233445566778899aabbccddeeff0000065f1f0400007e1f04b0");
    expect(apdus[1]!.plaintext).toBe("c001c100080000010000ff0200");
    expect(apdus[2]!.values).toEqual([
      expect.objectContaining({ obis: "0.0.1.0.0.255", class: 8, value: "2026-07-24T10:15:30+05:30" }),
    ]);
  });

  it.each([
    ["no JSON", "{", "malformed"],
    ["no object", "5", "malformed"],
    ["no hex", { id: 1, framing: "hdlc" }, "malformed"],
    ["bad hex", { id: 1, framing: "hdlc", hex: "7G" }, "malformed"],
    ["a framing that does not exist", { id: 1, framing: "telegraph", hex: "00" }, "unsupported"],
    ["empty", { id: 1, framing: "raw-apdu", hex: "" }, "malformed"],
    ["half a frame", { id: 1, framing: "wrapper", hex: STATUS_PUSH.slice(0, 60) }, "malformed"],
    [
      "a key of 5 octets",
      { id: 1, framing: "wrapper", hex: STATUS_PUSH, keys: { guek: "0011223344" } },
      "wrong_suite",
    ],
    ["an unknown APDU", { id: 1, framing: "raw-apdu", hex: "3001" }, "malformed"],
  ])("answers %s with a problem and no values", (_, input, reason) => {
    const { apdus, problems } = decode(input);
    expect(problems).toEqual([expect.objectContaining({ reason })]);
    expect(apdus.flatMap(({ values }) => values)).toEqual([]);
  });
});

describe("what other implementations sent", () => {
  const folder = new URL("../vectors/other-implementations/", import.meta.url);
  const is15959 = readFileSync(new URL("is15959-pushes.jsonl", folder), "utf8").trim().split("\n");

  it.each(is15959.map((line) => JSON.parse(line)))(
    "$id has its rows, named by the standard's lists",
    (vector) => {
      const { apdus, problems } = decode(vector);
      expect(problems).toEqual([]);
      expect(apdus).toHaveLength(1);
      expect(apdus[0]!.plaintext!.endsWith(vector.body)).toBe(true);
      const rows = vector.rows.flat() as { obis: string; attribute: number; raw: unknown }[];
      const found = apdus[0]!.values.map(({ obis, attribute, raw }) => ({ obis, attribute, raw }));
      expect(found).toEqual(rows.map(({ obis, attribute, raw }) => ({ obis, attribute, raw })));
    },
  );

  const pushes = readFileSync(new URL("pushes.tsv", folder), "utf8").trim().split("\n").slice(1);
  const lines = pushes.map(
    (line) => line.split("\t") as [string, string, string, string, string, string, string],
  );
  const ofSuite2 = {
    guek: `${KEYS.guek}101112131415161718191A1B1C1D1E1F`,
    gak: `${KEYS.gak}E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF`,
  };

  it.each(lines)(
    "%s %s %s suite %s %s, blocks: %s",
    (_producer, framing, security, suite, layout, _blocks, hex) => {
      const { apdus, problems } = decode({ framing, hex, keys: suite === "2" ? ofSuite2 : KEYS });
      expect(problems).toEqual([]);
      expect(apdus).toHaveLength(1);
      const [apdu] = apdus;
      expect(apdu!.apdu).toBe("data-notification");
      const { structure } = apdu!.data as { structure: unknown[] };
      // logical device name, clock and 18 registers; in front, the list that names them
      const values = structure.slice(-20);
      expect(values[0]).toEqual({ os: expect.stringMatching(/^4752583030303030303031323334353[78]$/) });
      expect(values[19]).toEqual({ "double-long-unsigned": 130456789 });
      expect(apdu!.protection?.verified ?? null).toBe(security === "none" ? null : security !== "e");
      const codes = apdu!.values.map(({ obis }) => obis);
      if (layout === "described") expect(codes.slice(-19)[0]).toBe("0.0.1.0.0.255");
      else expect(codes).toEqual([]);
    },
  );
});

describe("any octets", () => {
  const reasons = new Set<string>(REFUSAL_REASONS);
  const framing = fc.constantFrom(...FRAMINGS);

  const check = (input: object) => {
    const { apdus, problems } = decode(input);
    for (const { reason } of problems) expect(reasons).toContain(reason);
    if (apdus.length === 0) return;
    expect(() => JSON.stringify(apdus)).not.toThrow();
  };

  it("are an answer in every framing", () => {
    fc.assert(
      fc.property(framing, fc.uint8Array({ maxLength: 150 }), (name, octets) => {
        check({ framing: name, hex: Buffer.from(octets).toString("hex"), keys: KEYS });
      }),
      { numRuns: 1_500 },
    );
  });

  it("are an answer where one octet of a good frame differs, or is missing", () => {
    const lines = readFileSync(
      new URL("../vectors/other-implementations/is15959-pushes.jsonl", import.meta.url),
      "utf8",
    );
    const frames = lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    fc.assert(
      fc.property(
        fc.constantFrom(...frames),
        fc.nat(),
        fc.nat(255),
        fc.boolean(),
        (frame, at, octet, removed) => {
          const octets = Buffer.from(frame.body, "hex");
          const changed = at % octets.length;
          octets[changed] = octet;
          const rest = removed
            ? Buffer.concat([octets.subarray(0, changed), octets.subarray(changed + 1)])
            : octets;
          check({ framing: "raw-apdu", hex: `0f0000000100${rest.toString("hex")}` });
        },
      ),
      { numRuns: 1_500 },
    );
  });
});
