import type { Deframed, Discarded, Rejection } from "../dlms/bytes/deframed.ts";
import { DiscardTally, NEED_MORE, rejection } from "../dlms/bytes/deframed.ts";
import { ReceiveBuffer } from "../dlms/bytes/receive-buffer.ts";
import type { HdlcAddress } from "../dlms/hdlc/address.ts";
import { carriesApdu, sendSequence } from "../dlms/hdlc/control.ts";
import { HdlcDeframer } from "../dlms/hdlc/deframer.ts";
import { FLAG, type HdlcFrame } from "../dlms/hdlc/frame.ts";
import { writeReceiveReady } from "../dlms/hdlc/outgoing.ts";
import { SegmentReassembly } from "../dlms/hdlc/segments.ts";
import { WrapperDeframer } from "../dlms/wrapper/deframer.ts";
import { type Wpdu, WRAPPER_HEADER_OCTETS } from "../dlms/wrapper/wpdu.ts";
import type { Limits } from "../limits.ts";

/** An APDU as it came out of its framing. */
export interface ReceivedApdu {
  readonly framing: "hdlc" | "wrapper";
  /** May be a view of what was received: valid until the next `push`. */
  readonly apdu: Buffer;
  /** SAP of the sender: a meter's logical device. */
  readonly sourceAddress: number;
  /** SAP of the receiver: the client to which the meter pushes. */
  readonly destinationAddress: number;
  /** Octets on the line, framing included; in HDLC those of the frame that completed the APDU. */
  readonly octets: number;
  /** What an answer over HDLC needs to know. */
  readonly hdlc?: {
    readonly control: number;
    /** N(S) where an I frame completed the APDU; null for UI frames, which nobody acknowledges. */
    readonly sendSequence: number | null;
    readonly source: HdlcAddress;
    readonly destination: HdlcAddress;
  };
}

type Framing = "undecided" | "hdlc" | "wrapper";

const NO_START = rejection("neither an HDLC frame nor a wrapper PDU begins here");

/**
 * From the octets of one connection to APDUs. With framing "auto" the first octets tell: 7E A… is HDLC, 00 01 wrapper.
 * A right HDLC frame settles the question, for its check sequences prove it. A wrapper PDU does so until octets come that
 * can't be one; then a start of either framing is looked for, and the loss reported as `discarded`.
 *
 * Sans-IO: `now` is in milliseconds of a clock that only goes forward. After `push`, call `next` until it says
 * "need-more"; then ask for `deadline`, and send what `takeReply` gives.
 */
export class StreamDeframer {
  readonly #pending = new ReceiveBuffer();
  readonly #hdlc: HdlcDeframer;
  readonly #wrapper: WrapperDeframer;
  readonly #segments: SegmentReassembly;
  readonly #limits: Limits;
  readonly #fixed: boolean;
  readonly #discards = new DiscardTally();
  readonly #reports: Discarded[] = [];
  #framing: Framing;
  /** HDLC frames have come, so that nothing else is looked for. */
  #hdlcProven = false;
  /** Octets have been lost, so that a wrapper header must look like one in more respects. */
  #doubtful = false;
  /** Found behind octets whose loss has to be reported first. */
  #found: ReceivedApdu | null = null;
  #frameSince: number | null = null;
  #reply: Buffer | null = null;

  constructor(options: { readonly framing: "auto" | "hdlc" | "wrapper"; readonly limits: Limits }) {
    const { limits } = options;
    this.#limits = limits;
    this.#fixed = options.framing !== "auto";
    this.#framing = options.framing === "auto" ? "undecided" : options.framing;
    this.#hdlc = new HdlcDeframer({ frameOctetsMax: limits.hdlcFrameBytesMax }, this.#pending);
    const wrapper = { payloadOctetsMax: limits.wrapperPayloadBytesMax, apduTags: APDU_TAGS };
    this.#wrapper = new WrapperDeframer(wrapper, this.#pending);
    this.#segments = new SegmentReassembly({ apduOctetsMax: limits.apduBytesMax, apduMs: limits.apduMs });
  }

