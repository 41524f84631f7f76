import type { AcknowledgedBy } from "./acknowledge.ts";

/** An I frame whose push was accepted, and is to be acknowledged. */
export interface IFrame {
  /** Both ends of the link that it came over; a connection may carry several. */
  readonly link: string;
  /** N(S), 0 … 7. */
  readonly sendSequence: number;
  isSafe: boolean;
}

/**
 * I frames of one connection that were not acknowledged yet, in the order of their coming. RR acknowledges all frames of its link before its
 * number (IEC 62056-46, 6.4.3), so where a window is wider than one frame, a push that is safe waits for those that came before it.
 */
export class IFrames {
  private frames: IFrame[] = [];

  /** null: it was not an I frame that completed the APDU. */
  begin({ hdlc }: AcknowledgedBy): IFrame | null {
    if (hdlc === undefined || hdlc.sendSequence === null) return null;
    const { source, destination, sendSequence } = hdlc;
    const link = `${source.upper}.${source.lower}/${destination.upper}.${destination.lower}`;
    const frame = { link, sendSequence, isSafe: false };
    this.frames.push(frame);
    return frame;
  }

  /** Whether no other one of its link came before it. */
  isOldest(frame: IFrame): boolean {
    return this.frames.find(({ link }) => link === frame.link) === frame;
  }

  /**
   * N(S) of those that may be acknowledged now, in their order. Empty: one before this isn't safe, or the meter sends it again. Each is
   * acknowledged by itself: some meters number no frame and wait for an RR for each.
   */
  safe(frame: IFrame): number[] {
    frame.isSafe = true;
    const link = this.frames.filter((one) => one.link === frame.link);
    const notSafe = link.findIndex(({ isSafe }) => !isSafe);
    const done = new Set(notSafe < 0 ? link : link.slice(0, notSafe));
    this.frames = this.frames.filter((one) => !done.has(one));
    return [...done].map(({ sendSequence }) => sendSequence);
  }

  /** Nothing has made it safe: the meter goes back to it, and sends again what came behind it. */
  lost(frame: IFrame): void {
    const at = this.frames.indexOf(frame);
    if (at >= 0) this.frames = this.frames.filter(({ link }, index) => link !== frame.link || index < at);
  }
}
