import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { decodePieces } from "../../src/cli/decode/batch.ts";
import { explainInput } from "../../src/cli/decode/explain.ts";
import { decodeKeys } from "../../src/cli/decode/keys.ts";
import { Naming } from "../../src/cli/decode/naming.ts";
import { run } from "../../src/cli/run.ts";

const folder = mkdtempSync(join(tmpdir(), "hes-decode-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function hes(...argv: string[]): Promise<{ code: number; output: string; errors: string }> {
  let output = "";
  let errors = "";
  const code = await run(argv, {
    write: (text) => {
      output += text;
    },
    error: (text) => {
      errors += text;
    },
  });
  return { code, output, errors };
}

const PUSH =
  "0F00000001000204090C414243534D3030303030303109060004190900FF090C07EA0718FF0A0F1E00FEB60004818010000000000000000000040000000000";
const GUEK = "000102030405060708090A0B0C0D0E0F";
const GAK = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF";
const CIPHERED =
  "000100010040005BDB084142430000000001503000000010295184EC92371DEBAF0A7AF95A0B38165E94EAA3D45D0EA05AA6651FAC843D80F4867F578FAD0BD94303F386947F898FF7AD8AFE1D476F9866063C5DB5658E09D3C90EA0DCEF8E06E34AC4";

describe("hes decode", () => {
  it("prints layers, values and events", async () => {
    const { code, output } = await hes("decode", PUSH);
    expect(code).toBe(0);
    expect(output).toMatch(
      /^data-notification\n {2}long-invoke-id: 00000001\n {2}body\n {4}structure of 4\n/,
    );
    expect(output).toContain(
      "values (is15959-esw)\n  0.0.1.0.0.255 (2) Real time clock: 2026-07-24T10:15:30+05:30\n",
    );
    expect(output).toContain("bit 85 of 0.0.94.91.18.255: last gasp");
  });

  it("opens ciphered APDUs with keys, in hex or as text", async () => {
    const { code, output } = await hes("decode", "--guek", GUEK, "--gak", GAK, CIPHERED);
    expect(code).toBe(0);
    expect(output).toContain("suite 0, authenticated+encrypted, tag verified");
    const wrong = await hes("decode", "--guek", "text:0123456789abcdef", "--gak", GAK, CIPHERED);
    expect(wrong.code).toBe(65);
    expect(wrong.output).toContain("bad_tag");
  });

  it("reads files of hex digits and of octets", async () => {
    const hexFile = join(folder, "push.hex");
    const binaryFile = join(folder, "push.bin");
    writeFileSync(hexFile, PUSH.replace(/../g, "$& ").replace(/(.{48})/g, "$1\n"));
    writeFileSync(binaryFile, Buffer.from(PUSH, "hex"));
    const { output } = await hes("decode", PUSH);
    expect((await hes("decode", hexFile)).output).toBe(output);
    expect((await hes("decode", binaryFile)).output).toBe(output);
  });

  it("writes JSON", async () => {
    const { output } = await hes("decode", "--json", PUSH);
    expect(JSON.parse(output)).toMatchObject({ problems: [], apdus: [{ apdu: "data-notification" }] });
  });

  it("answers each line of a batch, in order", async () => {
    const file = join(folder, "batch.jsonl");
    writeFileSync(
      file,
      `{"id":1,"framing":"raw-apdu","hex":"${PUSH}"}\nnonsense\n\n{"id":3,"framing":"p1","hex":"68"}\n`,
    );
    const { code, output } = await hes("decode", "--batch", file);
    expect(code).toBe(0);
    const answers = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(answers.map(({ id, problems }) => [id, problems.length])).toEqual([
      [1, 0],
      [null, 1],
      [3, 1],
    ]);
  });

  it.each([
    [["decode", "zz"], 65, 'zz is no file, and no hex: "z" at position 0 is not a hexadecimal digit'],
    [["decode", "--framing", "telegraph", "00"], 64, 'framing "telegraph" is not known'],
    [["decode", "--guek", "0011", PUSH], 64, "--guek must be 16 octets, or 32 for security suite 2"],
    [["decode", "--guek", "xyz", PUSH], 64, "--guek: "],
  ])("%j ends with %i", async (argv, exitCode, text) => {
    const { code, errors } = await hes(...argv);
    expect(code).toBe(exitCode);
    expect(errors).toContain(text);
    expect(errors).not.toMatch(/\n\s+at /);
  });

  it("names problems and ends with 65", async () => {
    const { code, output } = await hes("decode", PUSH.slice(0, -2));
    expect(code).toBe(65);
    expect(output).toMatch(/problems\n {2}malformed at octet \d+: /);
  });
});

/** The octets of each block of an explanation, put together from its hex columns. */
function blocksOf(explained: string): { title: string; hex: string }[] {
  const blocks: { title: string; hex: string; next: number }[] = [];
  for (const line of explained.split("\n")) {
    const found = /^ *(\d+) {2}((?:[0-9a-f]{2} ?)+)/.exec(line);
    const block = blocks.at(-1);
    if (found === null) {
      if (/^(framing|APDU of|Data of|date-time of|p1-telegram of|ascii-push of)/.test(line))
        blocks.push({ title: line, hex: "", next: 0 });
    } else if (block !== undefined) {
      // Each octet once, without a gap.
      expect(Number(found[1])).toBe(block.next);
      const hex = found[2]!.replaceAll(" ", "");
      block.hex += hex;
      block.next += hex.length / 2;
    }
  }
  return blocks;
}

describe("hes decode --explain", () => {
  const vectors = new URL("../vectors/", import.meta.url);
  const pages = readdirSync(vectors, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".md"),
  );
  const inputs = pages.flatMap((page) => {
    const text = readFileSync(new URL(page, vectors), "utf8");
    return [...text.matchAll(/^```hex\n([\s\S]*?)\n```$/gm)].map((match) => match[1]!.replace(/\s/g, ""));
  });

  const naming = new Naming({ depthMax: 16, elementsMax: 20_000 });
  const keys = decodeKeys(
    Buffer.from(GUEK, "hex"),
    Buffer.from(GAK, "hex"),
    Buffer.from("4D4D4D0000BC614E", "hex"),
  );

  /** Blocks one behind the other are several APDUs: those that complete nothing are not shown, and have no octets of the input's own. */
  const single = inputs.filter((hex) => !/^e04[0-9a-f]/.test(hex));

  it.each(single)("labels every octet of %s once", (hex) => {
    const octets = Buffer.from(hex, "hex");
    const decoder = decodePieces([{ octets, sender: null }], "auto", keys, naming);
    const blocks = blocksOf(explainInput(octets, "auto", decoder));
    if (blocks.length > 0) expect(blocks[0]!.hex).toBe(hex);
    for (const { title, hex: labelled } of blocks) {
      const length = /of (\d+) octets/.exec(title)?.[1];
      if (length !== undefined) expect(labelled.length / 2).toBe(Number(length));
    }
  });

  it("says what ciphertext, tag and counter are", async () => {
    const { output } = await hes("decode", "--explain", "--guek", GUEK, "--gak", GAK, CIPHERED);
    expect(output).toMatch(/^ {3}12 {2}00 00 00 10 +invocation counter 16$/m);
    expect(output).toMatch(/^ {3}79 {2}09 d3 c9 0e a0 dc ef 8e 06 e3 4a c4 +authentication tag$/m);
    expect(output).toMatch(/^ {4}6 {2}00 5b +length 91$/m);
  });
});
