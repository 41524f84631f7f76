import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import {
  boolean,
  type Codec,
  integer8,
  octetString,
  optional,
  sequence,
  unsigned8,
  unsigned16,
  type ValueOf,
  withDefault,
} from "../encoding/codec.ts";

/**
 * InitiateRequest (01) and InitiateResponse (08), carried in the user-information of AARQ and AARE:
 *
 *     01: dedicated-key 00 or 01 length key · response-allowed 00 (true) or 01 xx · quality-of-service 00 or 01 xx ·
 *         DLMS version 1 · conformance · client's maximum PDU 2
 *     08: quality-of-service · DLMS version 1 · conformance · server's maximum PDU 2 · VAA name 2
 *
 * Conformance is 5F 1F 04 00 and three octets; old devices leave out 1F. Example: 01 00 00 00 06 5F1F0400 007E1F 04B0.
 */
export const conformance: Codec<number> = {
  read: readConformance,
  write: (writer, value) => {
    writer.unsigned32(0x5f1f0400);
    writer.unsigned24(value);
  },
};

function readConformance(reader: Reader): number {
  const at = reader.offset;
  if (reader.unsigned8() !== 0x5f) throw new DecodeError("invalid", at, "no conformance block (5F)");
  if (reader.peek() === 0x1f) reader.advance(1);
  const length = reader.unsigned8();
  const unusedBits = reader.unsigned8();
  if (length !== 4 || unusedBits !== 0) {
    throw new DecodeError(
      "invalid",
      at,
      `a conformance block of ${length} octets, ${unusedBits} bits unused`,
    );
  }
  return reader.unsigned24();
}

/** Bit 0, the most significant of 24, first. */
export const CONFORMANCE_BITS = [
  "reserved-zero",
  "general-protection",
  "general-block-transfer",
  "read",
  "write",
  "unconfirmed-write",
  "delta-value-encoding",
  "reserved-seven",
  "attribute0-supported-with-set",
  "priority-mgmt-supported",
  "attribute0-supported-with-get",
  "block-transfer-with-get-or-read",
  "block-transfer-with-set-or-write",
  "block-transfer-with-action",
  "multiple-references",
  "information-report",
  "data-notification",
  "access",
  "parameterized-access",
  "get",
  "set",
  "selective-access",
  "event-notification",
  "action",
] as const;

/** The names of the bits that are set. */
export function conformanceNames(value: number): string[] {
  return CONFORMANCE_BITS.filter((_, bit) => ((value >>> (23 - bit)) & 1) === 1);
}

export const initiateRequest = sequence({
  dedicatedKey: optional(octetString),
  responseAllowed: withDefault(boolean, true),
  proposedQualityOfService: optional(integer8),
  proposedDlmsVersionNumber: unsigned8,
  proposedConformance: conformance,
  clientMaxReceivePduSize: unsigned16,
});

export type InitiateRequest = { apdu: "initiate-request" } & ValueOf<typeof initiateRequest>;

export const initiateResponse = sequence({
  negotiatedQualityOfService: optional(integer8),
  negotiatedDlmsVersionNumber: unsigned8,
  negotiatedConformance: conformance,
  serverMaxReceivePduSize: unsigned16,
  vaaName: unsigned16,
});

export type InitiateResponse = { apdu: "initiate-response" } & ValueOf<typeof initiateResponse>;
