import { describe, expect, it } from "vitest";
import { BATCH_LIMITS, Batcher } from "../../src/ingest/batcher.ts";
import type { IngestObserver } from "../../src/ingest/observer.ts";
import { stopController } from "../../src/stop.ts";
import type { AcceptedPush, CommitOutcome, PushStore } from "../../src/storage/accepted-push.ts";

const outcome = { verdict: "applied" } as CommitOutcome;
const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A batcher with a clock and COMMITs that the test turns. */
class Turned {
  readonly sizes: number[] = [];
  readonly batcher: Batcher;
  private now = 0;
  private added = 0;
  private timers: { at: number; call: () => void }[] = [];
  private readonly open: (() => void)[] = [];

  constructor() {
    const store: PushStore = {
      commit: (pushes) =>
        new Promise((resolve) => {
          this.sizes.push(pushes.length);
          this.open.push(() => resolve(pushes.map(() => outcome)));
        }),
    };
    const clock = {
      now: () => this.now,
      monotonic: () => this.now,
      after: (ms: number, call: () => void) => {
        const timer = { at: this.now + ms, call };
        this.timers.push(timer);
        return () => {
          this.timers = this.timers.filter((other) => other !== timer);
        };
      },
      soon: (call: () => void) => void this.timers.push({ at: this.now, call }),
    };
    const observer = { dbWriteSeconds: () => {} } as unknown as IngestObserver;
    this.batcher = new Batcher(store, observer, log, { stop: stopController().signal, clock });
  }

  /** Of as many meters. */
  add(count: number): void {
    for (let i = 0; i < count; i++) {
      const push = { meterId: `meter ${this.added++}` } as AcceptedPush;
      this.batcher.add({ push, bytes: 1, settled: () => {} });
    }
  }

  async pass(ms: number): Promise<void> {
    this.now += ms;
    for (;;) {
      const due = this.timers.find(({ at }) => at <= this.now);
      if (due === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      due.call();
    }
    await settled();
  }

  /** The COMMITs of all that is in flight return in this moment. */
  async commit(): Promise<void> {
    for (const done of this.open.splice(0)) done();
    await settled();
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("what is worth to wait for COMMIT", () => {
  it("is what the database takes in the time meant, although COMMITs return three at once", async () => {
    const turned = new Turned();
    const { waitingMs } = BATCH_LIMITS;
    // 600 pushes in 50 ms: 12 a millisecond.
    for (let round = 0; round < 100; round++) {
      turned.add(600);
      for (let part = 0; part < 3; part++) await turned.pass(part === 0 ? 20 : 15);
      await turned.commit();
    }
    const { worthWaiting } = turned.batcher;
    const shortest = 50;
    expect(worthWaiting).toBeGreaterThan(12 * waitingMs * 0.9);
    expect(worthWaiting).toBeLessThan(12 * (waitingMs + shortest) * 1.1);
  });
});

describe("a batch", () => {
  it("is a part of what may wait, so that a flood is not one batch after another", async () => {
    const turned = new Turned();
    turned.add(BATCH_LIMITS.waitingMin);
    await turned.pass(0);
    await turned.pass(BATCH_LIMITS.gatherMs);
    await turned.pass(BATCH_LIMITS.gatherMs);
    const { waitingMin, inFlightMax } = BATCH_LIMITS;
    expect(turned.sizes).toEqual(new Array(inFlightMax).fill(waitingMin / (inFlightMax + 1)));
  });

  it("is full where the database is behind, and while the rest of an outage is stored", async () => {
    const behind = new Turned();
    behind.add(3 * BATCH_LIMITS.waitingMin);
    await behind.pass(BATCH_LIMITS.gatherMs);
    expect(behind.sizes[0]).toBe(BATCH_LIMITS.pushesMax);
    const rest = new Turned();
    rest.batcher.isBacklog = true;
    rest.add(BATCH_LIMITS.waitingMin);
    await rest.pass(BATCH_LIMITS.gatherBacklogMs);
    expect(rest.sizes[0]).toBe(BATCH_LIMITS.pushesMax);
  });
});
