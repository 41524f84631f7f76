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
  /** The meters of each transaction. */
  readonly meters: string[][] = [];
  /** What became of each push, in the order in which it was told. */
  readonly told: string[] = [];
  readonly batcher: Batcher;
  private now = 0;
  private added = 0;
  private timers: { at: number; call: () => void }[] = [];
  private readonly open: { done: () => void; fail: (error: Error) => void }[] = [];

  constructor() {
    const store: PushStore = {
      commit: (pushes) =>
        new Promise((resolve, fail) => {
          this.sizes.push(pushes.length);
          this.meters.push(pushes.map(({ meterId }) => meterId));
          this.open.push({ done: () => resolve(pushes.map(() => outcome)), fail });
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
    for (let i = 0; i < count; i++) this.addOf(`meter ${this.added++}`);
  }

  addOf(meterId: string, name = meterId): void {
    const push = { meterId } as AcceptedPush;
    const settled = (told: CommitOutcome | null) =>
      this.told.push(`${name}: ${told?.verdict ?? "not stored"}`);
    this.batcher.add({ push, settled: (told) => void settled(told) });
  }

  /** One whose sender can't be told. */
  addDeaf(): void {
    const settled = (told: CommitOutcome | null) => {
      this.told.push(`deaf: ${told?.verdict ?? "not stored"}`);
      throw new Error("a fault while telling");
    };
    this.batcher.add({ push: { meterId: "deaf" } as AcceptedPush, settled });
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

  /** The COMMITs of all that is in flight return in this moment, but for the oldest ones that are `held`. */
  async commit(held = 0): Promise<void> {
    for (const { done } of this.open.splice(held)) done();
    await settled();
  }

  /** The store has a fault, and takes none of what is in flight. */
  async fail(): Promise<void> {
    for (const { fail } of this.open.splice(0)) fail(new Error("a fault of ours"));
    await settled();
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("what is worth to wait for COMMIT", () => {
  it("is what the database takes in the time meant, although COMMITs return three at once", async () => {
    const turned = new Turned();
    const { waitingMs, inFlightMax } = BATCH_LIMITS;
    // 600 pushes in 50 ms: 12 a millisecond.
    for (let round = 0; round < 100; round++) {
      turned.add(600);
      for (let part = 0; part < 3; part++) await turned.pass(part === 0 ? 20 : 15);
      await turned.commit();
    }
    const { worthWaiting } = turned.batcher;
    const shortest = 50;
    expect(worthWaiting).toBeGreaterThan(12 * waitingMs * 0.9);
    expect(worthWaiting).toBeLessThan(12 * (waitingMs + (shortest * (inFlightMax + 1)) / inFlightMax) * 1.1);
    // A pause in which nobody pushed doesn't make the database a slow one.
    await turned.pass(60_000);
    turned.add(1);
    await turned.pass(0);
    await turned.commit();
    expect(turned.batcher.worthWaiting).toBeGreaterThan(12 * waitingMs * 0.9);
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
    expect(turned.sizes).toEqual(new Array(inFlightMax).fill(Math.ceil(waitingMin / (inFlightMax + 1))));
  });

  it("is full where the database is behind, and while the rest of an outage is stored", async () => {
    const { waitingMin, inFlightMax, pushesMax } = BATCH_LIMITS;
    const behind = new Turned();
    behind.add(waitingMin + pushesMax);
    expect(behind.sizes).toEqual(new Array(inFlightMax).fill(Math.ceil(waitingMin / (inFlightMax + 1))));
    await behind.commit(inFlightMax - 1);
    expect(behind.sizes[inFlightMax]).toBe(pushesMax);
    const rest = new Turned();
    rest.batcher.isBacklog = true;
    rest.add(BATCH_LIMITS.pushesMax);
    await rest.pass(BATCH_LIMITS.gatherBacklogMs);
    expect(rest.sizes[0]).toBe(BATCH_LIMITS.pushesMax);
  });

  it("goes while others are still read, once it is full", () => {
    const turned = new Turned();
    turned.add(Math.ceil(BATCH_LIMITS.waitingMin / (BATCH_LIMITS.inFlightMax + 1)) - 1);
    expect(turned.sizes).toEqual([]);
    turned.add(1);
    expect(turned.sizes).toHaveLength(1);
  });

  it("goes at once where a push comes alone, and gathers while others come", async () => {
    const { gatherMs, apartMs } = BATCH_LIMITS;
    const turned = new Turned();
    turned.add(1);
    await turned.pass(0);
    expect(turned.sizes).toEqual([1]);
    await turned.commit();
    // The last one has just begun: others come.
    turned.add(1);
    await turned.pass(apartMs - 1);
    turned.add(1);
    expect(turned.sizes).toEqual([1]);
    await turned.pass(1);
    expect(turned.sizes).toEqual([1, 2]);
    // One is in flight.
    turned.add(1);
    await turned.pass(gatherMs - 1);
    turned.add(1);
    expect(turned.sizes).toEqual([1, 2]);
    await turned.pass(1);
    expect(turned.sizes).toEqual([1, 2, 2]);
    // None is any more: nothing is waited for that would have come while one was.
    turned.add(1);
    await turned.pass(apartMs);
    expect(turned.sizes).toEqual([1, 2, 2]);
    await turned.commit();
    await turned.commit();
    await turned.pass(0);
    expect(turned.sizes).toEqual([1, 2, 2, 1]);
    await turned.commit();
    await turned.pass(apartMs);
    turned.add(1);
    await turned.pass(0);
    expect(turned.sizes).toEqual([1, 2, 2, 1, 1]);
  });

  it("goes as soon as it is full, with what was readable in the same moment", async () => {
    const turned = new Turned();
    turned.add(1);
    await turned.pass(0);
    const most = Math.ceil(BATCH_LIMITS.waitingMin / (BATCH_LIMITS.inFlightMax + 1));
    turned.add(most - 1);
    await turned.pass(0);
    expect(turned.sizes).toEqual([1]);
    turned.add(1);
    await turned.pass(0);
    expect(turned.sizes).toEqual([1, most]);
  });

  it("gathers longer while the rest of an outage is stored, whoever comes alone", async () => {
    const turned = new Turned();
    turned.batcher.isBacklog = true;
    turned.add(1);
    await turned.pass(BATCH_LIMITS.gatherBacklogMs - 1);
    expect(turned.sizes).toEqual([]);
    await turned.pass(1);
    expect(turned.sizes).toEqual([1]);
  });

  it("waits where as many transactions run as may", async () => {
    const turned = new Turned();
    for (let i = 0; i <= BATCH_LIMITS.inFlightMax; i++) {
      turned.add(1);
      await turned.pass(BATCH_LIMITS.gatherMs);
    }
    expect(turned.sizes).toEqual(new Array(BATCH_LIMITS.inFlightMax).fill(1));
    await turned.commit();
    await turned.pass(BATCH_LIMITS.gatherMs);
    expect(turned.sizes).toHaveLength(BATCH_LIMITS.inFlightMax + 1);
  });
});

describe("pushes of one meter", () => {
  it("are never in two transactions at a time, and go in their order, before what came later", async () => {
    const turned = new Turned();
    const { gatherMs } = BATCH_LIMITS;
    turned.addOf("a", "a1");
    turned.addOf("a", "a2");
    await turned.pass(0);
    turned.addOf("a", "a3");
    turned.addOf("b");
    turned.addOf("a", "a4");
    await turned.pass(gatherMs);
    expect(turned.meters).toEqual([["a", "a"], ["b"]]);
    turned.addOf("c");
    await turned.commit();
    await turned.pass(gatherMs);
    expect(turned.meters).toEqual([["a", "a"], ["b"], ["a", "a", "c"]]);
    await turned.commit();
    const order = ["a1", "a2", "b", "a3", "a4", "c"];
    expect(turned.told).toEqual(order.map((name) => `${name}: applied`));
  });
});

describe("a meter whose transaction takes long", () => {
  it("keeps its place while a fleet's pushes pass", async () => {
    const turned = new Turned();
    turned.addOf("slow", "slow 1");
    await turned.pass(0);
    turned.batcher.isBacklog = true;
    for (let round = 0; round < 50; round++) {
      turned.add(BATCH_LIMITS.pushesMax);
      await turned.pass(BATCH_LIMITS.gatherBacklogMs);
      await turned.commit(1);
    }
    turned.addOf("slow", "slow 2");
    await turned.pass(BATCH_LIMITS.gatherBacklogMs);
    expect(turned.meters.flat().filter((meter) => meter === "slow")).toHaveLength(1);
    await turned.commit();
    await turned.pass(BATCH_LIMITS.gatherBacklogMs);
    await turned.commit();
    expect(turned.told.filter((text) => text.startsWith("slow"))).toEqual([
      "slow 1: applied",
      "slow 2: applied",
    ]);
    expect(turned.told).toHaveLength(50 * BATCH_LIMITS.pushesMax + 2);
  });
});

describe("the end", () => {
  it("waits for what is gathered, what is in flight and what waits for a meter's transaction", async () => {
    const turned = new Turned();
    const steps: string[] = [];
    const watch = (name: string) => void turned.batcher.drained().then(() => steps.push(name));
    watch("nothing to do");
    await settled();
    expect(steps.splice(0)).toEqual(["nothing to do"]);
    turned.addOf("a");
    await turned.pass(0);
    turned.addOf("a");
    await turned.pass(BATCH_LIMITS.gatherMs);
    watch("drained");
    await turned.commit();
    expect(turned.told).toHaveLength(1);
    expect(steps).toEqual([]);
    await turned.pass(BATCH_LIMITS.gatherMs);
    expect(steps).toEqual([]);
    await turned.commit();
    expect(turned.told).toHaveLength(2);
    expect(steps).toEqual(["drained"]);
  });
});

describe("how much is taken", () => {
  it("is what a COMMIT comes for soon, but while none comes: then memory is the limit", async () => {
    const turned = new Turned();
    const { waitingMin, waitingMax, awayMs } = BATCH_LIMITS;
    turned.add(waitingMin);
    expect(turned.batcher.isFull()).toBe(false);
    turned.add(1);
    expect(turned.batcher.isFull()).toBe(true);
    await turned.pass(awayMs - 1);
    expect(turned.batcher.isFull()).toBe(true);
    await turned.pass(1);
    expect(turned.batcher.isFull()).toBe(false);
    turned.add(waitingMax - waitingMin - 2);
    expect(turned.batcher.isLoaded).toBe(false);
    turned.add(1);
    expect(turned.batcher.isLoaded).toBe(true);
    let room = false;
    void turned.batcher.settledOne().then(() => {
      room = true;
    });
    await settled();
    expect(room).toBe(false);
    await turned.commit();
    expect(room).toBe(true);
    expect(turned.batcher.isLoaded).toBe(false);
  });

  it("a batch that could not be stored is told so, and makes room", async () => {
    const turned = new Turned();
    turned.addOf("a");
    await turned.pass(0);
    turned.addOf("a");
    await turned.pass(BATCH_LIMITS.gatherMs);
    await turned.fail();
    expect(turned.told).toEqual(["a: not stored"]);
    await turned.pass(BATCH_LIMITS.gatherMs);
    await turned.commit();
    expect(turned.told).toEqual(["a: not stored", "a: applied"]);
    turned.add(BATCH_LIMITS.waitingMin);
    expect(turned.batcher.isFull()).toBe(false);
    turned.add(1);
    expect(turned.batcher.isFull()).toBe(true);
  });

  it("what is committed is not told to be lost because something goes wrong in the telling, which ends the daemon", async () => {
    const turned = new Turned();
    turned.addOf("a");
    turned.addDeaf();
    await turned.pass(0);
    const faults = await unhandled(() => turned.commit());
    expect(turned.told).toEqual(["a: applied", "deaf: applied"]);
    expect(faults).toEqual([new Error("a fault while telling")]);
  });
});

/** What nothing has caught meanwhile. */
async function unhandled(work: () => Promise<void>): Promise<unknown[]> {
  const faults: unknown[] = [];
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (error) => faults.push(error));
  try {
    await work();
  } finally {
    process.removeAllListeners("unhandledRejection");
    for (const listener of others) process.on("unhandledRejection", listener);
  }
  return faults;
}
