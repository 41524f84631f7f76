import { describe, expect, it } from "vitest";
import { decodeLine } from "../../src/cli/decode/batch.ts";
import { Naming } from "../../src/cli/decode/naming.ts";
import type { DecodeResult } from "../../src/cli/decode/result.ts";
import { type FieldFrame, fieldFrames, fieldFramesPresent } from "../support/field-frames.ts";

type Vector = FieldFrame;

/** Inputs of calculations, and no message: an answer to a challenge, which test/dlms/security.test.ts checks, and a key agreement. */
const FRAMINGS_LEFT_OUT = new Set(["crypto"]);

const vectors = fieldFrames.filter(({ vector }) => !FRAMINGS_LEFT_OUT.has(vector.framing));

/** Why a negative vector is refused; the others are malformed. */
const REASONS: Readonly<Record<string, string>> = {
  "dp-omnipower-wrong-ak": "bad_tag",
  "dp-kmswest": "key_missing",
  "dlms-one-glo-action": "key_missing",
  "gx-smallpdu": "association_refused",
};

const naming = new Naming({ depthMax: 16, elementsMax: 20_000 });
const decode = (line: string) => decodeLine(line, naming) as DecodeResult;

describe.skipIf(!fieldFramesPresent)("frames of the field", () => {
  const negative = vectors.filter(({ vector }) => vector.negative !== undefined);
  const positive = vectors.filter(({ vector }) => vector.negative === undefined);

  it("are there", () => {
    expect(negative.length).toBeGreaterThan(15);
    expect(positive.length).toBeGreaterThan(100);
  });

  it.each(negative.map(({ vector, line }) => [vector.id, vector.negative, line] as const))(
    "%s is refused: %s",
    (id, _why, line) => {
      const { apdus, problems } = decode(line);
      expect(problems.length).toBeGreaterThan(0);
      for (const { reason } of problems) expect(reason).toBe(REASONS[id] ?? "malformed");
      expect(apdus.flatMap(({ values }) => values)).toEqual([]);
    },
  );

  it.each(positive.map(({ vector, line }) => [vector.id, vector, line] as const))(
    "%s says what its source says",
    (_id, vector, line) => {
      const { apdus } = decode(line);
      const plaintexts = apdus.map(({ plaintext }) => plaintext);
      if (typeof vector.plaintext === "string") expect(plaintexts).toContain(vector.plaintext.toLowerCase());
      for (const one of [vector.decoded].flat()) {
        const tree = innermostTree(one);
        if (tree !== undefined) expect(apdus.map(({ data }) => data)).toContainEqual(tree);
      }
      const values = apdus.flatMap((apdu) => apdu.values);
      for (const [obis, wanted] of Object.entries(expectedValues(vector))) {
        const found = values.filter((value) => value.obis === obis).map(({ value }) => value);
        expect(
          found.some((value) => says(value, wanted)),
          `${obis} ${wanted} in ${found}`,
        ).toBe(true);
      }
    },
  );
});

interface Layer {
  readonly inner?: Layer;
  readonly body?: unknown;
  readonly data?: unknown;
}

/** The Data of an independent decoder's innermost APDU; undefined where it has none. */
function innermostTree(decoded: unknown): unknown {
  let at = decoded as Layer | undefined;
  while (at?.inner !== undefined) at = at.inner;
  const tree = at?.body ?? at?.data;
  return tree === undefined ? undefined : plain(tree);
}

/** Booleans stand as 0 and 1 there, and compact-arrays have their type beside them. */
function plain(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(plain);
  if (tree === null || typeof tree !== "object") return tree;
  const { "compact-array": compact, boolean } = tree as Record<string, unknown>;
  if (compact !== undefined) return { "compact-array": plain(compact) };
  if (boolean !== undefined) return { boolean: boolean !== 0 };
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, plain(value)]));
}

/** By OBIS code, what the source asserts. 0.0.0.0.0.0 stands there for elements that have no code. */
function expectedValues({ apdu, expect: asserted }: Vector): Record<string, unknown> {
  const expected = asserted ?? {};
  // A response alone does not say what was asked for.
  if (!apdu.includes("notification")) return {};
  const all = (expected["values"] ?? expected) as Record<string, unknown>;
  const byCode = Object.entries(all).filter(
    ([code]) => /^\d+(\.\d+){5}$/.test(code) && code !== "0.0.0.0.0.0",
  );
  return Object.fromEntries(
    byCode.map(([code, value]) => [code, (value as { value?: unknown })?.value ?? value]),
  );
}

function says(value: unknown, wanted: unknown): boolean {
  if (typeof value === "number" && typeof wanted === "number") return Math.abs(value - wanted) < 1e-9;
  if (typeof value === "boolean" && typeof wanted === "number") return Number(value) === wanted;
  if (typeof value === "string" && typeof wanted === "string") {
    return value.trim() === wanted || value.replace("T", " ").startsWith(wanted.replace("T", " "));
  }
  return value === wanted;
}
