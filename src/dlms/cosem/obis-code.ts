import { DecodeError } from "../bytes/errors.ts";

/** The six octets A.B.C.D.E.F of a logical name as one 48-bit number: compares and hashes as fast as a number does. */
export type ObisCode = number;

const TWO_32 = 0x1_0000_0000;
const TEXT = /^\s*(\d{1,3})[-.](\d{1,3})[:.](\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[.*&](\d{1,3}))?\s*$/;

/** Throws DecodeError "truncated" where fewer than six octets are there. */
export function obisFromOctets(octets: Buffer, offset: number): ObisCode {
  if (offset < 0 || offset + 6 > octets.length) {
    throw new DecodeError("truncated", offset, `an OBIS code takes 6 octets, ${octets.length - offset} left`);
  }
  const high = (octets[offset]! << 8) | octets[offset + 1]!;
  const low =
    (octets[offset + 2]! << 24) |
    (octets[offset + 3]! << 16) |
    (octets[offset + 4]! << 8) |
    octets[offset + 5]!;
  return high * TWO_32 + (low >>> 0);
}

export function obisToOctets(code: ObisCode): Buffer {
  const octets = Buffer.allocUnsafe(6);
  octets.writeUIntBE(code, 0, 6);
  return octets;
}

/** From A to F. */
export function obisOf(a: number, b: number, c: number, d: number, e: number, f: number): ObisCode {
  return ((a << 8) | b) * TWO_32 + (((c << 24) | (d << 16) | (e << 8) | f) >>> 0);
}

/**
 * From "1.0.1.8.0.255" or "1-0:1.8.0*255"; without the last group it is 255.
 * Throws DecodeError "invalid" for anything else.
 */
export function parseObis(text: string): ObisCode {
  const groups = TEXT.exec(text)
    ?.slice(1)
    .map((group) => (group === undefined ? 255 : Number(group)));
  if (groups === undefined || groups.some((group) => group > 255)) {
    throw new DecodeError(
      "invalid",
      0,
      `${JSON.stringify(text)} is not an OBIS code such as 1.0.1.8.0.255 or 1-0:1.8.0*255`,
    );
  }
  return obisOf(groups[0]!, groups[1]!, groups[2]!, groups[3]!, groups[4]!, groups[5]!);
}

/** "1.0.1.8.0.255" */
export function formatObis(code: ObisCode): string {
  const high = Math.floor(code / TWO_32);
  const low = code >>> 0;
  return `${high >>> 8}.${high & 0xff}.${low >>> 24}.${(low >>> 16) & 0xff}.${(low >>> 8) & 0xff}.${low & 0xff}`;
}
