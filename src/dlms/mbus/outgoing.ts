import {
  MBUS_FIELDS_OCTETS,
  MBUS_HEADER_OCTETS,
  MBUS_START,
  MBUS_STOP,
  MBUS_TRAILER_OCTETS,
  mbusChecksum,
} from "./long-frame.ts";

/** SND-UD, to everybody: a customer interface sends whether anybody listens or not. */
const CONTROL = 0x53;
const BROADCAST = 0xff;
/** L that meters go up to. */
const LENGTH_MAX = 0xfa;
const DATA_OCTETS_MAX = LENGTH_MAX - MBUS_FIELDS_OCTETS;
const FINAL = 0x10;

/** An APDU in long frames: CI 10 where one is enough, else 00, 01 … and the last with bit 4. At most 16 of them. */
export function writeMbusFrames(
  apdu: Buffer,
  saps: { readonly stsap: number; readonly dtsap: number },
): Buffer[] {
  const count = Math.max(1, Math.ceil(apdu.length / DATA_OCTETS_MAX));
  if (count > 16) throw new RangeError(`${apdu.length} octets don't fit into 16 M-Bus frames`);
  return Array.from({ length: count }, (_, segment) => {
    const data = apdu.subarray(segment * DATA_OCTETS_MAX, (segment + 1) * DATA_OCTETS_MAX);
    const length = MBUS_FIELDS_OCTETS + data.length;
    const ci = segment | (segment === count - 1 ? FINAL : 0);
    const frame = Buffer.alloc(MBUS_HEADER_OCTETS + length + MBUS_TRAILER_OCTETS);
    frame.set([MBUS_START, length, length, MBUS_START, CONTROL, BROADCAST, ci, saps.stsap, saps.dtsap]);
    frame.set(data, MBUS_HEADER_OCTETS + MBUS_FIELDS_OCTETS);
    frame[frame.length - 2] = mbusChecksum(frame, MBUS_HEADER_OCTETS, MBUS_HEADER_OCTETS + length);
    frame[frame.length - 1] = MBUS_STOP;
    return frame;
  });
}
