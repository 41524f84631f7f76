import {
  type Attempt,
  type Deframed,
  DiscardTally,
  NEED_MORE,
  type Rejection,
  rejection,
} from "../bytes/deframed.ts";
import { ReceiveBuffer } from "../bytes/receive-buffer.ts";
import { addressLength, readAddressOf } from "./address.ts";
import { FCS_START, fcsRegister } from "./fcs.ts";
import {
  FLAG,
  FRAME_OCTETS_MAX,
  FRAME_OCTETS_MIN,
  type HdlcFrame,
  OCTETS_COUNTED_TOO_MANY,
} from "./frame.ts";

const OUTSIDE = rejection("octets outside an HDLC frame");
const TOO_SHORT = rejection("HDLC frame too short for its fields");
const BAD_ADDRESS = rejection("HDLC address has neither 1, 2 nor 4 octets");
const BAD_HCS = rejection("HDLC header check sequence is wrong");
const BAD_FCS = rejection("HDLC frame check sequence is wrong");
const TOO_LONG = rejection("HDLC frame is longer than the limit", "limit");
const INCOMPLETE = rejection("HDLC frame was not completed in time");

/** Frames with a right header and a wrong end that may overlap before all of them are skipped. */
const OVERLAPPING_FAILURES_MAX = 8;

export interface HdlcDeframerOptions {
  readonly frameOctetsMax?: number;
  /** "left-out": a bridge has taken the flags away. */
  readonly flags?: "required" | "left-out";
  /** "left-out": a bridge has swallowed the frame check sequence, so that only the header is checked. */
  readonly checkSequence?: "required" | "left-out";
}

/**
 * Cuts a stream into HDLC frames. The end of a frame is where its length says, never where a flag is: 7E may stand in
 * the information field and in the check sequences. Flags between frames may be one, shared, or many; the closing one
 * may be missing. After a failure the search goes on with the octet behind the failed start.
 */
export class HdlcDeframer {
  readonly #pending: ReceiveBuffer;
  readonly #frameOctetsMax: number;
  readonly #flags: "required" | "left-out";
  readonly #checkSequence: "required" | "left-out";
  readonly #discards = new DiscardTally();
  #behindFlag = false;
  /** Octets without which another attempt at the present start is useless. */
  #wanted = 1;
  /** A frame that was found behind octets whose loss has to be reported first. */
  #found: Attempt<HdlcFrame> | null = null;
  /** Stream offset up to which frames with a right header have failed, and how often they did. */
  #failedUntil = 0;
  #failures = 0;

  constructor(options: HdlcDeframerOptions = {}, pending: ReceiveBuffer = new ReceiveBuffer()) {
    this.#frameOctetsMax = options.frameOctetsMax ?? FRAME_OCTETS_MAX;
    this.#flags = options.flags ?? "required";
    this.#checkSequence = options.checkSequence ?? "required";
    this.#pending = pending;
  }

  /** Views that `next` handed out before are no longer valid. */
  push(chunk: Buffer): void {
    if (this.#found?.kind === "frame" && this.#found.value.information !== null) {
      const { value } = this.#found;
      this.#found = { kind: "frame", value: { ...value, information: Buffer.from(value.information!) } };
    }
    this.#pending.push(chunk);
  }

  next(): Deframed<HdlcFrame> {
    for (;;) {
      const attempt = this.#found ?? this.attempt();
      this.#found = null;
      if (attempt.kind !== "rejected") {
        const discarded = this.#discards.take();
        if (discarded === null) return attempt;
        if (attempt.kind === "frame") this.#found = attempt;
        return discarded;
      }
      this.#discards.add(this.reject(attempt), attempt);
      this.#discards.add(this.seek(), OUTSIDE);
    }
  }

  /** Octets of a frame that has begun. */
  get pendingOctets(): number {
    return this.#pending.length;
  }

