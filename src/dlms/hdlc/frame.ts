import { DecodeError } from "../bytes/errors.ts";
import { type HdlcAddress, readAddress, writeAddress } from "./address.ts";
import { FCS_START, fcs16, fcsRegister } from "./fcs.ts";

/**
 * A frame of format type 3 (IEC 62056-46, 6.4), without its flags:
 *
 * | octets | |
 * |---|---|
 * | 2 | format: 1010 S LLL LLLLLLLL, S = more segments follow, L = octets from here up to and including the FCS |
 * | 1, 2, 4 | destination |
 * | 1, 2, 4 | source |
 * | 1 | control |
 * | 2 | HCS over all of the above; only with an information field |
 * | n | information |
 * | 2 | FCS over all of the above |
 *
 * A0 07 03 21 93 0F 01 → SNRM of client 16 to server 1.
 */
export interface HdlcFrame {
  readonly segmented: boolean;
  readonly destination: HdlcAddress;
  readonly source: HdlcAddress;
  readonly control: number;
  /** A view of what was received; null where the frame has no information field. */
  readonly information: Buffer | null;
  /** Length of the frame in octets, without flags. */
  readonly octets: number;
}

export const FLAG = 0x7e;
/** Longest frame that the eleven bits of its length can say, without flags. */
export const FRAME_OCTETS_MAX = 0x7ff;
/** Format, two addresses of one octet, control and FCS. */
export const FRAME_OCTETS_MIN = 7;

/**
 * Some senders count one octet too many, the closing flag, and compute the check sequence over that (Landis+Gyr E650). Where
 * the check sequence is right one octet before the end that the length names, it is believed.
 */
export const OCTETS_COUNTED_TOO_MANY = 1;

/**
 * Reads the one frame that lies in `octets[from…to)`, flags not included, all of it.
 * @throws DecodeError `truncated`, `invalid` or `trailing`
 */
export function readHdlcFrame(octets: Buffer, from = 0, to = octets.length): HdlcFrame {
  if (to - from < FRAME_OCTETS_MIN) throw new DecodeError("truncated", to, "HDLC frame is cut off");
  if ((octets[from]! & 0xf0) !== 0xa0) throw new DecodeError("invalid", from, "not HDLC frame format type 3");
  const length = ((octets[from]! & 0x07) << 8) | octets[from + 1]!;
  const short =
    to - from === length - OCTETS_COUNTED_TOO_MANY &&
    fcs16(octets, from, to - 2) === octets.readUInt16LE(to - 2);
  if (length > to - from && !short)
    throw new DecodeError("truncated", to, `HDLC frame of ${length} octets is cut off`);
  if (length < to - from)
    throw new DecodeError("trailing", from + length, "octets behind the end of the HDLC frame");
  const destination = readAddress(octets, from + 2, to);
  const source = readAddress(octets, from + 2 + destination.length, to);
  const header = from + 2 + destination.length + source.length + 1;
  const rest = to - header;
  if (rest !== 2 && rest < 4) throw new DecodeError("invalid", header, "no room for the check sequences");
  if (rest > 2 && fcs16(octets, from, header) !== octets.readUInt16LE(header)) {
    throw new DecodeError("invalid", header, "header check sequence is wrong");
  }
  if (fcs16(octets, from, to - 2) !== octets.readUInt16LE(to - 2)) {
    throw new DecodeError("invalid", to - 2, "frame check sequence is wrong");
  }
  return {
    segmented: (octets[from]! & 0x08) !== 0,
    destination,
    source,
    control: octets[header - 1]!,
    information: rest > 2 ? octets.subarray(header + 2, to - 2) : null,
    octets: length,
  };
}

export interface HdlcFrameFields {
  readonly segmented?: boolean;
  readonly destination: HdlcAddress;
  readonly source: HdlcAddress;
  readonly control: number;
  readonly information?: Buffer | null;
}

/**
 * The frame with its two flags.
 * @throws RangeError where the information field makes the frame longer than 2,047 octets
 */
export function writeHdlcFrame(frame: HdlcFrameFields): Buffer {
  const information = frame.information ?? null;
  const header = 2 + frame.destination.length + frame.source.length + 1;
  const length = header + 2 + (information === null ? 0 : information.length + 2);
  if (length > FRAME_OCTETS_MAX) throw new RangeError(`an HDLC frame can't have ${length} octets`);
  const octets = Buffer.allocUnsafe(length + 2);
  octets[0] = FLAG;
  octets.writeUInt16BE(0xa000 | (frame.segmented ? 0x0800 : 0) | length, 1);
  const source = writeAddress(octets, 3, frame.destination);
  const control = writeAddress(octets, source, frame.source);
  octets[control] = frame.control;
  if (information !== null) {
    const register = fcsRegister(FCS_START, octets, 1, 1 + header);
    octets.writeUInt16LE(register ^ 0xffff, 1 + header);
    information.copy(octets, 3 + header);
  }
  octets.writeUInt16LE(fcs16(octets, 1, length - 1), length - 1);
  octets[length + 1] = FLAG;
  return octets;
}
