import type { Clock } from "../../src/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly call: () => void;
}

/** Time that passes when nothing else is left to do: hours in a moment, the same each time. */
export class VirtualClock {
  private time = 0;
  private order = 0;
  private stepMs = 0;
  private readonly timers: Timer[] = [];
  private soonCalls: (() => void)[] = [];

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.time;
  }

  /** Sets the clock on the wall. The monotonic one doesn't notice. */
  step(ms: number): void {
    this.stepMs += ms;
  }

  /** For one life of a process: nothing is called any more once it is over. */
  forLife(isOver: () => boolean): Clock {
    const alive = (call: () => void) => () => {
      if (!isOver()) call();
    };
    return {
      now: () => Date.UTC(2026, 10, 1) + this.time + this.stepMs,
      monotonic: () => this.time,
      after: (ms, call) => this.after(ms, alive(call)),
      soon: (call) => void this.soonCalls.push(alive(call)),
    };
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.time + Math.max(0, ms), order: this.order++, call };
    const place = this.timers.findIndex((one) => one.at > timer.at);
    this.timers.splice(place < 0 ? this.timers.length : place, 0, timer);
    return () => {
      const at = this.timers.indexOf(timer);
      if (at >= 0) this.timers.splice(at, 1);
    };
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Lets time pass until `isDone`, or until `limitMs`; whether it is done. */
  async run(isDone: () => boolean, limitMs: number): Promise<boolean> {
    for (;;) {
      // Promises first, however long their chains.
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone()) return true;
      const calls = this.soonCalls.splice(0);
      if (calls.length > 0) {
        for (const call of calls) call();
        continue;
      }
      const [next] = this.timers;
      if (next === undefined || next.at > limitMs) return false;
      this.timers.shift();
      this.time = next.at;
      next.call();
    }
  }
}
