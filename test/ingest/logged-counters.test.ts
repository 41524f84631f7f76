import { describe, expect, it } from "vitest";
import { Counters } from "../../src/ingest/counters.ts";
import { LoggedCounters, type LoggedFrame } from "../../src/ingest/logged-counters.ts";
import { run } from "../../src/ingest/steps.ts";
import { stopController } from "../../src/stop.ts";
import { counterName } from "../../src/storage/counter-name.ts";
import type { StoredCounter } from "../../src/storage/ingest-stores.ts";

const name = counterName(1, "4f54480000000001", 64);
const frame = (counter: number, moved = true): LoggedFrame => ({
  ...{ name, counter, moved },
  digest: `digest of ${counter}`,
});
/** What the log adds to a counter of which the database knows nothing. */
const added = (logged: LoggedCounters) => {
  const { high, digests } = logged.addTo({ high: null, digests: [] }, name);
  return [high, digests.map(({ counter }) => counter)];
};

describe("counters in the durable log", () => {
  it("count until the last of their frames is in the database, and not beyond", () => {
    const logged = new LoggedCounters();
    for (const counter of [7, 8]) logged.log(frame(counter));
    expect(added(logged)).toEqual([8, [7, 8]]);
    logged.applied(frame(8));
    expect(added(logged)).toEqual([8, [7, 8]]);
    logged.applied(frame(7));
    expect(added(logged)).toEqual([null, []]);
    logged.log(frame(3));
    expect(added(logged)).toEqual([3, [3]]);
  });

  it("raise what the database knows, and never lower it", () => {
    const logged = new LoggedCounters();
    logged.log(frame(7));
    const known = { counter: 9, digest: "of the database" };
    expect(logged.addTo({ high: 9, digests: [known] }, name)).toMatchObject({
      high: 9,
      digests: [known, { counter: 7, digest: "digest of 7" }],
    });
  });

  it("stay where they are for a frame that did not move its counter, which is known again all the same", () => {
    const logged = new LoggedCounters();
    logged.log(frame(7, false));
    expect(added(logged)).toEqual([null, [7]]);
  });

  it("are told of what is in the database, and of nothing else", () => {
    const told: number[] = [];
    const logged = new LoggedCounters(({ counter }) => told.push(counter));
    const refused = frame(3);
    for (const one of [frame(1), frame(2), refused]) logged.log(one);
    logged.refused(refused);
    expect(told).toEqual([]);
    logged.applied(frame(1));
    logged.stored(frame(2));
    expect(told).toEqual([1, 2]);
  });

  it("are what they were before a frame that the log did not take", () => {
    const logged = new LoggedCounters();
    const [first, jump, refused] = [frame(1), frame(9, false), frame(2)];
    for (const one of [first, jump, refused]) logged.log(one);
    expect(added(logged)).toEqual([2, [1, 9, 2]]);
    logged.refused(refused);
    expect(added(logged)).toEqual([1, [1, 9]]);
    logged.applied(first);
    expect(added(logged)).toEqual([1, [1, 9]]);
    logged.applied(jump);
    expect(added(logged)).toEqual([null, []]);
  });

  it("are kept while those of a fleet come and go", () => {
    const logged = new LoggedCounters();
    logged.log(frame(1));
    for (let keyId = 2; keyId < 25_000; keyId++) {
      const passing = { ...frame(1), name: counterName(keyId, "4f54480000000001", 64) };
      logged.log(passing);
      logged.applied(passing);
    }
    expect(added(logged)).toEqual([1, [1]]);
  });

  it("are not released by what was never in the log", () => {
    const logged = new LoggedCounters();
    const once = frame(1);
    logged.log(once);
    logged.applied(once);
    logged.applied(once);
    for (const counter of [2, 3]) logged.log(frame(counter));
    logged.applied(frame(2));
    expect(added(logged)).toEqual([3, [2, 3]]);
  });
});

describe("a counter that the database is asked for", () => {
  const clock = { now: () => 0, monotonic: () => 0, soon: () => undefined, after: () => () => undefined };
  const [six, seven] = [frame(6), frame(7)];

  /** Two frames are in the log when the database is asked; what it answers is what it knew then. */
  function asked() {
    const logged = new LoggedCounters();
    for (const one of [six, seven]) logged.log(one);
    const told: { resolve: (stored: StoredCounter) => void; reject: (error: Error) => void }[] = [];
    const loadCounter = () =>
      new Promise<StoredCounter>((resolve, reject) => void told.push({ resolve, reject }));
    const counters = new Counters({ loadCounter }, logged, { stop: stopController().signal, clock });
    const loaded = new Promise((resolve, reject) => run(() => counters.load(name), resolve, reject));
    return { logged, loaded, ...told[0]! };
  }

  it("counts what is applied before the answer comes", async () => {
    const { logged, loaded, resolve } = asked();
    for (const one of [six, seven]) logged.applied(one);
    resolve({ high: 5, digests: [] });
    expect(await loaded).toMatchObject({ high: 7, digests: [{ counter: 6 }, { counter: 7 }] });
    expect(added(logged)).toEqual([null, []]);
  });

  it("doesn't count what nothing has made safe meanwhile", async () => {
    const { logged, loaded, resolve } = asked();
    logged.applied(six);
    logged.refused(seven);
    resolve({ high: 5, digests: [] });
    expect(await loaded).toMatchObject({ high: 6, digests: [{ counter: 6 }] });
    expect(added(logged)).toEqual([null, []]);
  });

  it("keeps nothing of a question that fails", async () => {
    const { logged, loaded, reject } = asked();
    for (const one of [six, seven]) logged.applied(one);
    reject(new Error("a fault"));
    await expect(loaded).rejects.toThrow("a fault");
    expect(added(logged)).toEqual([null, []]);
  });
});
