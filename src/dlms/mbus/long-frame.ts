/**
 * The long frame of the wired M-Bus as customer interfaces use it to carry DLMS (IEC 13757-2 and -3):
 *
 *     68 · L · L · 68 · C · A · CI · STSAP · DTSAP · data · checksum · 16
 *
 * L counts C to the last octet of data, the checksum is the sum of the same octets modulo 256. CI 00–1F: bit 4 marks the final
 * segment, bits 3–0 number it; a single frame has CI 10, two have 00 and 11.
 *
 * Example: 68 06 06 68 53 FF 10 01 67 0F D9 16 carries the single octet 0F from logical device 1 to client 103.
 */
export interface MbusLongFrame {
  /** Control field: 53 or 73 in what is seen. */
  readonly control: number;
  /** Address field: FF, broadcast, in what is seen. */
  readonly address: number;
  /** 0–15 */
  readonly segmentNumber: number;
  readonly finalSegment: boolean;
  /** SAP of the meter's logical device. */
  readonly stsap: number;
  /** SAP of the client. */
  readonly dtsap: number;
  /** A view of what was received. */
  readonly data: Buffer;
  /** Octets on the line. */
  readonly octets: number;
}

export const MBUS_START = 0x68;
export const MBUS_STOP = 0x16;
/** Start, two lengths, start. */
export const MBUS_HEADER_OCTETS = 4;
/** Checksum and stop. */
export const MBUS_TRAILER_OCTETS = 2;
/** C, A, CI, STSAP, DTSAP. */
export const MBUS_FIELDS_OCTETS = 5;
/** CI fields of DLMS use only these bits. */
export const MBUS_CI_MASK = 0x1f;

/** Sum of `octets` from `from` up to `to`, modulo 256. */
export function mbusChecksum(octets: Buffer, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += octets[i]!;
  return sum & 0xff;
}

/** The fields of a frame whose lengths, checksum and stop octet have been found right. `length` is L. */
export function readMbusFields(octets: Buffer, from: number, length: number): MbusLongFrame {
  const fields = from + MBUS_HEADER_OCTETS;
  const ci = octets[fields + 2]!;
  return {
    control: octets[fields]!,
    address: octets[fields + 1]!,
    segmentNumber: ci & 0x0f,
    finalSegment: (ci & 0x10) !== 0,
    stsap: octets[fields + 3]!,
    dtsap: octets[fields + 4]!,
    data: octets.subarray(fields + MBUS_FIELDS_OCTETS, fields + length),
    octets: MBUS_HEADER_OCTETS + length + MBUS_TRAILER_OCTETS,
  };
}
