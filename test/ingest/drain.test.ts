import { afterEach, describe, expect, it, vi } from "vitest";
import { STOP_SHARE } from "../../src/durable-log/durable-log.ts";
import { BATCH_LIMITS } from "../../src/ingest/batcher.ts";
import { DRAIN_LIMITS } from "../../src/ingest/drain.ts";
import { confirmed, counters, push, sent, start } from "./log-by-hand.ts";
import { heldBack, type Surroundings } from "./surroundings.ts";

/* Which pushes are mapped when they are accepted, and which when they are read from the log; and how fast meters are read from. */

const turn = () => new Promise((resolve) => setImmediate(resolve));
afterEach(() => void vi.useRealTimers());

/** How the database does is not judged in the time of a test. */
const turnMs = 1_000_000;

/** What was asked of the database but COMMITs. */
const asked = ({ lookUps, commits }: Surroundings) => lookUps - commits;

describe("before draining begins", () => {
  it("a push goes to the log alone, and is mapped when it is read from there", async () => {
    const { around, log } = start({ drainsLater: true });
    const connection = await sent(around, log, 1);
    const before = asked(around);
    log.take(0);
    await expect.poll(() => confirmed(connection)).toEqual([1]);
    around.ingest.beginDraining();
    await expect.poll(() => counters(around)).toEqual([1]);
    // Whose it is, and for its meter's last status word.
    expect(asked(around) - before).toBe(2);
    await around.ingest.drain();
  });

  it("one that the log refuses leaves nothing behind that others would wait for", async () => {
    const { around, log } = start({ drainsLater: true });
    const connection = await sent(around, log, 1);
    log.refuse(0);
    await expect.poll(() => confirmed(connection)).toEqual([1]);
    around.ingest.beginDraining();
    connection.receive(push(2));
    // The log has not answered.
    await expect.poll(() => confirmed(connection)).toEqual([1, 2]);
    log.take(1);
    await around.ingest.drain();
    expect(log.trimmed).toEqual([2]);
  });
});

describe("meters", () => {
  it("are read from no faster than the database stores, once it has stored something, and as fast as the log takes before", async () => {
    const { around, log } = start({ drainLimits: { behindMax: 2, turnMs } });
    const commit = heldBack();
    around.hold = commit.promise;
    const connection = around.connect();
    connection.holdsWhilePaused = true;
    for (let counter = 1; counter <= 10; counter++) connection.receive(push(counter));
    await expect.poll(() => log.waiting).toBe(10);
    expect(connection.paused).toBe(false);
    commit.release();
    await expect.poll(() => counters(around).length).toBe(10);
    const next = heldBack();
    around.hold = next.promise;
    for (let counter = 11; counter <= 20; counter++) connection.receive(push(counter));
    await expect.poll(() => connection.paused).toBe(true);
    expect(log.waiting).toBe(13);
    // That the log has them is no reason to read on.
    for (let index = 0; index < 13; index++) log.take(index);
    await expect.poll(() => confirmed(connection).length).toBe(13);
    expect(log.waiting).toBe(13);
    next.release();
    await expect.poll(() => log.waiting).toBe(20);
    for (let index = 13; index < 20; index++) log.take(index);
    await around.ingest.drain();
    expect(counters(around).length).toBe(20);
    expect(log.trimmed.length).toBe(20);
  });

  it("are read from at a part of its pace while what the log holds has to be mapped", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const drainLimits = { warmMax: 0, catchUpShare: 0, catchUpMin: 3 };
    const { around, log } = start({ drainLimits });
    const connection = around.connect();
    connection.holdsWhilePaused = true;
    connection.receive(push(1));
    await expect.poll(() => log.waiting).toBe(1);
    log.take(0);
    await expect.poll(() => counters(around)).toEqual([1]);
    await vi.advanceTimersByTimeAsync(DRAIN_LIMITS.turnMs);
    for (let counter = 2; counter <= 10; counter++) connection.receive(push(counter));
    await expect.poll(() => connection.paused).toBe(true);
    expect(log.waiting).toBe(1 + 3);
    around.ingest.abandon();
  });

  it("are read from no faster after a time in which nobody pushed", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const { around, log } = start({ drainLimits: { behindMax: 2 } });
    const connection = await sent(around, log, 1);
    await expect.poll(() => counters(around)).toEqual([1]);
    await vi.advanceTimersByTimeAsync(2 * DRAIN_LIMITS.awayTurns * DRAIN_LIMITS.turnMs);
    around.hold = new Promise(() => undefined);
    for (let counter = 2; counter <= 10; counter++) connection.receive(push(counter));
    await expect.poll(() => connection.paused).toBe(true);
    around.ingest.abandon();
  });

  it("are not read from where the log is nearly full, and are when it is not any more", async () => {
    const { around, log } = start();
    const connection = await sent(around, log, 1);
    log.bytes = STOP_SHARE * log.state().bytesMax;
    log.take(0);
    connection.holdsWhilePaused = true;
    connection.receive(push(2));
    await expect.poll(() => connection.paused).toBe(true);
    log.bytes--;
    await expect.poll(() => connection.paused, { timeout: 5_000 }).toBe(false);
    await expect.poll(() => log.waiting).toBe(2);
    log.take(1);
    await around.ingest.drain();
    expect(counters(around)).toEqual([1, 2]);
  });
});

