import { type Attempt, NEED_MORE, rejection } from "../dlms/bytes/deframed.ts";
import type { ReceiveBuffer } from "../dlms/bytes/receive-buffer.ts";
import type { DataLimits } from "../dlms/encoding/data.ts";
import { asciiPushEnd } from "../dlms/text/ascii-push.ts";
import { TELEGRAM_START, telegramEnd } from "../dlms/text/p1-telegram.ts";
import type { Limits } from "../limits.ts";
import { type ApduPrefix, apduEnd, apduPrefix } from "./apdu-start.ts";
import { FrameSearch } from "./frame-search.ts";

/** What came without any frame around it. */
export interface LoneApdu {
  readonly framing: ApduPrefix["framing"] | "ascii-push" | "p1";
  /** A view of what was received; a gateway's header is still in front of it. */
  readonly apdu: Buffer;
  /** With what stood in front of it. */
  readonly octets: number;
}

const NO_APDU = rejection("no APDU begins here");
const TOO_LONG = rejection("an APDU without a frame is longer than the limit", "limit");

/** Up to here every octet that arrives is reason for another look; above, a part of what is there. */
const OFTEN_OCTETS = 4_096;
const SHARE_BITS = 5;
/** A few octets of a compact-array can describe very many elements, and here they are looked at again and again. */
const ELEMENTS_PER_OCTET = 4;

/**
 * Finds the end of APDUs, and of pushes as text, that stand in the stream without a frame: what they are made of says how long they are.
 * Nothing protects or marks them, so that they are only looked for where nothing else can be meant.
 */
export class LoneApdus {
  readonly #pending: ReceiveBuffer;
  readonly #limits: DataLimits;
  readonly #octetsMax: number;
  readonly #frames: FrameSearch;
  #wanted = 1;
  #held = false;

  constructor(limits: Limits, pending: ReceiveBuffer) {
    this.#pending = pending;
    this.#frames = new FrameSearch(pending);
    this.#limits = { depthMax: limits.depthMax, elementsMax: limits.pushElementsMax };
    this.#octetsMax = limits.apduBytesMax;
  }

  /**
   * A whole one is here, in which an HDLC frame has begun or may have: who begins to listen in the middle of a frame may hear an octet first
   * that looks like a tag. What comes next tells, or a silence.
   */
  get held(): boolean {
    return this.#held;
  }

  /** Whether one may begin at the present octet. */
  begins(): boolean {
    const { octets, from, to } = this.#pending;
    this.#wanted = 1;
    this.#held = false;
    if (apduPrefix(octets, from, to) !== null) return true;
    if (octets[from] === TELEGRAM_START) return telegramEnd(octets, from, to, false) !== null;
    return asciiPushEnd(octets, from, to, false) !== null;
  }

  #limitsOf(available: number): DataLimits {
    const { depthMax, elementsMax } = this.#limits;
    return { depthMax, elementsMax: Math.min(elementsMax, available * ELEMENTS_PER_OCTET) };
  }

  /** `atEnd`: nothing more comes. */
  attempt(atEnd = false): Attempt<LoneApdu> {
    const { octets, from, to } = this.#pending;
    const available = to - from;
    this.#held = false;
    if (!atEnd && available < this.#wanted) return NEED_MORE;
    const prefix = apduPrefix(octets, from, to);
    if (prefix === "need-more") return NEED_MORE;
    const start = from + (prefix?.octets ?? 0);
    const end =
      prefix !== null
        ? apduEnd(octets, start + prefix.gatewayOctets, to, this.#limitsOf(available))
        : octets[from] === TELEGRAM_START
          ? telegramEnd(octets, from, to, atEnd)
          : asciiPushEnd(octets, from, to, atEnd);
    if (end === null) return NO_APDU;
    const frame = this.#frames.find(atEnd);
    if (frame !== null && (end === "need-more" || end > frame.at)) {
      if (frame.whole) return NO_APDU;
      this.#held = end !== "need-more";
      if (this.#held) return NEED_MORE;
    }
    if (end === "need-more") {
      if (available > this.#octetsMax) return TOO_LONG;
      this.#wanted = available + (available < OFTEN_OCTETS ? 1 : available >> SHARE_BITS);
      return NEED_MORE;
    }
    const framing = prefix?.framing ?? (octets[from] === TELEGRAM_START ? "p1" : "ascii-push");
    this.#pending.skip(end - from);
    return { kind: "frame", value: { framing, apdu: octets.subarray(start, end), octets: end - from } };
  }
}
