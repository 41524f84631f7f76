import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import { Reader } from "../../src/dlms/bytes/reader.ts";
import { readApdu } from "../../src/dlms/xdlms/apdu.ts";
import { BlockAssembly } from "../../src/dlms/xdlms/block-assembly.ts";

const LIMITS = { depthMax: 16, elementsMax: 20_000 };

function block(hex: string) {
  const apdu = readApdu(parseHex(hex), LIMITS);
  if (apdu.apdu !== "general-block-transfer") throw new Error(apdu.apdu);
  return apdu;
}

const first = block("E0 40 0001 0000 02 0102");
const second = block("E0 40 0002 0000 02 0304");
const last = block("E0 80 0003 0000 01 05");

function assembly() {
  return new BlockAssembly({ bytesMax: 100, timeoutMs: 60_000 });
}

describe("blocks without acknowledgement", () => {
  it("become one APDU", () => {
    const blocks = assembly();
    expect(blocks.receive(first, 0)).toEqual({ kind: "need-more" });
    expect(blocks.receive(second, 1)).toEqual({ kind: "need-more" });
    expect(blocks.receive(last, 2)).toEqual({ kind: "complete", apdu: parseHex("0102030405") });
    expect(blocks.deadline()).toBeNull();
  });

  it("are counted once where they come twice", () => {
    const blocks = assembly();
    const outcomes = [first, first, second, second, first, last].map((one) => blocks.receive(one, 0).kind);
    expect(outcomes).toEqual([...Array(5).fill("need-more"), "complete"]);
  });

  it("are counted once where the last comes twice", () => {
    const blocks = assembly();
    for (let times = 0; times < 2; times++) {
      const kinds = [first, second, last, last].map((one) => blocks.receive(one, 0).kind);
      expect(kinds).toEqual(["need-more", "need-more", "complete", "need-more"]);
    }
  });

  it("come twice where a transfer of one block does", () => {
    const blocks = assembly();
    const only = block("E0 80 0001 0000 01 05");
    for (let times = 0; times < 2; times++) expect(blocks.receive(only, 0).kind).toBe("complete");
  });

  it("begin anew where a transfer was left unfinished that began with the same octets", () => {
    const blocks = assembly();
    for (const one of [first, second, first]) blocks.receive(one, 0);
    expect(blocks.receive(block("E0 40 0002 0000 02 1314"), 5)).toMatchObject({
      kind: "discarded",
      text: "block 1 came again after block 2",
    });
    expect(blocks.receive(last, 7)).toEqual({ kind: "complete", apdu: parseHex("0102131405") });
  });

  it("only acknowledge where they have no data and nothing precedes", () => {
    const blocks = assembly();
    expect(blocks.receive(block("E0 85 0001 0001 00"), 0)).toEqual({ kind: "need-more" });
    blocks.receive(first, 0);
    expect(blocks.receive(block("E0 80 0002 0000 00"), 0)).toEqual({
      kind: "complete",
      apdu: parseHex("0102"),
    });
  });

  it("begin anew when the first comes again with other octets", () => {
    const blocks = assembly();
    blocks.receive(first, 0);
    blocks.receive(second, 0);
    expect(blocks.receive(block("E0 40 0001 0000 02 1112"), 5)).toMatchObject({
      kind: "discarded",
      count: 4,
      reason: "malformed",
    });
    blocks.receive(second, 6);
    expect(blocks.receive(last, 7)).toEqual({ kind: "complete", apdu: parseHex("1112030405") });
  });

  it("are given up where one is missing, comes out of order or has no beginning", () => {
    const blocks = assembly();
    blocks.receive(first, 0);
    expect(blocks.receive(last, 0)).toMatchObject({
      kind: "discarded",
      count: 3,
      text: "block 3 came where block 2 was to come",
    });
    expect(blocks.receive(second, 0)).toMatchObject({ text: "block 2 came which none precedes" });
    expect(blocks.receive({ ...first, blockNumber: 0 }, 0)).toMatchObject({ kind: "discarded" });
    expect(blocks.deadline()).toBeNull();
  });

  it("are given up after their time", () => {
    const blocks = assembly();
    blocks.receive(first, 1_000);
    expect(blocks.deadline()).toBe(61_000);
    expect(blocks.handleTimeout(60_999)).toEqual({ kind: "need-more" });
    expect(blocks.handleTimeout(61_000)).toMatchObject({ kind: "discarded", count: 2, reason: "malformed" });
    expect(blocks.deadline()).toBeNull();
  });

  it("are limited in octets and in number", () => {
    const blocks = assembly();
    blocks.receive(block(`E0 40 0001 0000 5A ${"00".repeat(90)}`), 0);
    expect(blocks.receive(block(`E0 40 0002 0000 0B ${"00".repeat(11)}`), 0)).toMatchObject({
      reason: "limit",
    });
    const many = new BlockAssembly({ bytesMax: 262_144, timeoutMs: 60_000 });
    let outcome = many.receive(first, 0);
    for (let number = 2; number <= 5_000 && outcome.kind === "need-more"; number++) {
      outcome = many.receive({ ...first, blockNumber: number }, 0);
    }
    expect(outcome).toMatchObject({ kind: "discarded", reason: "limit" });
  });

  it("keep nothing of what was received", () => {
    const octets = parseHex("E0 40 0001 0000 02 0102");
    const blocks = assembly();
    const apdu = readApdu(octets, LIMITS);
    if (apdu.apdu !== "general-block-transfer") throw new Error(apdu.apdu);
    blocks.receive(apdu, 0);
    octets.fill(0xff);
    blocks.receive(second, 0);
    expect(blocks.receive(last, 0)).toMatchObject({ apdu: parseHex("0102030405") });
  });
});

describe("blocks that another implementation sent (pushes.tsv)", () => {
  const lines = readFileSync(new URL("../vectors/other-implementations/pushes.tsv", import.meta.url), "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .filter((fields) => fields[5] !== undefined && fields[5] !== "-");

  it("are two transfers", () => {
    expect(lines).toHaveLength(2);
  });

  it.each(lines)("%s %s %s", (_producer, _framing, security, _suite, _layout, _gbt, hex) => {
    const blocks = new BlockAssembly({ bytesMax: 262_144, timeoutMs: 60_000 });
    const reader = new Reader(parseHex(hex!));
    const complete: string[] = [];
    while (reader.remaining() > 0) {
      reader.advance(6);
      const outcome = blocks.receive(block(toHex(reader.octets(reader.unsigned16()))), 0);
      if (outcome.kind === "complete") complete.push(toHex(outcome.apdu));
    }
    expect(complete).toHaveLength(1);
    expect(complete[0]!.slice(0, 10)).toBe(security === "none" ? "0fc0000001" : "db08475258");
    // the same push without blocks stands in the file with its length in the wrapper
    expect(complete[0]!.length / 2).toBe(security === "none" ? 0x1e8 : 0x206);
  });
});
