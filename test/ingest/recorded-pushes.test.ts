import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { drain, hex, singly } from "../support/framing.ts";

/** What Gurux sent when it was run; see the README beside the file. */
const rows = readFileSync(new URL("../vectors/other-implementations/pushes.tsv", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [producer, framing, protection, suite, layout, blocks, octets] = line.split("\t") as string[];
    return {
      name: line.split("\t").slice(0, 6).join(" "),
      producer,
      framing,
      protection,
      suite,
      layout,
      blocks,
      octets,
    };
  });

const deframe = (chunks: Iterable<Buffer>, framing: "auto" | "hdlc" | "wrapper" = "auto") =>
  drain(new StreamDeframer({ framing, limits: DEFAULT_LIMITS }), chunks, ({ framing, apdu }) => ({
    framing,
    apdu: apdu.toString("hex"),
  }));

/** Length that a general-glo-ciphering says it has: DB 08 title(8), length of 1 to 3 octets, content. */
function ownLength(apdu: Buffer): number {
  const at = 2 + apdu[1]!;
  const form = apdu[at]!;
  if (form < 0x80) return at + 1 + form;
  return form === 0x81 ? at + 2 + apdu[at + 1]! : at + 3 + apdu.readUInt16BE(at + 1);
}

describe.each(rows)("$name", (row) => {
  const octets = hex(row.octets!);
  const whole = deframe([octets]);

  it("comes out of its framing, nothing lost", () => {
    expect(whole.discarded).toEqual([]);
    expect(new Set(whole.frames.map(({ framing }) => framing))).toEqual(new Set([row.framing]));
    if (row.blocks === "-") expect(whole.frames).toHaveLength(1);
    for (const { apdu } of whole.frames) {
      if (apdu.startsWith("db")) expect(apdu.length / 2).toBe(ownLength(hex(apdu)));
      else expect(apdu).toMatch(row.blocks === "-" ? /^0f/ : /^e0/);
    }
  });

  it("does so octet by octet, and with its framing given", () => {
    expect(deframe(singly(octets))).toEqual(whole);
    expect(deframe([octets], row.framing as "hdlc" | "wrapper")).toEqual(whole);
  });
});

it("HDLC and wrapper carry APDUs of the same length where only the framing differs", () => {
  let compared = 0;
  for (const row of rows.filter(({ framing }) => framing === "hdlc")) {
    const twin = rows.find(
      (other) => other.framing === "wrapper" && other.name === row.name.replace(" hdlc ", " wrapper "),
    );
    if (twin === undefined || row.blocks !== "-") continue;
    expect(deframe([hex(row.octets!)]).frames[0]!.apdu.length, row.name).toBe(
      deframe([hex(twin.octets!)]).frames[0]!.apdu.length,
    );
    compared += 1;
  }
  expect(compared).toBeGreaterThan(5);
});
