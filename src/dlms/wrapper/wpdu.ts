import { DecodeError } from "../bytes/errors.ts";

/**
 * Wrapper protocol data unit (IEC 62056-47, 6.4): one APDU with its header.
 *
 * | octets | |
 * |---|---|
 * | 2 | version, 0001 |
 * | 2 | source wPort |
 * | 2 | destination wPort |
 * | 2 | length of the APDU in octets |
 * | n | APDU |
 *
 * 00 01 00 01 00 40 00 3F … → a push of the management logical device (1) to client 64.
 */
export interface Wpdu {
  readonly sourceWPort: number;
  readonly destinationWPort: number;
  /** The APDU; a view of what was received. */
  readonly payload: Buffer;
}

export const WRAPPER_HEADER_OCTETS = 8;
export const WRAPPER_VERSION = 1;

/**
 * Reads the one WPDU that lies in `octets`, as in a UDP datagram.
 * @throws DecodeError `truncated`, `invalid`, `limit` or `trailing`
 */
export function readWpdu(octets: Buffer, payloadOctetsMax = 0xffff): Wpdu {
  if (octets.length < WRAPPER_HEADER_OCTETS) {
    throw new DecodeError("truncated", octets.length, "wrapper header is cut off");
  }
  if (octets.readUInt16BE(0) !== WRAPPER_VERSION)
    throw new DecodeError("invalid", 0, "wrapper version is not 1");
  const length = octets.readUInt16BE(6);
  if (length === 0) throw new DecodeError("invalid", 6, "wrapper PDU without an APDU");
  if (length > payloadOctetsMax) {
    throw new DecodeError("limit", 6, `wrapper PDU of ${length} octets is over the limit`);
  }
  const end = WRAPPER_HEADER_OCTETS + length;
  if (octets.length < end) throw new DecodeError("truncated", octets.length, "wrapper PDU is cut off");
  if (octets.length > end) throw new DecodeError("trailing", end, "octets behind the wrapper PDU");
  return {
    sourceWPort: octets.readUInt16BE(2),
    destinationWPort: octets.readUInt16BE(4),
    payload: octets.subarray(WRAPPER_HEADER_OCTETS, end),
  };
}

/** @throws RangeError where the APDU is longer than 65,535 octets */
export function writeWpdu({ sourceWPort, destinationWPort, payload }: Wpdu): Buffer {
  const octets = Buffer.allocUnsafe(WRAPPER_HEADER_OCTETS + payload.length);
  octets.writeUInt16BE(WRAPPER_VERSION, 0);
  octets.writeUInt16BE(sourceWPort, 2);
  octets.writeUInt16BE(destinationWPort, 4);
  octets.writeUInt16BE(payload.length, 6);
  payload.copy(octets, WRAPPER_HEADER_OCTETS);
  return octets;
}