  /** Gives up the frame that has begun; `next` then looks for another one in the octets behind its start. */
  abandon(): void {
    if (this.#pending.length > 0) this.#discards.add(this.reject(INCOMPLETE), INCOMPLETE);
  }

  /** Looks for a frame at the present octet only. Idle flags in front of it are taken away. */
  attempt(): Attempt<HdlcFrame> {
    const pending = this.#pending;
    if (pending.length < this.#wanted) return NEED_MORE;
    while (pending.from < pending.to && pending.octets[pending.from] === FLAG) {
      pending.skip(1);
      this.#behindFlag = true;
    }
    if (pending.from === pending.to) return NEED_MORE;
    if (!this.#behindFlag && this.#flags === "required") return OUTSIDE;
    return this.#frameAt(pending.octets, pending.from, pending.to);
  }

  /** Skips what the rejected start gives reason to skip, and says how many octets that were. */
  reject(why: Rejection): number {
    const pending = this.#pending;
    if (why !== BAD_FCS) return this.#skip(1);
    const { octets, from } = pending;
    const end = pending.position + frameLength(octets, from);
    this.#failures = pending.position < this.#failedUntil ? this.#failures + 1 : 1;
    this.#failedUntil = Math.max(this.#failedUntil, end);
    if (this.#failures <= OVERLAPPING_FAILURES_MAX) return this.#skip(1);
    this.#failures = 0;
    return this.#skip(Math.min(this.#failedUntil - pending.position, pending.length));
  }

  /** Skips to the next flag, or to the end, and says how many octets that were. */
  seek(): number {
    if (this.#flags === "left-out") return 0;
    const { octets, from, to } = this.#pending;
    const flag = octets.indexOf(FLAG, from);
    return this.#skip((flag < 0 || flag > to ? to : flag) - from);
  }

  #skip(count: number): number {
    this.#pending.skip(count);
    this.#behindFlag = false;
    this.#wanted = 1;
    return count;
  }

  #frameAt(octets: Buffer, from: number, to: number): Attempt<HdlcFrame> {
    if ((octets[from]! & 0xf0) !== 0xa0) return OUTSIDE;
    if (to - from < 2) return NEED_MORE;
    const length = frameLength(octets, from);
    if (length < FRAME_OCTETS_MIN) return TOO_SHORT;
    if (length > this.#frameOctetsMax) return TOO_LONG;
    const attempt = this.#frameOf(octets, from, to, length);
    if (attempt !== TOO_SHORT && attempt !== BAD_FCS) return attempt;
    const shorter = length - OCTETS_COUNTED_TOO_MANY;
    if (octets[from + shorter] !== FLAG || from + shorter >= to) return attempt;
    const other = this.#frameOf(octets, from, to, shorter);
    return other.kind === "frame" ? other : attempt;
  }

  #frameOf(octets: Buffer, from: number, to: number, length: number): Attempt<HdlcFrame> {
    const end = from + length;
    const seen = Math.min(end, to);
    const destination = addressLength(octets, from + 2, seen);
    const source = destination > 0 ? addressLength(octets, from + 2 + destination, seen) : destination;
    if (source < 0) return BAD_ADDRESS;
    if (source === 0) return seen === end ? TOO_SHORT : NEED_MORE;
    const header = from + 3 + destination + source;
    const rest = end - header;
    if (this.#checkSequence === "left-out") return this.#unchecked(octets, from, to, destination, source);
    if (rest !== 2 && rest < 4) return TOO_SHORT;
    let register = FCS_START;
    if (rest > 2) {
      if (header + 2 > to) return NEED_MORE;
      register = fcsRegister(register, octets, from, header);
      if ((register ^ 0xffff) !== (octets[header]! | (octets[header + 1]! << 8))) return BAD_HCS;
    }
    if (end > to) {
      this.#wanted = length;
      return NEED_MORE;
    }
    register = fcsRegister(register, octets, rest > 2 ? header : from, end - 2);
    if ((register ^ 0xffff) !== (octets[end - 2]! | (octets[end - 1]! << 8))) return BAD_FCS;
    const information = rest > 2 ? octets.subarray(header + 2, end - 2) : null;
    const value = frameOf(octets, from, destination, source, information);
    this.#skip(length);
    // The closing flag, where it is there already: it may also open the next frame.
    if (end < to && octets[end] === FLAG) {
      this.#pending.skip(1);
      this.#behindFlag = true;
    }
    return { kind: "frame", value };
  }

  /** A frame with a right header check sequence, of which the last two octets did not come. */
  #unchecked(
    octets: Buffer,
    from: number,
    to: number,
    destination: number,
    source: number,
  ): Attempt<HdlcFrame> {
    const header = from + 3 + destination + source;
    const end = from + frameLength(octets, from) - 2;
    if (end < header + 2) return TOO_SHORT;
    if (header + 2 > to) return NEED_MORE;
    const register = fcsRegister(FCS_START, octets, from, header);
    if ((register ^ 0xffff) !== (octets[header]! | (octets[header + 1]! << 8))) return BAD_HCS;
    if (end > to) {
      this.#wanted = end - from;
      return NEED_MORE;
    }
    const value = frameOf(octets, from, destination, source, octets.subarray(header + 2, end));
    this.#skip(end - from);
    return { kind: "frame", value };
  }
}

function frameOf(
  octets: Buffer,
  from: number,
  destination: number,
  source: number,
  information: Buffer | null,
): HdlcFrame {
  return {
    segmented: (octets[from]! & 0x08) !== 0,
    destination: readAddressOf(octets, from + 2, destination),
    source: readAddressOf(octets, from + 2 + destination, source),
    control: octets[from + 2 + destination + source]!,
    information,
    octets: frameLength(octets, from),
  };
}

function frameLength(octets: Buffer, from: number): number {
  return ((octets[from]! & 0x07) << 8) | octets[from + 1]!;
}
