/** Entries that may rest before those at rest are given up. A fleet that pushes by the minute keeps its own. */
const RESTING_MAX = 10_000;

/**
 * What is kept by a key for moments at a time, and soon for the same key again: an entry stays when nothing is in it.
 *
 * Not a Map that each push comes to and goes from: such a Map is built anew again and again, which was a twentieth of Node's time, and each
 * former one keeps what it held, and the next, alive until V8 collects all generations.
 */
export class RestingEntries<V> {
  private readonly entries = new Map<string, V>();
  private readonly make: () => V;
  private readonly isResting: (entry: V) => boolean;
  private sweepAt = RESTING_MAX;

  /** `isResting`: nothing is in it, and one that is made anew is as good. */
  constructor(make: () => V, isResting: (entry: V) => boolean) {
    this.make = make;
    this.isResting = isResting;
  }

  peek(key: string): V | undefined {
    return this.entries.get(key);
  }

  of(key: string): V {
    const found = this.entries.get(key);
    if (found !== undefined) return found;
    if (this.entries.size >= this.sweepAt) this.sweep();
    const entry = this.make();
    this.entries.set(key, entry);
    return entry;
  }

  /** Seldom: there are at least as many again before the next time. */
  private sweep(): void {
    for (const [key, entry] of this.entries) if (this.isResting(entry)) this.entries.delete(key);
    this.sweepAt = Math.max(RESTING_MAX, 2 * this.entries.size);
  }
}
