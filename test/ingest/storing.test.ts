import { describe, expect, it } from "vitest";
import type { DurableLog } from "../../src/durable-log/durable-log.ts";
import type { Admission } from "../../src/ingest/admission.ts";
import type { Batcher, PendingPush } from "../../src/ingest/batcher.ts";
import { LoggedCounters } from "../../src/ingest/logged-counters.ts";
import type { MappedPush } from "../../src/ingest/receive-push.ts";
import { DrainedPush, Storing } from "../../src/ingest/storing.ts";
import { stopController } from "../../src/stop.ts";
import type { CommitOutcome } from "../../src/storage/accepted-push.ts";
import { counterName } from "../../src/storage/counter-name.ts";

/* What the log and the database say of a push, in any order, and what follows from it. */

const RETRY_MS = 5_000;
const name = counterName(1, "4142430000000001", 48);
const committed = { verdict: "applied" } as CommitOutcome;

const mapped = {
  acceptance: {
    protection: { name, counter: 7, digest: "seven" },
    counter: { name, counter: 7, digest: "seven" },
  },
  push: { meterId: "meter" },
} as unknown as MappedPush;

class World {
  readonly submitted: PendingPush[] = [];
  readonly trimmed: number[] = [];
  readonly told: boolean[] = [];
  readonly applied: CommitOutcome[] = [];
  /** Counters of frames that are in the database. */
  readonly inDatabase: number[] = [];
  noted = 0;
  released = 0;
  readonly stop = stopController();
  readonly storing: Storing;
  private readonly logged = new LoggedCounters(({ counter }) => this.inDatabase.push(counter));
  private readonly timers: { ms: number; call: () => void }[] = [];

  constructor(isShared = false) {
    const clock = {
      now: () => 0,
      monotonic: () => 0,
      soon: () => undefined,
      after: (ms: number, call: () => void) => {
        this.timers.push({ ms, call });
        return () => undefined;
      },
    };
    const trim = (positions: readonly number[]) => void this.trimmed.push(...positions);
    this.storing = new Storing({
      durableLog: { isShared, trim } as Partial<DurableLog> as DurableLog,
      batcher: { add: (push) => this.submitted.push(push) } as Partial<Batcher> as Batcher,
      logged: this.logged,
      admission: { noteStored: () => this.noted++ } as unknown as Admission,
      patience: { stop: this.stop.signal, clock },
      applied: (outcome) => this.applied.push(outcome),
      released: () => this.released++,
      retryMs: RETRY_MS,
    });
  }

  /** Handed to both. */
  accept(): DrainedPush {
    const push = new DrainedPush(mapped, (isSafe) => this.told.push(isSafe));
    this.logged.log(push.frame!);
    this.storing.store(push);
    return push;
  }

  get behindAndHeld(): [number, number] {
    return [this.storing.behind, this.storing.held];
  }

  /** Counters that are known to be in the log, or on their way. */
  get inLog(): number[] {
    return this.logged.addTo({ high: null, digests: [] }, name).digests.map(({ counter }) => counter);
  }

  commit(outcome: CommitOutcome | null = committed): void {
    this.submitted.shift()!.settled(outcome);
  }

  /** How long what waits for a time waits; all of it is called. */
  pass(): number[] {
    const due = this.timers.splice(0);
    for (const { call } of due) call();
    return due.map(({ ms }) => ms);
  }
}

const microtasks = () => Promise.resolve();

type Step = "logged" | "committed" | "read";

function take(world: World, push: DrainedPush, step: Step): void {
  if (step === "committed") world.commit();
  else if (step === "logged") world.storing.logged(push, true);
  else world.storing.read(push, 11);
}

