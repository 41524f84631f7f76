import { DEFAULT_LIMITS } from "../../src/limits.ts";

export const LIMITS = { depthMax: DEFAULT_LIMITS.depthMax, elementsMax: DEFAULT_LIMITS.pushElementsMax };
export const TITLE = Buffer.from("4142430000000001", "hex");

/** What one run takes in: each of them is an input by itself, and the cost of all is measured. */
const RECORDS_MAX = 16;

/** Runs of octets with their lengths in front: the fuzzer's way to say where one thing ends and the next begins. */
export function* records(octets: Buffer): Generator<Buffer> {
  for (let at = 0, count = 0; at < octets.length && count < RECORDS_MAX; count++) {
    const length = octets[at]!;
    yield octets.subarray(at + 1, at + 1 + length);
    at += 1 + length;
  }
}

export const asRecords = (parts: readonly Buffer[]): Buffer =>
  Buffer.concat(parts.flatMap((part) => [Buffer.of(part.length), part]));
