import { describe, expect, it } from "vitest";
import { decodePieces } from "../../src/cli/decode/batch.ts";
import { textOfAll } from "../../src/cli/decode/command.ts";
import { isFraming } from "../../src/cli/decode/framing.ts";
import { decodeKeys } from "../../src/cli/decode/keys.ts";
import { Naming } from "../../src/cli/decode/naming.ts";
import type { Opened } from "../../src/cli/decode/opened.ts";
import { isAcseTag, readAcse, writeAcse } from "../../src/dlms/acse/apdu.ts";
import { DecodeError } from "../../src/dlms/bytes/errors.ts";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { Writer } from "../../src/dlms/bytes/writer.ts";
import { readData, writeData } from "../../src/dlms/encoding/data.ts";
import { readApdu, writeApdu } from "../../src/dlms/xdlms/apdu.ts";
import { type Vector, vectorPages } from "../support/vector-pages.ts";

/**
 * Vectors are Markdown; README.md here says how one is written. Each runs four ways: read and printed, written back, every prefix
 * refused as truncated, one octet more refused. In `tolerated/` stand deviations that are read and never written; in `refused/` what
 * must be a problem and give no values.
 */
const LIMITS = { depthMax: 16, elementsMax: 20_000 };
const naming = new Naming(LIMITS);

const vectors = vectorPages.flatMap((page) => page.vectors);

function decode({ octets, options }: Vector) {
  const framing = options.get("framing") ?? "auto";
  if (!isFraming(framing)) throw new Error(`framing ${framing}`);
  const key = (name: string) => (options.has(name) ? parseHex(options.get(name)!) : null);
  const others = { dedicated: key("dedicated"), master: key("master-key") };
  const keys = decodeKeys(key("guek"), key("gak"), key("system-title"), others);
  return decodePieces([{ octets, sender: null }], framing, keys, naming);
}

/** All layers of all APDUs that a vector holds, from the outside to the inside, but texts and bodies that are no Data. */
function layersOf(vector: Vector): Opened[] {
  const layers: Opened[] = [];
  for (const { opened } of decode(vector).decoded) {
    for (let at: Opened | null = opened; at !== null; at = at.inner) {
      const isData = at.apdu?.apdu !== "data-notification" || at.body !== null;
      if (at.text === undefined && isData) layers.push(at);
    }
  }
  return layers;
}

/** Reads a layer as a whole: a notification with its body. Throws DecodeError. */
function readLayer(octets: Buffer, { apdu }: Opened): void {
  if (apdu === null) {
    readWhole(octets);
  } else if (octets.length > 0 && isAcseTag(octets[0]!)) {
    readAcse(octets, LIMITS);
  } else {
    const again = readApdu(octets, LIMITS);
    if (again.apdu === "data-notification") readWhole(again.body);
  }
}

function readWhole(octets: Buffer): void {
  const reader = new Reader(octets);
  readData(reader, LIMITS);
  reader.expectEnd();
}

function codeOf(action: () => void): string {
  try {
    action();
    return "read";
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
}

const named = (list: readonly Vector[]) =>
  list.map((vector) => [`${vector.file.replace(/\.md$/, "")}: ${vector.name}`, vector] as const);
const refused = vectors.filter(({ file }) => file.startsWith("refused/"));
const good = vectors.filter(({ file }) => !file.startsWith("refused/"));
const exact = good.filter(({ file }) => !file.startsWith("tolerated/") && file !== "pushes/text.md");

it("there are vectors", () => {
  expect(exact.length).toBeGreaterThan(30);
  expect(refused.length).toBeGreaterThan(0);
});

describe("read and printed", () => {
  it.each(named(vectors))("%s", (_, vector) => {
    expect(textOfAll(decode(vector), naming)).toBe(vector.text);
  });
});

describe("refused", () => {
  it.each(named(refused))("%s", (_, vector) => {
    const { decoded, problems } = decode(vector);
    expect(problems.length).toBeGreaterThan(0);
    expect(decoded.flatMap(({ json }) => json.values)).toEqual([]);
  });
});

describe("written back", () => {
  it.each(named(exact))("%s", (_, vector) => {
    const layers = layersOf(vector);
    expect(layers.length).toBeGreaterThan(0);
    for (const { octets, apdu, body } of layers) {
      if (apdu === null) {
        const writer = new Writer();
        writeData(writer, body!);
        expect(toHex(writer.finish())).toBe(toHex(octets));
      } else {
        const isAcse = isAcseTag(octets[0]!);
        expect(toHex(isAcse ? writeAcse(apdu as never) : writeApdu(apdu as never))).toBe(toHex(octets));
      }
      if (apdu?.apdu === "data-notification") {
        const writer = new Writer();
        writeData(writer, body!);
        expect(toHex(writer.finish())).toBe(toHex(apdu.body));
      }
    }
  });
});

describe("cut off", () => {
  it.each(named(good))("%s", (_, vector) => {
    const readable = Number(vector.options.get("readable-prefix") ?? -1);
    for (const layer of layersOf(vector)) {
      for (let end = 0; end < layer.octets.length; end++) {
        const wanted = end === readable ? "read" : "truncated";
        expect(`${end} ${codeOf(() => readLayer(layer.octets.subarray(0, end), layer))}`).toBe(
          `${end} ${wanted}`,
        );
      }
    }
  });
});

describe("one octet more", () => {
  it.each(named(good))("%s", (_, vector) => {
    // Where lengths were wrong before, one octet more may be wrong in another way.
    const wanted = vector.file.startsWith("tolerated/") ? /^(?!read$)/ : /^trailing$/;
    for (const layer of layersOf(vector)) {
      const longer = Buffer.concat([layer.octets, Buffer.from([0])]);
      expect(codeOf(() => readLayer(longer, layer))).toMatch(wanted);
    }
  });
});
