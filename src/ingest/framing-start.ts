import type { ReceiveBuffer } from "../dlms/bytes/receive-buffer.ts";
import { FLAG } from "../dlms/hdlc/frame.ts";
import { MBUS_HEADER_OCTETS, MBUS_START } from "../dlms/mbus/long-frame.ts";
import { WRAPPER_HEADER_OCTETS } from "../dlms/wrapper/wpdu.ts";
import { APDU_TAGS } from "./apdu-start.ts";

/** What a connection's octets are taken for; "lone": an APDU or a text without a frame. */
export type Framing = "undecided" | "hdlc" | "wrapper" | "mbus" | "lone";

/**
 * The framing of which a frame may begin at the offset `at`; "undecided" where more octets are needed to tell, null where none begins.
 * `trusted`: nothing was lost in front of it, so that the first octets of a wrapper header are enough.
 */
export function framingStart(
  { octets, to }: ReceiveBuffer,
  at: number,
  trusted: boolean,
): Exclude<Framing, "lone"> | null {
  const first = octets[at];
  if (first === FLAG) return "hdlc";
  if (first === MBUS_START && mayBeMbus(octets, at, to)) {
    return to - at < MBUS_HEADER_OCTETS ? "undecided" : "mbus";
  }
  return first === 0 ? wrapperStart(octets, at, to, trusted) : null;
}

function wrapperStart(
  octets: Buffer,
  at: number,
  to: number,
  trusted: boolean,
): "wrapper" | "undecided" | null {
  if (at + 1 < to && octets[at + 1] !== 1) return null;
  if (at + 1 === to) return "undecided";
  if (trusted) return "wrapper";
  if ((at + 2 < to && octets[at + 2] !== 0) || (at + 4 < to && octets[at + 4] !== 0)) return null;
  if (at + WRAPPER_HEADER_OCTETS >= to) return "undecided";
  return APDU_TAGS.has(octets[at + WRAPPER_HEADER_OCTETS]!) ? "wrapper" : null;
}

function mayBeMbus(octets: Buffer, at: number, to: number): boolean {
  if (at + 2 < to && octets[at + 1] !== octets[at + 2]) return false;
  return at + 3 >= to || octets[at + 3] === MBUS_START;
}

/** Whether an octet at which one framing can't go on may be the start of another. */
export function mayBeginAnother(octet: number | undefined, framing: Framing): boolean {
  return (
    (octet === FLAG && framing !== "hdlc") ||
    (octet === 0 && framing !== "wrapper") ||
    (octet === MBUS_START && framing !== "mbus")
  );
}
