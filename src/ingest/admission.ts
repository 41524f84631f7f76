/** How fast meters are read from. */
export interface AdmissionLimits {
  /** How often it is judged whether the database is there, and how much may be read, ms. */
  readonly turnMs: number;
  /** A database from which no COMMIT has come for so many turns in which something waited for it is away, or hangs. */
  readonly awayTurns: number;
  /** Pushes that are not in the database while it is there, at most, however fast it is. */
  readonly behindMax: number;
  /** What may be accepted in a turn while the log is caught up with, of what was stored in the turn before. */
  readonly catchUpShare: number;
  /** As little is accepted in a turn even where less was stored. */
  readonly catchUpMin: number;
}

export const ADMISSION_LIMITS: AdmissionLimits = {
  turnMs: 250,
  awayTurns: 4,
  behindMax: 2_000,
  catchUpShare: 0.5,
  catchUpMin: 50,
};

/** What waits for the database just now. */
export interface Waiting {
  /** Pushes that aren't in it. */
  readonly behind: number;
  /** Those among them that have to be read from the log again. */
  readonly cold: number;
  /** Pushes that it commits soon: what is read beyond would only grow old. */
  readonly worthWaiting: number;
}

/**
 * Whether more should be read from the sockets. A meter that waits loses nothing, and is told so by TCP. So while the database is there,
 * meters are read from as fast as it commits; while it is away, as fast as the log takes it; and while an outage's rest is in the log, at
 * half of the pace at which that shrinks, so that it does shrink, however many meters push.
 *
 * Turns are counted and not milliseconds: a process that was kept from running has not seen what the database did meanwhile.
 */
export class Admission {
  private readonly limits: AdmissionLimits;
  private accepted = 0;
  private stored = 0;
  private acceptedMax = Number.POSITIVE_INFINITY;
  /** Until the first COMMIT nothing says that the database is there. */
  private turnsWithout: number;

  constructor(limits: AdmissionLimits) {
    this.limits = limits;
    this.turnsWithout = limits.awayTurns;
  }

  noteAccepted(): void {
    this.accepted++;
  }

  noteStored(): void {
    this.stored++;
    this.turnsWithout = 0;
  }

  /** To be called every `turnMs`. `waited`: there was something to store. */
  turn(waited: boolean): void {
    const { catchUpShare, catchUpMin } = this.limits;
    if (waited && this.stored === 0) this.turnsWithout++;
    this.acceptedMax = Math.max(catchUpMin, this.stored * catchUpShare);
    this.accepted = 0;
    this.stored = 0;
  }

  isClosed({ behind, cold, worthWaiting }: Waiting): boolean {
    const { awayTurns, behindMax } = this.limits;
    if (this.turnsWithout >= awayTurns) return false;
    if (cold > 0) return this.accepted >= this.acceptedMax;
    return behind > Math.min(behindMax, worthWaiting);
  }
}
