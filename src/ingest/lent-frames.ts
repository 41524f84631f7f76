import type { Attempt, Rejection } from "../dlms/bytes/deframed.ts";
import { ReceiveBuffer } from "../dlms/bytes/receive-buffer.ts";
import { hdlcAddress } from "../dlms/hdlc/address.ts";
import { frameType } from "../dlms/hdlc/control.ts";
import { HdlcDeframer } from "../dlms/hdlc/deframer.ts";
import { FLAG, type HdlcFrame } from "../dlms/hdlc/frame.ts";
import { LLC_RESPONSE, writeApdu } from "../dlms/hdlc/outgoing.ts";
import { WrapperDeframer } from "../dlms/wrapper/deframer.ts";
import { type Wpdu, writeWpdu } from "../dlms/wrapper/wpdu.ts";

export interface LentFramesOptions {
  readonly framing: "hdlc" | "wrapper";
  /** SAP of the client that polls: what is for it is for the poll. */
  readonly clientSap: number;
  /** Whole frames, each with its flags. Copies, as those of `toPushes`. */
  readonly toPoll: (octets: Buffer) => void;
  /** Everything else in its order, octet for octet but for flags between frames. */
  readonly toPushes: (octets: Buffer) => void;
}

/** Of the frames that are put around a push anew. */
const INFORMATION_OCTETS = 1_024;
const NOTHING = Buffer.alloc(0);
const OPENING_FLAG = Buffer.from([FLAG]);

/**
 * Tells the frames of a poll from what else comes over a connection while it is lent. UI frames are no part of any conversation: they are
 * always pushes. To be begun between two frames.
 */
export class LentFrames {
  readonly #options: LentFramesOptions;
  readonly #pending = new ReceiveBuffer();
  readonly #cutter: Cutter<HdlcFrame | Wpdu>;
  /** What a frame is given in front if the frame before it has taken the flag that they share. */
  readonly #opening: Buffer;

  constructor(options: LentFramesOptions) {
    this.#options = options;
    const isHdlc = options.framing === "hdlc";
    this.#cutter = isHdlc ? new HdlcDeframer({}, this.#pending) : new WrapperDeframer({}, this.#pending);
    this.#opening = isHdlc ? OPENING_FLAG : NOTHING;
    // The flag that ended the frame before, whoever has read it, may begin the next.
    this.read(this.#opening);
  }

  read(chunk: Buffer): void {
    const { toPoll, toPushes } = this.#options;
    const pending = this.#pending;
    pending.push(chunk);
    const { octets } = pending;
    const copy = (from: number, to: number) => Buffer.from(octets.subarray(from, to));
    /** Where octets begin that belong to no frame. */
    let outside = pending.from;
    for (;;) {
      const { from } = pending;
      const attempt = this.#cutter.attempt();
      if (attempt.kind === "rejected") {
        this.#cutter.reject(attempt);
        continue;
      }
      if (from > outside) toPushes(copy(outside, from));
      if (attempt.kind === "need-more") return;
      const cut = copy(from, pending.from);
      const whole = cut[0] === FLAG ? cut : Buffer.concat([this.#opening, cut]);
      if (this.#isForPoll(attempt.value)) toPoll(whole);
      else toPushes(whole);
      // Whoever was given it may have ended this.
      outside = pending.from;
    }
  }

  /** No more comes. A frame that has begun is a push's, or an answer that nobody waits for any more. */
  end(): void {
    const rest = Buffer.concat([this.#opening, this.#pending.takeAll()]);
    if (rest.length > 0) this.#options.toPushes(rest);
  }

  #isForPoll(frame: HdlcFrame | Wpdu): boolean {
    const { clientSap } = this.#options;
    if ("payload" in frame) return frame.destinationWPort === clientSap;
    return frame.destination.upper === clientSap && frameType(frame.control) !== "UI";
  }
}

/** A push that has come in a frame for the poll's client, as one that the meter sends to nobody in particular. */
export function framedPush(
  framing: "hdlc" | "wrapper",
  apdu: Buffer,
  source: number,
  destination: number,
): Buffer {
  if (framing === "wrapper") {
    return writeWpdu({ sourceWPort: source, destinationWPort: destination, payload: apdu });
  }
  const ends = { destination: hdlcAddress(destination), source: hdlcAddress(source) };
  return Buffer.concat(writeApdu(ends, LLC_RESPONSE, apdu, INFORMATION_OCTETS));
}

/** Looks for a frame at the present octet, or skips what was none. */
interface Cutter<T> {
  attempt(): Attempt<T>;
  reject(why: Rejection): number;
}
