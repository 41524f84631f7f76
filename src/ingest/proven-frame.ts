import { DecodeError } from "../dlms/bytes/errors.ts";
import { FLAG, FRAME_OCTETS_MIN, readHdlcFrame } from "../dlms/hdlc/frame.ts";

/** Candidates that are read at most in one look: each costs a check sequence. */
const CANDIDATES_MAX = 8;

/**
 * Where behind the first octet a whole HDLC frame with an information field begins, flag included: it has two right check sequences, and
 * nothing else looks like it by accident. null: nowhere.
 */
export function hdlcFrameWithin(octets: Buffer, from: number, to: number): number | null {
  let candidates = 0;
  for (let at = octets.indexOf(FLAG, from + 1); at >= 0; at = octets.indexOf(FLAG, at + 1)) {
    const start = at + 1;
    if (start + FRAME_OCTETS_MIN > to) return null;
    if ((octets[start]! & 0xf0) !== 0xa0) continue;
    const end = start + (((octets[start]! & 0x07) << 8) | octets[start + 1]!);
    if (end >= to || octets[end] !== FLAG) continue;
    if (isFrame(octets, start, end)) return at;
    if (++candidates === CANDIDATES_MAX) return null;
  }
  return null;
}

function isFrame(octets: Buffer, from: number, to: number): boolean {
  try {
    return readHdlcFrame(octets, from, to).information !== null;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
