import type { Attempt, Deframed, Discarded, Rejection } from "../dlms/bytes/deframed.ts";
import { DiscardTally, NEED_MORE, rejection } from "../dlms/bytes/deframed.ts";
import { ReceiveBuffer } from "../dlms/bytes/receive-buffer.ts";
import { carriesApdu, sendSequence } from "../dlms/hdlc/control.ts";
import { HdlcDeframer } from "../dlms/hdlc/deframer.ts";
import type { HdlcFrame } from "../dlms/hdlc/frame.ts";
import { writeReceiveReady } from "../dlms/hdlc/outgoing.ts";
import { SegmentReassembly } from "../dlms/hdlc/segments.ts";
import { MbusDeframer } from "../dlms/mbus/deframer.ts";
import type { MbusLongFrame } from "../dlms/mbus/long-frame.ts";
import { MbusReassembly } from "../dlms/mbus/segments.ts";
import { WrapperDeframer } from "../dlms/wrapper/deframer.ts";
import type { Wpdu } from "../dlms/wrapper/wpdu.ts";
import type { Limits } from "../limits.ts";
import type { LineFraming } from "../line-framing.ts";
import { APDU_TAGS } from "./apdu-start.ts";
import { type Framing, framingStart, mayBeginAnother } from "./framing-start.ts";
import { type LineRepair, TextModeRepair, Unstuffing } from "./line-repair.ts";
import { type LoneApdu, LoneApdus } from "./lone-apdu.ts";
import { fromFrame, fromLone, fromMbus, fromWpdu, type ReceivedApdu } from "./received-apdu.ts";

const NO_START = rejection("neither an HDLC frame nor a wrapper PDU nor an M-Bus long frame begins here");
/** Silence after which a message begins anew, whatever was lost before. */
const SILENCE_MS = 500;

/**
 * From the octets of one connection to APDUs. With framing "auto" the first octets tell: 7E A… is HDLC, 00 01 wrapper, 68 L L 68 M-Bus;
 * else it may be an APDU or a text without a frame. A right HDLC frame settles the question, for its check sequences prove it. A wrapper
 * PDU does so until octets come that can't be one; then a start of another framing is looked for, and the loss reported as `discarded`.
 * What has neither mark nor check sequence is believed where nothing was lost before, or after a silence.
 *
 * Sans-IO: `now` is in milliseconds of a clock that only goes forward. After `push`, call `next` until it says
 * "need-more"; then ask for `deadline`, and send what `takeReply` gives.
 */
export class StreamDeframer {
  readonly #pending = new ReceiveBuffer();
  readonly #hdlc: HdlcDeframer;
  readonly #wrapper: WrapperDeframer;
  readonly #mbus: MbusDeframer;
  readonly #lone: LoneApdus;
  readonly #segments: SegmentReassembly;
  readonly #mbusSegments: MbusReassembly;
  readonly #limits: Limits;
  readonly #fixed: boolean;
  readonly #repair: LineRepair | null;
  readonly #discards = new DiscardTally();
  readonly #reports: Discarded[] = [];
  #framing: Framing;
  #last: ReceivedApdu["framing"] | "undecided" = "undecided";
  /** HDLC frames have come, so that nothing else is looked for. */
  #hdlcProven = false;
  /** Octets have been lost, so that a wrapper header must look like one in more respects. */
  #doubtful = false;
  /** Found behind octets whose loss has to be reported first. */
  #found: ReceivedApdu | null = null;
  #frameSince: number | null = null;
  #lastPush = Number.POSITIVE_INFINITY;
  #reply: Buffer | null = null;

  constructor({ framing, limits }: { readonly framing: LineFraming; readonly limits: Limits }) {
    this.#limits = limits;
    this.#fixed = framing !== "auto";
    this.#framing = framing === "auto" ? "undecided" : framing === "wrapper" ? "wrapper" : "hdlc";
    this.#repair =
      framing === "hdlc-stuffed"
        ? new Unstuffing()
        : framing === "hdlc-text-mode"
          ? new TextModeRepair()
          : null;
    const hdlc = {
      frameOctetsMax: limits.hdlcFrameBytesMax,
      flags: framing === "hdlc-noflags" ? "left-out" : "required",
      checkSequence: framing === "hdlc-text-mode" ? "left-out" : "required",
    } as const;
    this.#hdlc = new HdlcDeframer(hdlc, this.#pending);
    const wrapper = { payloadOctetsMax: limits.wrapperPayloadBytesMax, apduTags: APDU_TAGS };
    this.#wrapper = new WrapperDeframer(wrapper, this.#pending);
    this.#mbus = new MbusDeframer(this.#pending);
    this.#lone = new LoneApdus(limits, this.#pending);
    const segments = { apduOctetsMax: limits.apduBytesMax, apduMs: limits.apduMs };
    this.#segments = new SegmentReassembly(segments);
    this.#mbusSegments = new MbusReassembly(segments);
  }