  /** APDUs that `next` handed out before are no longer valid. */
  push(chunk: Buffer, _now: number): void {
    if (this.#found !== null) this.#found = { ...this.#found, apdu: Buffer.from(this.#found.apdu) };
    this.#pending.push(chunk);
  }

  next(now: number): Deframed<ReceivedApdu> {
    const report = this.#reports.shift();
    if (report !== undefined) return report;
    if (this.#found !== null) return this.#deliver(this.#found);
    for (;;) {
      if (this.#framing === "undecided") this.#decide();
      const attempt =
        this.#framing === "wrapper"
          ? this.#wrapper.attempt()
          : this.#framing === "hdlc"
            ? this.#hdlc.attempt()
            : NEED_MORE;
      if (attempt.kind === "need-more") return this.#needMore(now);
      this.#frameSince = null;
      if (attempt.kind === "rejected") {
        this.#rejected(attempt);
      } else if ("payload" in attempt.value) {
        return this.#deliver(fromWpdu(attempt.value));
      } else {
        this.#hdlcProven = true;
        const answer = this.#fromFrame(attempt.value, now);
        if (answer !== null) return answer;
      }
    }
  }

  /** Octets to send now: RR for segments in I frames that are not the last of their APDU. */
  takeReply(): Buffer | null {
    const reply = this.#reply;
    this.#reply = null;
    return reply;
  }

  /** Framing of the connection as far as it is known. */
  get framing(): "undecided" | "hdlc" | "wrapper" {
    return this.#framing;
  }

  /** When `handleTimeout` wants to be called: a frame, or an APDU in segments, has begun. Null where nothing has. */
  deadline(): number | null {
    const segments = this.#segments.deadline();
    if (this.#frameSince === null) return segments;
    const frame = this.#frameSince + this.#limits.frameMs;
    return segments === null ? frame : Math.min(frame, segments);
  }

  /** Gives up what has been waited for too long. What is lost, and what stands behind it, comes from `next`. */
  handleTimeout(now: number): void {
    const expired = this.#segments.expire(now);
    if (expired !== null) this.#reports.push(expired);
    if (this.#frameSince === null || this.#frameSince + this.#limits.frameMs > now) return;
    this.#frameSince = null;
    const late = rejection(`a frame was not complete after ${this.#limits.frameMs / 1000} s`);
    if (this.#pending.length > 0) this.#giveUp(late);
  }

  /** Skips to where a frame of either framing may begin, and settles for that framing until octets are lost. */
  #decide(): void {
    const { octets, from, to } = this.#pending;
    for (let at = from; at < to; at++) {
      const start = octets[at] === FLAG ? "hdlc" : this.#wrapperStart(octets, at, to);
      if (start === null) continue;
      this.#skipNoise(at - from);
      this.#framing = start;
      return;
    }
    this.#skipNoise(to - from);
  }

  /** "undecided" where more octets are needed to tell, null where no wrapper PDU begins. */
  #wrapperStart(octets: Buffer, at: number, to: number): Framing | null {
    if (octets[at] !== 0 || (at + 1 < to && octets[at + 1] !== 1)) return null;
    if (at + 1 === to) return "undecided";
    if (!this.#doubtful && at === this.#pending.from) return "wrapper";
    if ((at + 2 < to && octets[at + 2] !== 0) || (at + 4 < to && octets[at + 4] !== 0)) return null;
    if (at + WRAPPER_HEADER_OCTETS >= to) return "undecided";
    return APDU_TAGS.has(octets[at + WRAPPER_HEADER_OCTETS]!) ? "wrapper" : null;
  }

  #skipNoise(count: number): void {
    if (count === 0) return;
    this.#pending.skip(count);
    this.#discards.add(count, NO_START);
    this.#doubtful = true;
  }

  #rejected(why: Rejection): void {
    const first = this.#pending.octets[this.#pending.from];
    const startOfTheOther = this.#framing === "wrapper" ? FLAG : 0;
    if (this.#fixed || this.#hdlcProven || first !== startOfTheOther) {
      this.#giveUp(why);
    } else {
      this.#doubtful = true;
      this.#framing = "undecided";
    }
  }

  #giveUp(why: Rejection): void {
    const count = this.#framing === "wrapper" ? this.#wrapper.reject(why) : this.#hdlc.reject(why);
    this.#discards.add(count, why);
    this.#doubtful = true;
    if (this.#framing === "hdlc" && (this.#fixed || this.#hdlcProven)) {
      this.#discards.add(this.#hdlc.seek(), NO_START);
    } else if (!this.#fixed) {
      this.#framing = "undecided";
    }
  }

  #needMore(now: number): Deframed<ReceivedApdu> {
    const discarded = this.#discards.take();
    if (discarded !== null) return discarded;
    if (this.#pending.length === 0) this.#frameSince = null;
    else this.#frameSince ??= now;
    return NEED_MORE;
  }

  #deliver(value: ReceivedApdu): Deframed<ReceivedApdu> {
    const discarded = this.#discards.take();
    this.#found = discarded === null ? null : value;
    return discarded ?? { kind: "frame", value };
  }

  /** Null where the frame completes no APDU. */
  #fromFrame(frame: HdlcFrame, now: number): Deframed<ReceivedApdu> | null {
    if (!carriesApdu(frame.control)) return null;
    const joined = this.#segments.add(frame, now);
    if (joined.kind === "discarded") return joined;
    const loss = this.#segments.takeLoss();
    if (loss !== null) this.#reports.push(loss);
    const sent = (frame.control & 1) === 0 ? sendSequence(frame.control) : null;
    if (joined.kind === "frame") return this.#deliver(fromFrame(joined.value.apdu, frame, sent));
    if (sent !== null) {
      this.#reply = writeReceiveReady({ destination: frame.source, source: frame.destination }, sent + 1);
    }
    return null;
  }
}

/** First octets of the APDUs that a head-end is sent. */
const APDU_TAGS: ReadonlySet<number> = new Set([
  0x01, 0x08, 0x0e, 0x0f, 0x21, 0x28, 0x60, 0x61, 0x62, 0x63, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc7, 0xc8,
  0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc,
  0xdd, 0xdf, 0xe0,
]);

function fromWpdu({ payload, sourceWPort, destinationWPort }: Wpdu): ReceivedApdu {
  return {
    framing: "wrapper",
    apdu: payload,
    sourceAddress: sourceWPort,
    destinationAddress: destinationWPort,
    octets: payload.length + WRAPPER_HEADER_OCTETS,
  };
}

function fromFrame(apdu: Buffer, frame: HdlcFrame, sent: number | null): ReceivedApdu {
  const { control, source, destination } = frame;
  return {
    framing: "hdlc",
    apdu,
    sourceAddress: source.upper,
    destinationAddress: destination.upper,
    octets: frame.octets,
    hdlc: { control, sendSequence: sent, source, destination },
  };
}
