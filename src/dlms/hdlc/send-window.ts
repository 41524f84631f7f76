import { informationControl } from "./control.ts";
import { writeHdlcFrame } from "./frame.ts";
import type { HdlcEnds } from "./outgoing.ts";

interface Segment {
  readonly information: Buffer;
  /** More segments of the same APDU follow. */
  readonly segmented: boolean;
}

/**
 * What one side has to send in I frames, numbered modulo 8, and how much of it the other side has. Lost frames are sent again from the
 * first one that is missing ("go back n").
 */
export class SendWindow {
  readonly #segments: Segment[] = [];
  /** N(S) of the first segment. */
  #first = 0;
  /** Segments that are on their way. */
  #sent = 0;
  /** Segments that were sent at least once. */
  #highest = 0;

  /** Cuts information fields of at most `octetsMax`. */
  add(information: Buffer, octetsMax: number): void {
    for (let at = 0; at < information.length; at += octetsMax) {
      const end = at + octetsMax;
      this.#segments.push({
        information: information.subarray(at, end),
        segmented: end < information.length,
      });
    }
  }

  /** Nothing waits to be sent or acknowledged. */
  get empty(): boolean {
    return this.#segments.length === 0;
  }

  /** N(R): what stands before it has arrived. How many frames that were, or −1 where nothing like that was sent. */
  acknowledge(receiveSequence: number): number {
    const count = (receiveSequence - this.#first) & 7;
    if (count > this.#highest) return -1;
    this.#segments.splice(0, count);
    this.#sent = Math.max(0, this.#sent - count);
    this.#highest -= count;
    this.#first = receiveSequence;
    return count;
  }

  /** What was sent and not acknowledged is to be sent again. */
  rewind(): void {
    this.#sent = 0;
  }

  /** The frames that `window` allows now, the last one with P/F. */
  frames(ends: HdlcEnds, window: number, receiveSequence: number): Buffer[] {
    const until = Math.min(window, this.#segments.length);
    const frames: Buffer[] = [];
    for (; this.#sent < until; this.#sent++) {
      const { information, segmented } = this.#segments[this.#sent]!;
      const control = informationControl(this.#first + this.#sent, receiveSequence, this.#sent === until - 1);
      frames.push(writeHdlcFrame({ ...ends, segmented, control, information }));
    }
    this.#highest = Math.max(this.#highest, this.#sent);
    return frames;
  }

  clear(): void {
    this.#segments.length = 0;
    this.#first = 0;
    this.#sent = 0;
    this.#highest = 0;
  }
}