  /** APDUs that `next` handed out before are no longer valid. */
  push(chunk: Buffer, now: number): void {
    if (this.#found !== null) this.#found = { ...this.#found, apdu: Buffer.from(this.#found.apdu) };
    if (this.#pending.length === 0 && now - this.#lastPush > SILENCE_MS) this.#doubtful = false;
    this.#lastPush = now;
    this.#pending.push(this.#repair === null ? chunk : this.#repair.push(chunk));
  }

  next(now: number): Deframed<ReceivedApdu> {
    if (this.#reports.length > 0) return this.#reports.shift()!;
    if (this.#found !== null) return this.#deliver(this.#found);
    for (;;) {
      if (this.#framing === "undecided") this.#decide();
      const attempt = this.#attempt();
      if (attempt.kind === "need-more") return this.#needMore(now);
      this.#frameSince = null;
      if (attempt.kind === "rejected") {
        this.#rejected(attempt);
      } else if ("payload" in attempt.value) {
        return this.#deliver(fromWpdu(attempt.value));
      } else {
        const answer = this.#fromOther(attempt.value, now);
        if (answer !== null) return answer;
      }
    }
  }

  #attempt(): Attempt<Wpdu | HdlcFrame | MbusLongFrame | LoneApdu> {
    switch (this.#framing) {
      case "wrapper":
        return this.#wrapper.attempt();
      case "hdlc":
        return this.#hdlc.attempt();
      case "mbus":
        return this.#mbus.attempt();
      case "lone":
        return this.#lone.attempt();
      default:
        return NEED_MORE;
    }
  }

  /** Null where the frame completes no APDU. */
  #fromOther(value: HdlcFrame | MbusLongFrame | LoneApdu, now: number): Deframed<ReceivedApdu> | null {
    if ("information" in value) {
      this.#hdlcProven = true;
      return this.#fromFrame(value, now);
    }
    this.#framing = "undecided";
    return "stsap" in value ? this.#fromMbus(value, now) : this.#deliver(fromLone(value));
  }

  /** Null where more segments follow. */
  #fromMbus(frame: MbusLongFrame, now: number): Deframed<ReceivedApdu> | null {
    const joined = this.#mbusSegments.add(frame, now);
    if (joined.kind === "need-more") return null;
    if (joined.kind === "discarded") return joined;
    return this.#deliver(fromMbus(frame, joined));
  }

  /** Octets to send now: RR for segments in I frames that are not the last of their APDU. */
  takeReply(): Buffer | null {
    const reply = this.#reply;
    this.#reply = null;
    return reply;
  }

  /** Framing of the connection as far as it is known. */
  get framing(): "undecided" | ReceivedApdu["framing"] {
    return this.#framing === "hdlc" || this.#framing === "wrapper" ? this.#framing : this.#last;
  }

  /** Whether octets are here of which `next` has not been asked to the end, or with which a frame has begun. */
  get holdsOctets(): boolean {
    return this.#pending.length > 0;
  }

  /** Octets of memory that frames and APDUs take which have begun, about. */
  get memoryBytes(): number {
    return this.#pending.length + this.#segments.octets + this.#mbusSegments.memoryBytes;
  }

  /** When `handleTimeout` wants to be called: a frame, or an APDU in segments, has begun. Null where nothing has. */
  deadline(): number | null {
    const all = [this.#segments.deadline(), this.#mbusSegments.deadline(), this.#frameDeadline()].filter(
      (at) => at !== null,
    );
    return all.length === 0 ? null : Math.min(...all);
  }

  /** Gives up what has been waited for too long. What is lost, and what stands behind it, comes from `next`. */
  handleTimeout(now: number): void {
    for (const expired of [this.#segments.expire(now), this.#mbusSegments.expire(now)]) {
      if (expired?.kind === "discarded") this.#reports.push(expired);
    }
    const deadline = this.#frameDeadline();
    if (deadline === null || deadline > now) return;
    this.#frameSince = null;
    const last = this.#framing === "lone" ? this.#lone.attempt(true) : NEED_MORE;
    if (last.kind === "frame") {
      this.#framing = "undecided";
      this.#found = fromLone(last.value);
      return;
    }
    const late = rejection(`a frame was not complete after ${this.#limits.frameMs / 1000} s`);
    if (this.#pending.length > 0) this.#giveUp(last.kind === "rejected" ? last : late);
  }

  #frameDeadline(): number | null {
    if (this.#frameSince === null) return null;
    if (this.#framing === "lone" && this.#lone.held) return this.#lastPush + SILENCE_MS;
    return this.#frameSince + this.#limits.frameMs;
  }

  /** Skips to where a frame of any framing may begin, and settles for that framing until octets are lost. */
  #decide(): void {
    const { from, to } = this.#pending;
    for (let at = from; at < to; at++) {
      const trusted = !this.#doubtful && at === from;
      const start =
        framingStart(this.#pending, at, trusted) ?? (trusted && this.#lone.begins() ? "lone" : null);
      if (start === null) continue;
      this.#skipNoise(at - from);
      this.#framing = start;
      return;
    }
    this.#skipNoise(to - from);
  }

  #skipNoise(count: number): void {
    if (count === 0) return;
    this.#pending.skip(count);
    this.#discards.add(count, NO_START);
    this.#doubtful = true;
  }

  #rejected(why: Rejection): void {
    const first = this.#pending.octets[this.#pending.from];
    if (this.#fixed || this.#hdlcProven || !mayBeginAnother(first, this.#framing)) {
      this.#giveUp(why);
    } else {
      this.#doubtful = true;
      this.#framing = "undecided";
    }
  }

  #giveUp(why: Rejection): void {
    this.#discards.add(this.#skipStart(why), why);
    this.#doubtful = true;
    if (this.#framing === "hdlc" && (this.#fixed || this.#hdlcProven)) {
      this.#discards.add(this.#hdlc.seek(), NO_START);
    } else if (!this.#fixed) {
      this.#framing = "undecided";
    }
  }

  /** Skips a start that was none, and says how many octets that were. */
  #skipStart(why: Rejection): number {
    if (this.#framing === "wrapper") return this.#wrapper.reject(why);
    if (this.#framing === "hdlc") return this.#hdlc.reject(why);
    return this.#mbus.reject();
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
    this.#last = value.framing;
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
