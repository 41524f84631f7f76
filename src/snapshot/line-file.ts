import { createReadStream } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";

/*
 * A file of lines that outlives a power cut: eight hex digits of a CRC-32 (that of zlib) over the rest, a space, JSON. A line that is not
 * whole, or has changed, is no line. Its first line says what the file is and of which version.
 */

/** Envelopes and counters are nobody else's business. */
const FILE_MODE = 0o600;
/** Written, and read, at once. */
const CHUNK_OCTETS = 256 << 10;
const LINE_FEED = 0x0a;

export const lineOf = (value: unknown): string => {
  const json = JSON.stringify(value);
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
};

/** undefined for what is not a whole line. */
export function parseLine(line: string): unknown {
  const json = line.slice(9);
  if (line[8] !== " " || Number.parseInt(line.slice(0, 8), 16) !== crc32(json)) return undefined;
  return JSON.parse(json);
}

/** Puts a new file in place of the old one, whole or not at all, and on the disk when this resolves. */
export async function replaceLines(
  path: string,
  values: AsyncIterable<unknown> | Iterable<unknown>,
): Promise<void> {
  const file = await open(`${path}.new`, "w", FILE_MODE);
  try {
    let text = "";
    for await (const value of values) {
      text += lineOf(value);
      if (text.length < CHUNK_OCTETS) continue;
      await file.write(text);
      text = "";
    }
    await file.write(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const directory = await open(dirname(path), "r");
  await directory.sync().finally(() => directory.close());
}

/** Resolves when they are on the disk. */
export async function appendLines(path: string, values: readonly unknown[]): Promise<void> {
  const file = await open(path, "a", FILE_MODE);
  try {
    // A line that a cut left unfinished must not swallow the next one.
    await file.write(`\n${values.map(lineOf).join("")}`);
    await file.datasync();
  } finally {
    await file.close();
  }
}

export interface PlacedValue {
  readonly value: unknown;
  /** Octets, from the file's start. */
  readonly offset: number;
  readonly length: number;
}

/** Whole lines in order, and where they stand. Throws ENOENT where there is no such file. */
export async function* readLines(path: string): AsyncGenerator<PlacedValue> {
  /** The beginning of a line, in the chunks that it came in. */
  let rest: Buffer[] = [];
  let offset = 0;
  for await (const chunk of createReadStream(path, {
    highWaterMark: CHUNK_OCTETS,
  }) as AsyncIterable<Buffer>) {
    if (!chunk.includes(LINE_FEED)) {
      rest.push(chunk);
      continue;
    }
    const octets = rest.length === 0 ? chunk : Buffer.concat([...rest, chunk]);
    let at = 0;
    for (let end = octets.indexOf(LINE_FEED); end >= 0; end = octets.indexOf(LINE_FEED, at)) {
      const value = parseLine(octets.toString("utf8", at, end));
      if (value !== undefined) yield { value, offset: offset + at, length: end - at };
      at = end + 1;
    }
    rest = at < octets.length ? [octets.subarray(at)] : [];
    offset += at;
  }
}

/** Whether an error says that there is no such file. */
export const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === "ENOENT";
