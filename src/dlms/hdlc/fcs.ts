/**
 * Check sequence of HDLC (IEC 62056-46, 6.4.4; CRC-16/X-25): polynomial x¹⁶+x¹²+x⁵+1 reflected (8408), start FFFF,
 * final XOR FFFF, sent low octet first. HCS and FCS are the same sum over different ranges.
 *
 * "123456789" → 906E, sent as 6E 90.
 */
const TABLE = Uint16Array.from({ length: 256 }, (_, index) => {
  let register = index;
  for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ 0x8408 : register >>> 1;
  return register;
});

/** Four octets a step: `LATER[n]` is what an octet does to the register n octets further on. */
const LATER = [TABLE, ...[1, 2, 3].map(() => new Uint16Array(256))] as [
  Uint16Array,
  Uint16Array,
  Uint16Array,
  Uint16Array,
];
for (let step = 1; step < 4; step++) {
  for (let index = 0; index < 256; index++) {
    const before = LATER[step - 1]![index]!;
    LATER[step]![index] = (before >>> 8) ^ TABLE[before & 0xff]!;
  }
}
const [LATER_0, LATER_1, LATER_2, LATER_3] = LATER;

export const FCS_START = 0xffff;

/** The register after `octets[from…to)`; start with `FCS_START`, and invert the end. */
export function fcsRegister(register: number, octets: Buffer, from: number, to: number): number {
  let value = register;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    value ^= octets[at]! | (octets[at + 1]! << 8);
    value =
      LATER_3[value & 0xff]! ^ LATER_2[value >>> 8]! ^ LATER_1[octets[at + 2]!]! ^ LATER_0[octets[at + 3]!]!;
  }
  for (; at < to; at++) value = (value >>> 8) ^ TABLE[(value ^ octets[at]!) & 0xff]!;
  return value;
}

/** The check sequence of `octets[from…to)` as a number; its low octet is sent first. */
export function fcs16(octets: Buffer, from = 0, to = octets.length): number {
  return fcsRegister(FCS_START, octets, from, to) ^ 0xffff;
}
