import { DecodeError } from "../bytes/errors.ts";

/**
 * An HDLC address (IEC 62056-46, 6.4.2.2). Each octet carries seven bits; bit 0 is 1 in the last one.
 *
 * | octets | layout |
 * |---|---|
 * | 1 | upper<<1 \| 1 |
 * | 2 | upper<<1, lower<<1 \| 1 |
 * | 4 | upper>>7<<1, upper<<1, lower>>7<<1, lower<<1 \| 1 |
 *
 * 03 → upper 1. 00 02 04 01 → upper 1, lower 256.
 */
export interface HdlcAddress {
  /** Logical device of a meter, or the SAP of a client. */
  readonly upper: number;
  /** Physical device; null in an address of one octet. */
  readonly lower: number | null;
  readonly length: 1 | 2 | 4;
}

const ONE_OCTET: readonly HdlcAddress[] = Array.from({ length: 128 }, (_, upper) => ({
  upper,
  lower: null,
  length: 1,
}));

/**
 * How many octets the address at `at` has: 1, 2 or 4; 0 where `to` comes before that can be told, −1 where it is none
 * of them.
 */
export function addressLength(octets: Buffer, at: number, to: number): number {
  for (let count = 1; count <= 4; count++) {
    if (at + count > to) return 0;
    if (octets[at + count - 1]! & 1) return count === 3 ? -1 : count;
  }
  return -1;
}

/** Reads an address whose length `addressLength` has told. */
export function readAddressOf(octets: Buffer, at: number, length: number): HdlcAddress {
  if (length === 1) return ONE_OCTET[octets[at]! >> 1]!;
  if (length === 2) return { upper: octets[at]! >> 1, lower: octets[at + 1]! >> 1, length: 2 };
  return {
    upper: ((octets[at]! >> 1) << 7) | (octets[at + 1]! >> 1),
    lower: ((octets[at + 2]! >> 1) << 7) | (octets[at + 3]! >> 1),
    length: 4,
  };
}

/** @throws DecodeError `truncated` or `invalid` */
export function readAddress(octets: Buffer, at: number, to = octets.length): HdlcAddress {
  const length = addressLength(octets, at, to);
  if (length === 0) throw new DecodeError("truncated", at, "HDLC address is cut off");
  if (length < 0) throw new DecodeError("invalid", at, "HDLC address has neither 1, 2 nor 4 octets");
  return readAddressOf(octets, at, length);
}

/**
 * An address in the shortest form that holds it, or in `length` octets.
 * @throws RangeError where the numbers do not fit: a mistake of the caller
 */
export function hdlcAddress(upper: number, lower: number | null = null, length?: 1 | 2 | 4): HdlcAddress {
  const shortest = lower === null && upper < 0x80 ? 1 : upper < 0x80 && (lower ?? 0) < 0x80 ? 2 : 4;
  const octets = length ?? shortest;
  if (octets < shortest || upper > 0x3fff || (lower ?? 0) > 0x3fff || upper < 0 || (lower ?? 0) < 0) {
    throw new RangeError(`HDLC address ${upper}/${lower} does not fit into ${octets} octets`);
  }
  return octets === 1 ? ONE_OCTET[upper]! : { upper, lower: lower ?? 0, length: octets };
}

/** Writes the address and returns the offset behind it. */
export function writeAddress(target: Buffer, at: number, { upper, lower, length }: HdlcAddress): number {
  const physical = lower ?? 0;
  if (length === 1) {
    target[at] = (upper << 1) | 1;
  } else if (length === 2) {
    target[at] = upper << 1;
    target[at + 1] = (physical << 1) | 1;
  } else {
    target[at] = (upper >> 7) << 1;
    target[at + 1] = (upper & 0x7f) << 1;
    target[at + 2] = (physical >> 7) << 1;
    target[at + 3] = ((physical & 0x7f) << 1) | 1;
  }
  return at + length;
}

/** "1", or "1/256" where there is a physical address. */
export function formatAddress({ upper, lower }: HdlcAddress): string {
  return lower === null ? String(upper) : `${upper}/${lower}`;
}
