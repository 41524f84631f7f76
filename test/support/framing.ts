import type { Deframed, Discarded } from "../../src/dlms/bytes/deframed.ts";

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

interface AnyDeframer<T> {
  push(chunk: Buffer, now: number): void;
  next(now: number): Deframed<T>;
}

export interface Drained<F> {
  readonly frames: F[];
  readonly discarded: Discarded[];
}

/** Pushes chunk after chunk, and after each of them takes what there is. Views become `F` before the next chunk comes. */
export function drain<T, F>(
  deframer: AnyDeframer<T>,
  chunks: Iterable<Buffer>,
  keep: (value: T) => F,
  now = 0,
): Drained<F> {
  const frames: F[] = [];
  const discarded: Discarded[] = [];
  for (const chunk of chunks) {
    deframer.push(chunk, now);
    for (let found = deframer.next(now); found.kind !== "need-more"; found = deframer.next(now)) {
      if (found.kind === "frame") frames.push(keep(found.value));
      else discarded.push(found);
    }
  }
  return { frames, discarded };
}

/** Each way of cutting `octets` into two chunks, from nothing in the first to nothing in the second. */
export function* splits(octets: Buffer): Generator<[Buffer, Buffer]> {
  for (let at = 0; at <= octets.length; at++) yield [octets.subarray(0, at), octets.subarray(at)];
}

export const singly = (octets: Buffer): Buffer[] => Array.from(octets, (octet) => Buffer.from([octet]));

export const skippedOctets = (discarded: readonly Discarded[]): number =>
  discarded.reduce((sum, { count }) => sum + count, 0);
