import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The vectors' directory, from the instrumented copy as well: the nearest one above. */
function vectorsDirectory(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    const found = join(at, "test/vectors");
    if (existsSync(join(found, "README.md"))) return found;
  }
  throw new Error("test/vectors is missing");
}

const HEX_BLOCK = /```hex\n([\s\S]*?)```/g;

/** APDUs and frames of the vectors in Markdown, by folder. */
export function vectorsIn(...folders: string[]): Buffer[] {
  const root = vectorsDirectory();
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".md"))
      .flatMap((name) => [...readFileSync(join(root, folder, name), "utf8").matchAll(HEX_BLOCK)])
      .map(([, hex]) => Buffer.from(hex!.replaceAll(/\s/g, ""), "hex")),
  );
}

/** What other implementations sent: whole connections, framed. */
export function recordedStreams(): Buffer[] {
  const text = readFileSync(join(vectorsDirectory(), "other-implementations/pushes.tsv"), "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => Buffer.from(line.split("\t")[6]!, "hex"));
}

/** The first APDU of each recorded stream that is in wrapper framing and in clear. */
export function recordedNotifications(): Buffer[] {
  return recordedStreams()
    .filter((octets) => octets.readUInt16BE(0) === 1 && octets[8] === 0x0f)
    .map((octets) => octets.subarray(8, 8 + octets.readUInt16BE(6)));
}
