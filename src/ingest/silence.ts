import type { Limits } from "../limits.ts";

/** How long nothing has come over a connection, through no doing of ours. All times in milliseconds of a clock that only goes forward. */
export class Silence {
  lastReadAt: number;
  /** Whether a whole frame has come. */
  anyFrame = false;
  /** Since when its silence is its own: it was accepted, or is read again after a pause. */
  private listeningSince: number;

  constructor(now: number) {
    this.lastReadAt = now;
    this.listeningSince = now;
  }

  /** It is read again. */
  listen(now: number): void {
    this.listeningSince = now;
  }

  /** Whether there is no use in waiting longer. */
  isTooLong(now: number, isIdentified: boolean, limits: Limits): boolean {
    if (!this.anyFrame && now - this.listeningSince > limits.firstFrameMs) return true;
    const idleMs = isIdentified ? limits.idleIdentifiedMs : limits.idleUnidentifiedMs;
    return now - Math.max(this.lastReadAt, this.listeningSince) > idleMs;
  }
}
