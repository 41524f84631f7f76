import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseHex } from "../../src/dlms/bytes/hex.ts";

/** A section of a page of test/vectors; the README there says how one is written. */
export interface Vector {
  /** Path of the page below test/vectors. */
  readonly file: string;
  readonly name: string;
  /** The sentence that says why it is there; empty where the page's says it. */
  readonly why: string;
  readonly options: ReadonlyMap<string, string>;
  readonly octets: Buffer;
  readonly text: string;
}

export interface VectorPage {
  readonly file: string;
  readonly title: string;
  /** What stands above the first section. */
  readonly introduction: string;
  readonly vectors: readonly Vector[];
}

const FOLDER = fileURLToPath(new URL("../vectors/", import.meta.url));

/** All pages, by path. */
export const vectorPages: readonly VectorPage[] = readdirSync(FOLDER, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".md") && !file.endsWith("README.md"))
  .sort()
  .map((file) => pageOf(file, readFileSync(`${FOLDER}/${file}`, "utf8")));

function pageOf(file: string, text: string): VectorPage {
  const [head, ...sections] = text.split(/^## /m);
  const [title, ...introduction] = head!.split("\n");
  return {
    file,
    title: title!.replace(/^# /, ""),
    introduction: introduction.join("\n").trim(),
    vectors: sections.map((section) => vectorOf(file, section)),
  };
}

function vectorOf(file: string, section: string): Vector {
  const name = section.slice(0, section.indexOf("\n"));
  const hex = block(section, "hex");
  const text = block(section, "text");
  if (hex === null || text === null) throw new Error(`${file}, ${name}: a hex and a text block are needed`);
  const options = (block(section, "options") ?? "").split("\n").filter((line) => line !== "");
  return {
    file,
    name,
    why: section.slice(name.length, section.indexOf("```")).trim(),
    options: new Map(options.map((line) => line.split(": ") as [string, string])),
    octets: parseHex(hex),
    text,
  };
}

function block(section: string, language: string): string | null {
  const found = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)\n\`\`\`$`, "m").exec(section);
  return found === null ? null : found[1]!;
}
