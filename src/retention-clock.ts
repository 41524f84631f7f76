/** Milliseconds since 1970 UTC, and milliseconds of a clock that nobody sets. */
export interface Clocks {
  wall(): number;
  monotonic(): number;
}

const SYSTEM: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() };

/**
 * The time that retention goes by. What is dropped never comes back, so of all clocks the one that is furthest behind holds: the database's, this
 * machine's, and this machine's as it would be had nobody set it since the daemon began. Too late costs some room on a disk.
 */
export class RetentionClock {
  private readonly clocks: Clocks;
  private readonly databaseNow: () => Promise<number>;
  /** What the wall clock says when the monotonic one says nothing. */
  private readonly apart: number;

  constructor(databaseNow: () => Promise<number>, clocks: Clocks = SYSTEM) {
    this.databaseNow = databaseNow;
    this.clocks = clocks;
    this.apart = clocks.wall() - clocks.monotonic();
  }

  /** Milliseconds since 1970 UTC. Rejects with StorageError while the database is away. */
  async now(): Promise<number> {
    const { clocks, apart } = this;
    return Math.min(await this.databaseNow(), clocks.wall(), apart + clocks.monotonic());
  }
}
