import { createHash } from "node:crypto";
import { frame } from "../../simulator/framing.ts";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { writeHdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { LLC_RESPONSE } from "../../src/dlms/hdlc/outgoing.ts";

/** What a push goes over the line in, and what confirms it: data-notification-confirm, or the RR for its last segment. */
export type LineKind = "wrapper" | "blocks" | "hdlc";

/** One meter's end of a line. */
export interface PushLine {
  /** Whether the push has to ask for a data-notification-confirm. */
  readonly asks: boolean;
  /** A new connection. */
  dialled(): void;
  /** The octets of an APDU; what comes is its confirmation from now on, or of no interest. */
  write(apdu: Buffer, invokeId: number): Buffer;
  /** Whether the APDU that was written last is confirmed by what has come. */
  isConfirmed(octets: Buffer): boolean;
}

export const pushLine = (kind: LineKind): PushLine =>
  kind === "hdlc" ? new HdlcLine() : new WrapperLine(kind === "blocks" ? BLOCK_OCTETS : null);

/** First 16 octets of SHA-256, hex: how the head-end knows an APDU. */
export const digestOf = (apdu: Buffer): string =>
  createHash("sha256").update(apdu).digest("hex").slice(0, 32);

/** Small, so that a push is several blocks, or segments: no more than seven, which is what a window of HDLC holds. */
const BLOCK_OCTETS = 50;
const SEGMENT_OCTETS = 50;
const WRAPPER_OCTETS = 8;
/** Wrapper header and data-notification-confirm without a time. */
const CONFIRM_OCTETS = 14;

class WrapperLine implements PushLine {
  readonly asks = true;
  private readonly blockOctets: number | null;
  private received: Buffer = Buffer.alloc(0);
  private invokeId = 0;

  constructor(blockOctets: number | null) {
    this.blockOctets = blockOctets;
  }

  dialled(): void {
    this.received = Buffer.alloc(0);
  }

  write(apdu: Buffer, invokeId: number): Buffer {
    this.invokeId = invokeId;
    return frame(apdu, "wrapper", this.blockOctets === null ? {} : { blockOctets: this.blockOctets });
  }

  isConfirmed(octets: Buffer): boolean {
    this.received = Buffer.concat([this.received, octets]);
    let confirmed = false;
    while (this.received.length >= CONFIRM_OCTETS) {
      if (this.received[WRAPPER_OCTETS] !== 0x10)
        throw new Error(`no confirmation: ${this.received.toString("hex")}`);
      const invokeId = this.received.readUInt32BE(WRAPPER_OCTETS + 1) & 0xff_ffff;
      this.received = this.received.subarray(CONFIRM_OCTETS);
      // One that was acknowledged twice, because it was sent twice, is no news.
      if (invokeId === this.invokeId) confirmed = true;
    }
    return confirmed;
  }
}

const METER = hdlcAddress(1);
const HEAD_END = hdlcAddress(64);
/** Flag, format, both addresses, control, check sequence, flag. */
const SUPERVISORY_OCTETS = 9;
const CONTROL_AT = 5;
const RECEIVE_READY = 0x11;

/** I frames with the poll bit, all at once; N(S) goes on from one push to the next and begins with the connection. */
class HdlcLine implements PushLine {
  readonly asks = false;
  private received: Buffer = Buffer.alloc(0);
  private next = 0;

  dialled(): void {
    this.received = Buffer.alloc(0);
    this.next = 0;
  }

  write(apdu: Buffer): Buffer {
    const information = Buffer.concat([LLC_RESPONSE, apdu]);
    const frames: Buffer[] = [];
    for (let at = 0; at < information.length; at += SEGMENT_OCTETS) {
      frames.push(
        writeHdlcFrame({
          ...{ destination: HEAD_END, source: METER, control: 0x10 | (this.next << 1) },
          segmented: at + SEGMENT_OCTETS < information.length,
          information: information.subarray(at, at + SEGMENT_OCTETS),
        }),
      );
      this.next = (this.next + 1) & 7;
    }
    if (frames.length > 7) throw new Error(`${frames.length} segments are more than a window holds`);
    return Buffer.concat(frames);
  }

  isConfirmed(octets: Buffer): boolean {
    this.received = Buffer.concat([this.received, octets]);
    let confirmed = false;
    while (this.received.length >= SUPERVISORY_OCTETS) {
      const control = this.received[CONTROL_AT]!;
      this.received = this.received.subarray(SUPERVISORY_OCTETS);
      // RNR asks for patience.
      if ((control & 0x1f) === RECEIVE_READY && control >> 5 === this.next) confirmed = true;
    }
    return confirmed;
  }
}