describe("the end", () => {
  it.each([
    ["mapped at once", {}],
    ["mapped later", { warmMax: 0 }],
  ])(
    "gives the database a moment for what is in the log, and takes no longer: %s",
    async (_, drainLimits) => {
      const { around, log } = start({ drainLimits });
      const connection = await sent(around, log, 1);
      log.take(0);
      await expect.poll(() => log.trimmed).toEqual([1]);
      around.databaseAway = true;
      connection.receive(push(2));
      await expect.poll(() => log.waiting).toBe(2);
      vi.useFakeTimers({ toFake: ["setTimeout"] });
      log.take(1);
      const ended = around.ingest.drain();
      await vi.advanceTimersByTimeAsync(50);
      expect(counters(around)).toEqual([1]);
      around.databaseAway = false;
      await vi.advanceTimersByTimeAsync(1_000);
      await ended;
      expect(counters(around)).toEqual([1, 2]);
      expect(log.trimmed).toEqual([1, 2]);
    },
  );
});

describe("a log that doesn't answer while the database does", () => {
  it("holds no meter up: what is stored is behind no more", async () => {
    const { around, log } = start({ drainLimits: { behindMax: 2, turnMs } });
    const connection = around.connect();
    connection.holdsWhilePaused = true;
    for (let counter = 1; counter <= 10; counter++) {
      connection.receive(push(counter));
      await expect.poll(() => confirmed(connection).length).toBe(counter);
    }
    expect(log.trimmed).toEqual([]);
    for (let index = 0; index < 10; index++) log.take(index);
    await around.ingest.drain();
    expect(log.trimmed.length).toBe(10);
    expect(counters(around)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("is what the pushes wait for that find so many in memory already", async () => {
    const { around, log } = start({ drainLimits: { warmMax: 5, turnMs } });
    const connection = around.connect();
    for (let counter = 1; counter <= 5; counter++) {
      connection.receive(push(counter));
      await expect.poll(() => confirmed(connection).length).toBe(counter);
    }
    for (const counter of [6, 7]) connection.receive(push(counter));
    await expect.poll(() => log.waiting).toBe(7);
    const before = asked(around);
    for (let index = 0; index < 7; index++) log.take(index);
    await expect.poll(() => confirmed(connection)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await around.ingest.drain();
    // Whose they are.
    expect(asked(around) - before).toBe(2);
    expect(log.trimmed.length).toBe(7);
    expect(counters(around)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});

describe("pushes of a meter that are mapped when they are read from the log", () => {
  it("are mapped one after the other", async () => {
    const { around, log } = start({ drainLimits: { warmMax: 0 } });
    await sent(around, log, 1, 2);
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    log.take(0);
    log.take(1);
    await turn();
    slow.release();
    await around.ingest.drain();
    // Bits that are set in both come once, by the first.
    expect(
      around.committed.map(({ rows }) => rows.filter(({ table }) => table.name === "meter_events").length),
    ).toEqual([16, 0]);
  });

  it("are so many as may wait for the database, and no more", async () => {
    const { waitingMax } = BATCH_LIMITS;
    const { around, log } = start({ drainLimits: { warmMax: 0 } });
    const connection = around.connect();
    const many = waitingMax + 500;
    around.hold = new Promise(() => undefined);
    for (let counter = 1; counter <= many; counter++) connection.receive(push(counter));
    await expect.poll(() => log.waiting, { timeout: 10_000 }).toBe(many);
    const before = asked(around);
    for (let index = 0; index < many; index++) log.take(index);
    await expect.poll(() => asked(around) - before).toBeGreaterThan(waitingMax);
    // As many as the rest would need.
    for (let n = 0; n < 500; n++) await turn();
    // Whose each of them is, and once a word; some more than wait are mapped in the same turn.
    expect(asked(around) - before).toBeLessThanOrEqual(1 + waitingMax + DRAIN_LIMITS.turnMax);
    around.ingest.abandon();
  });
});
