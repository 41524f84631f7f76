import type { ReceiveBuffer } from "../dlms/bytes/receive-buffer.ts";
import { addressLength } from "../dlms/hdlc/address.ts";
import { fcs16 } from "../dlms/hdlc/fcs.ts";
import { FLAG, FRAME_OCTETS_MIN, OCTETS_COUNTED_TOO_MANY } from "../dlms/hdlc/frame.ts";

/** An HDLC frame behind the first octet of something else. */
export interface FrameWithin {
  /** Offset of its flag in what was received. */
  readonly at: number;
  /** false: its header is right as far as it is here, and the rest has yet to come. */
  readonly whole: boolean;
}

/**
 * Looks for an HDLC frame with an information field behind the first octet: it has two right check sequences, and nothing else looks like
 * it by accident. What the answer says of an offset does not depend on how the octets came. An offset is looked at until it is settled, and
 * then never again.
 */
export class FrameSearch {
  readonly #pending: ReceiveBuffer;
  /** In the stream: no frame begins in front of here. */
  #settledTo = 0;

  constructor(pending: ReceiveBuffer) {
    this.#pending = pending;
  }

  /** The first one, whole or not yet; `atEnd`: nothing more comes, so that only whole ones count. */
  find(atEnd: boolean): FrameWithin | null {
    const { octets, from, to, position } = this.#pending;
    const start = Math.max(from + 1, from + this.#settledTo - position);
    for (let at = octets.indexOf(FLAG, start); at >= 0 && at < to; at = octets.indexOf(FLAG, at + 1)) {
      const found = examine(octets, at + 1, to);
      if (found === "frame" || (found === "need-more" && !atEnd)) {
        this.#settledTo = position + at - from;
        return { at, whole: found === "frame" };
      }
    }
    this.#settledTo = position + to - from;
    return null;
  }
}

/** What begins at `from`, behind a flag. */
function examine(octets: Buffer, from: number, to: number): "frame" | "need-more" | "none" {
  if (from >= to) return "need-more";
  if ((octets[from]! & 0xf0) !== 0xa0) return "none";
  if (from + 1 >= to) return "need-more";
  const length = ((octets[from]! & 0x07) << 8) | octets[from + 1]!;
  if (length < FRAME_OCTETS_MIN) return "none";
  const end = from + length;
  const header = headerEnd(octets, from, Math.min(end, to));
  // Without an information field there is one check sequence only.
  if (header === -1 || (header > 0 && end - header < 4)) return "none";
  if (header === 0 || header + 2 > to) return end > to ? "need-more" : "none";
  if (fcs16(octets, from, header) !== octets.readUInt16LE(header)) return "none";
  if (isClosedAt(octets, from, to, end)) return "frame";
  if (isClosedAt(octets, from, to, end - OCTETS_COUNTED_TOO_MANY)) return "frame";
  return end >= to ? "need-more" : "none";
}

/** Where the check sequence of the header stands; 0 where that can't be told yet, −1 where it is none. */
function headerEnd(octets: Buffer, from: number, to: number): number {
  const destination = addressLength(octets, from + 2, to);
  if (destination <= 0) return destination;
  const source = addressLength(octets, from + 2 + destination, to);
  return source <= 0 ? source : from + 2 + destination + source + 1;
}

function isClosedAt(octets: Buffer, from: number, to: number, end: number): boolean {
  return end < to && octets[end] === FLAG && fcs16(octets, from, end - 2) === octets.readUInt16LE(end - 2);
}
