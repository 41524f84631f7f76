/** Milliseconds since 1970 UTC, and milliseconds of a clock that nobody sets. */
export interface Clocks {
  wall(): number;
  monotonic(): number;
}

const SYSTEM: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() };

/** A clock that was set on is believed once it has stood where it is for so long: time for somebody to see that it is wrong. */
const BELIEVED_AFTER_MS = 86_400_000;
/** What clocks that are kept in step with others drift apart. */
const DRIFT_MS = 60_000;

/**
 * The time that retention goes by. What is dropped never comes back, so of all clocks the one that is furthest behind holds: the database's, this
 * machine's, and this machine's as it would be had nobody set it on since the daemon began, or in the last day: a daemon that began before its
 * machine had the time drops nothing until then. Too late costs some room on a disk.
 */
export class RetentionClock {
  private readonly clocks: Clocks;
  private readonly databaseNow: () => Promise<number>;
  /** What the wall clock says, and is believed, when the monotonic one says nothing. */
  private believed: number;
  /** Where the wall clock was set on to, in the same way, and when that was seen first; null: nowhere. */
  private setOn: { readonly apart: number; readonly since: number } | null = null;

  constructor(databaseNow: () => Promise<number>, clocks: Clocks = SYSTEM) {
    this.databaseNow = databaseNow;
    this.clocks = clocks;
    this.believed = clocks.wall() - clocks.monotonic();
  }

  /** Milliseconds since 1970 UTC. Rejects with StorageError while the database is away. To be called every few hours at least. */
  async now(): Promise<number> {
    const database = await this.databaseNow();
    const wall = this.clocks.wall();
    const monotonic = this.clocks.monotonic();
    this.look(wall - monotonic, monotonic);
    return Math.min(database, wall, this.believed + monotonic);
  }

  private look(apart: number, now: number): void {
    if (apart <= this.believed + DRIFT_MS) this.setOn = null;
    else if (this.setOn === null || Math.abs(apart - this.setOn.apart) > DRIFT_MS) {
      this.setOn = { apart, since: now };
    } else if (now - this.setOn.since >= BELIEVED_AFTER_MS) {
      this.believed = this.setOn.apart;
      this.setOn = null;
    }
  }
}
