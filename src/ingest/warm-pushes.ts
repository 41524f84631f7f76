import type { DrainedPush } from "./storing.ts";

/** Places of what was taken are given up by so many at a time. */
const GIVEN_UP_AT_ONCE = 500;

/**
 * Pushes that are mapped and in the durable log, until they are read from it: added and taken in the order of the log.
 *
 * A queue and not a Map: a Map that things come to and go from is built anew again and again, and each former one keeps what it held, and the
 * next, alive until V8 collects all generations. Nothing of a push died young.
 */
export class WarmPushes {
  private readonly queue: { readonly position: number; push: DrainedPush | null }[] = [];
  private head = 0;

  add(position: number, push: DrainedPush): void {
    this.queue.push({ position, push });
  }

  /** The push at this position, which is taken out with all before it; undefined where it was not mapped. */
  take(position: number): DrainedPush | undefined {
    const { queue } = this;
    let taken: DrainedPush | undefined;
    while (this.head < queue.length && queue[this.head]!.position <= position) {
      const entry = queue[this.head++]!;
      if (entry.position === position) taken = entry.push!;
      // The queue is old by V8's count, and would keep it.
      entry.push = null;
    }
    if (this.head === queue.length || this.head >= GIVEN_UP_AT_ONCE) {
      queue.splice(0, this.head);
      this.head = 0;
    }
    return taken;
  }
}
