import { fcs16 } from "../src/dlms/hdlc/fcs.ts";
import { FLAG, writeHdlcFrame } from "../src/dlms/hdlc/frame.ts";
import { type HdlcEnds, LLC_RESPONSE } from "../src/dlms/hdlc/outgoing.ts";

/** What stands in place of a wrapper header. */
export const HEADERS = {
  zeros: Buffer.alloc(8),
  plc: Buffer.from([0x90, 0x01, 0x01]),
  none: Buffer.alloc(0),
} as const;

/** What stands around a push, as far as a stray needs it. */
export interface Surroundings {
  readonly ends: HdlcEnds;
  /** The frames of the push itself. */
  readonly frames: readonly Buffer[];
}

const UI_CONTROL = 0x13;
/** A text as some meters of the Dutch standard send it to the push port: name and code. */
const TEXT = "id,1";
const UNKNOWN_TAG_APDU = Buffer.from("48010203040506", "hex");

const uiFrame = (ends: HdlcEnds, apdu: Buffer, segmented = false) =>
  writeHdlcFrame({
    ...{ ...ends, segmented, control: UI_CONTROL },
    information: Buffer.concat([LLC_RESPONSE, apdu]),
  });

const UNKNOWN_TAG_PDU = Buffer.concat([Buffer.from("0001000100400007", "hex"), UNKNOWN_TAG_APDU]);

/** Octets that come in front of a push and are none, by name. A head-end passes over them, and the push behind them counts. */
export const STRAYS = {
  noise: () => Buffer.from("000d0aff5541", "hex"),
  text: () => Buffer.from(`${TEXT}\r\n`, "latin1"),
  "text-frame": ({ ends }) => uiFrame(ends, Buffer.from(TEXT, "latin1")),
  "unknown-tag": () => UNKNOWN_TAG_PDU,
  /** The rear half of a frame: who begins to listen in the middle hears that first. */
  "half-frame": ({ frames }) => frames[0]!.subarray(Math.floor(frames[0]!.length / 2)),
  /** A segment with more to follow, which never does. */
  "lone-segment": ({ ends }) => uiFrame(ends, Buffer.from("0f000000010002", "hex"), true),
} as const satisfies Record<string, (around: Surroundings) => Buffer>;

export type StrayName = keyof typeof STRAYS;

/** The frame with a length that counts the closing flag too, and check sequences over that (Landis+Gyr E650). */
export function countingItsFlag(frame: Buffer): Buffer {
  const counted = Buffer.from(frame);
  counted.writeUInt16BE(counted.readUInt16BE(1) + 1, 1);
  const end = counted.length - 1;
  // Flag, format, one octet for each address, control: the check sequence of the header stands behind them.
  const header = 1 + 2 + addressOctets(counted, 3) + 1;
  counted.writeUInt16LE(fcs16(counted, 1, header), header);
  counted.writeUInt16LE(fcs16(counted, 1, end - 2), end - 2);
  return counted;
}

/** Of both addresses: the last octet of each has its lowest bit set. */
function addressOctets(frame: Buffer, from: number): number {
  let at = from;
  for (let ends = 0; ends < 2; at++) if ((frame[at]! & 1) === 1) ends++;
  return at - from;
}

/** A SHA-256 and an ECDSA signature behind the frame, whose closing flag is missing. */
export function signed(frame: Buffer): Buffer {
  const trailer = Buffer.alloc(32 + 64);
  for (let at = 0; at < trailer.length; at++) {
    const octet = (at * 37 + 11) & 0xff;
    trailer[at] = octet === FLAG ? 0 : octet;
  }
  return Buffer.concat([frame.subarray(0, -1), trailer]);
}