describe("a push that goes to the log and to the database", () => {
  it.each<[Step, Step, Step]>([
    ["logged", "committed", "read"],
    ["logged", "read", "committed"],
    ["committed", "logged", "read"],
  ])("is safe with the first, behind until COMMIT, and trimmed at last: %s, %s, %s", async (...steps) => {
    const world = new World();
    const push = world.accept();
    expect(world.told).toEqual([]);
    let isCommitted = false;
    for (const [index, step] of steps.entries()) {
      const before = world.released;
      take(world, push, step);
      await microtasks();
      isCommitted ||= step === "committed";
      const isLast = index === 2;
      expect(world.told).toEqual([true]);
      expect(world.behindAndHeld).toEqual([isCommitted ? 0 : 1, isLast ? 0 : 1]);
      expect(world.trimmed).toEqual(isLast ? [11] : []);
      // Who waits for room looks again when there is some.
      expect(world.released > before).toBe(step === "committed" || isLast);
      expect([world.noted, world.inLog, world.inDatabase]).toEqual(isCommitted ? [1, [], [7]] : [0, [7], []]);
    }
    expect(world.applied).toEqual([committed]);
  });

  it.each([["before"], ["after"]])(
    "is stored and done with where the log refuses it %s COMMIT",
    async (when) => {
      const world = new World();
      const push = world.accept();
      if (when === "before") {
        world.storing.logged(push, false);
        expect([world.told, world.behindAndHeld, world.inLog]).toEqual([[], [1, 1], [7]]);
        world.commit();
      } else {
        world.commit();
        expect([world.told, world.behindAndHeld]).toEqual([[true], [0, 1]]);
        world.storing.logged(push, false);
      }
      await microtasks();
      expect([world.told, world.behindAndHeld, world.trimmed]).toEqual([[true], [0, 0], []]);
      expect([world.inLog, world.inDatabase]).toEqual([[], [7]]);
    },
  );

  it.each([["before"], ["after"]])(
    "is lost where neither takes it, the log answering %s the database",
    (when) => {
      const world = new World();
      const push = world.accept();
      if (when === "before") world.storing.logged(push, false);
      world.commit(null);
      if (when === "after") {
        expect([world.told, world.behindAndHeld]).toEqual([[], [1, 1]]);
        world.storing.logged(push, false);
      }
      expect([world.told, world.behindAndHeld]).toEqual([[false], [0, 0]]);
      expect([world.inLog, world.inDatabase, world.applied]).toEqual([[], [], []]);
      expect(world.pass()).toEqual([]);
    },
  );

  it.each([["before"], ["after"]])(
    "is tried again where the log has it, which answered %s the database's fault",
    async (when) => {
      const world = new World();
      const push = world.accept();
      if (when === "before") world.storing.logged(push, true);
      world.commit(null);
      if (when === "after") world.storing.logged(push, true);
      world.storing.read(push, 11);
      expect([world.told, world.behindAndHeld, world.submitted]).toEqual([[true], [1, 1], []]);
      expect(world.pass()).toEqual([RETRY_MS]);
      expect(world.submitted.length).toBe(1);
      world.commit();
      await microtasks();
      expect([world.told, world.behindAndHeld, world.trimmed]).toEqual([[true], [0, 0], [11]]);
    },
  );

  it("is left to the next start where the daemon ends before it is tried again", () => {
    for (const when of ["fault", "retry"]) {
      const world = new World();
      const push = world.accept();
      world.storing.logged(push, true);
      if (when === "fault") world.stop.abort();
      world.commit(null);
      world.stop.abort();
      expect(world.pass()).toEqual(when === "fault" ? [] : [RETRY_MS]);
      expect([world.submitted, world.trimmed]).toEqual([[], []]);
    }
  });
});

describe("a push that is read from the log", () => {
  it.each([[false], [true]])("is trimmed when it is stored; the log is shared: %s", async (isShared) => {
    const world = new World(isShared);
    const entry = { position: 11, payload: Buffer.alloc(0), again: true, epoch: 0 };
    world.storing.store(DrainedPush.ofLog(entry, mapped));
    expect(world.behindAndHeld).toEqual([1, 1]);
    world.commit();
    await microtasks();
    expect([world.behindAndHeld, world.trimmed, world.inDatabase]).toEqual([[0, 0], [11], [7]]);
  });
});
