import { describe, expect, it } from "vitest";
import type { ListRecord } from "../../src/mapping/configuration.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import { apdu, confirmed, counters, push, sent, start } from "./log-by-hand.ts";
import { cell, heldBack, type Surroundings, type TestConnection } from "./surroundings.ts";

/* Pushes of one counter that become safe in any order, or not at all, and what their meter is told when it sends them again. */

const ALERT = "0.4.25.9.0.255";
const SETUP_WITH_WORD = "0.9.25.9.0.255";
const entry = (code: string, classId: number) => ({ code, classId, attribute: 2, dataIndex: 0 });
/** Of an operator who wants the word with every push. */
const WITH_WORD: ListRecord = {
  ...{ id: 1, setupId: 1, name: "with a word", pushSetup: SETUP_WITH_WORD, kind: "instant" },
  ...{ meterId: null, meterType: null, category: null },
  entries: [entry("0.0.1.0.0.255", 8), entry("0.0.94.91.18.255", 1)],
};
const fault = () => new StorageError("internal", "a fault that nobody expects");
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** On another connection; all of it is known already. */
async function repeated(around: Surroundings, ...counters: number[]): Promise<TestConnection> {
  const before = around.verdicts.length;
  const connection = around.connect("192.0.2.2");
  for (const counter of counters) connection.receive(push(counter));
  await expect.poll(() => around.verdicts.slice(before)).toEqual(counters.map(() => "retransmission"));
  return connection;
}

describe("a push that comes again while the first is on its way", () => {
  it("is acknowledged with that one, whichever of its meter's becomes safe first", async () => {
    const { around, log } = start();
    const commit = heldBack();
    around.hold = commit.promise;
    const first = await sent(around, log, 1, 2, 3);
    const again = await repeated(around, 1, 2);
    log.take(1);
    await expect.poll(() => confirmed(first)).toEqual([2]);
    expect(confirmed(again)).toEqual([2]);
    const third = await repeated(around, 1, 2);
    expect(confirmed(third)).toEqual([2]);
    log.refuse(0);
    await turn();
    expect([confirmed(first), confirmed(again), confirmed(third)]).toEqual([[2], [2], [2]]);
    log.take(2);
    await expect.poll(() => confirmed(first)).toEqual([2, 3]);
    commit.release();
    await expect.poll(() => confirmed(first)).toEqual([2, 3, 1]);
    expect([confirmed(again), confirmed(third)]).toEqual([
      [2, 1],
      [2, 1],
    ]);
    await around.ingest.drain();
    expect(counters(around).sort()).toEqual([1, 2, 3]);
  });

  it("is acknowledged by COMMIT where that comes before the log's answer, whatever that is", async () => {
    const { around, log } = start();
    const commit = heldBack();
    around.hold = commit.promise;
    const first = await sent(around, log, 1, 2);
    const again = await repeated(around, 1);
    expect([confirmed(first), confirmed(again)]).toEqual([[], []]);
    commit.release();
    await expect.poll(() => confirmed(first)).toEqual([1, 2]);
    expect(confirmed(again)).toEqual([1]);
    log.take(0);
    log.refuse(1);
    await expect.poll(() => log.trimmed).toEqual([1]);
    await around.ingest.drain();
    expect(confirmed(first)).toEqual([1, 2]);
    expect(counters(around)).toEqual([1, 2]);
  });

  it("is not where nothing makes that one safe, and is taken when it comes once more: mapped at once", async () => {
    const { around, log } = start({ drainLimits: { retryMs: 1 } });
    const commit = heldBack();
    around.hold = commit.promise.then(() => Promise.reject(fault()));
    const first = await sent(around, log, 1, 2);
    const again = await repeated(around, 2);
    log.refuse(1);
    await turn();
    expect([confirmed(first), confirmed(again)]).toEqual([[], []]);
    commit.release();
    await expect.poll(() => around.failures).toBe(1);
    around.hold = null;
    const later = await sent(around, log, 2);
    await expect.poll(() => confirmed(later)).toEqual([2]);
    // What the log may still take is waited for.
    expect([confirmed(first), confirmed(again)]).toEqual([[], []]);
    log.take(0);
    await expect.poll(() => confirmed(first)).toEqual([1]);
    log.take(2);
    await expect.poll(() => log.trimmed.sort()).toEqual([1, 3]);
    expect([confirmed(first), confirmed(again)]).toEqual([[1], []]);
    await around.ingest.drain();
    expect(counters(around).sort()).toEqual([1, 2]);
  });

  it("is not where nothing makes that one safe, and is taken when it comes once more: mapped later", async () => {
    const { around, log } = start({ drainLimits: { warmMax: 0 } });
    // One that the log takes later: until then this counter is known to be on its way.
    await sent(around, log, 1);
    const first = await sent(around, log, 2);
    const again = await repeated(around, 2);
    around.slowLookUps.push(Promise.reject(fault()));
    const asked = around.lookUps;
    log.refuse(1);
    await expect.poll(() => around.lookUps).toBeGreaterThan(asked);
    await turn();
    expect([confirmed(first), confirmed(again)]).toEqual([[], []]);
    const later = await sent(around, log, 2);
    log.take(0);
    log.take(2);
    await expect.poll(() => confirmed(later)).toEqual([2]);
    expect([confirmed(first), confirmed(again)]).toEqual([[], []]);
    await around.ingest.drain();
    expect(counters(around)).toEqual([1, 2]);
  });

  it.each([
    ["an alert", ALERT],
    ["values with a status word", SETUP_WITH_WORD],
  ])("tells its events again where nothing made the first one safe: %s", async (_, setup) => {
    const { around, log } = start({ lists: [WITH_WORD] });
    around.hold = Promise.reject(fault());
    around.hold.catch(() => undefined);
    const connection = around.connect();
    connection.receive(push(1, setup));
    await expect.poll(() => log.waiting).toBe(1);
    log.refuse(0);
    await expect.poll(() => around.failures).toBe(1);
    around.hold = null;
    connection.receive(push(1, setup));
    await expect.poll(() => confirmed(connection)).toEqual([1]);
    expect(around.rows("meter_events").length).toBe(16);
    log.take(1);
    await around.ingest.drain();
  });

  it("is not where another daemon was faster, and is judged by the database's counter from then on", async () => {
    // Mapped when the log has refused it: then COMMIT alone has to say.
    const { around, log } = start({ drainLimits: { warmMax: 0 } });
    const first = await sent(around, log, 1);
    const again = await repeated(around, 1);
    around.verdict = "replay";
    around.counter = { high: 5, digests: [] };
    log.refuse(0);
    await expect.poll(() => around.refused).toEqual(["replay"]);
    around.connect().receive(push(1));
    await expect.poll(() => around.refused).toEqual(["replay", "replay"]);
    expect([confirmed(first), confirmed(again)]).toEqual([[], []]);
    await around.ingest.drain();
  });
});

describe("what is known to be in the log", () => {
  it("is there from when it is appended to when it is stored, or refused", async () => {
    const { around, log, told, inLog } = start();
    const commit = heldBack();
    around.hold = commit.promise;
    await sent(around, log, 1, 2);
    expect(inLog()).toEqual([1, 2]);
    log.take(0);
    // This one COMMIT may still make safe.
    log.refuse(1);
    await expect.poll(() => around.commitsBegun).toBe(1);
    expect(inLog()).toEqual([1, 2]);
    expect(told).toEqual([]);
    commit.release();
    await expect.poll(() => told.length).toBe(2);
    expect(inLog()).toEqual([]);
    await around.ingest.drain();
  });

  it("is there no more when the log has refused it before it was mapped", async () => {
    const { around, log, told, inLog } = start({ drainLimits: { warmMax: 0 } });
    const commit = heldBack();
    around.hold = commit.promise;
    await sent(around, log, 1, 2);
    log.refuse(1);
    await expect.poll(() => around.commitsBegun).toBe(1);
    expect(inLog()).toEqual([1]);
    expect(told).toEqual([]);
    log.take(0);
    commit.release();
    await expect.poll(() => told.sort()).toEqual([1, 2]);
    expect(inLog()).toEqual([]);
    await around.ingest.drain();
  });

  it("is not released once more by what a daemon reads from a log that others append to as well", async () => {
    const { around, log, told, inLog } = start({ isShared: true });
    await sent(around, log, 1, 2, 3);
    log.take(0);
    await expect.poll(() => counters(around)).toEqual([1]);
    log.take(1);
    await expect.poll(() => counters(around)).toEqual([1, 2]);
    await turn();
    // When it is appended, and when it is stored.
    expect(told).toEqual([1, 1, 2, 2]);
    expect(inLog()).toEqual([1, 2, 3]);
    log.take(2);
    await around.ingest.drain();
    expect(inLog()).toEqual([]);
  });
});

describe("a push that the log refuses before it is mapped", () => {
  it("is stored as it came, whatever stands where its octets were read", async () => {
    const { around, log } = start({ drainLimits: { warmMax: 0 } });
    const octets = push(1);
    around.connect().receive(octets);
    await expect.poll(() => log.waiting).toBe(1);
    octets.fill(0);
    log.refuse(0);
    await expect.poll(() => around.committed.length).toBe(1);
    expect(cell(around.committed[0]!.frame, "apdu")).toEqual(apdu(1));
    expect(around.committed[0]!.quarantine).toBeNull();
    expect(around.committed[0]!.counter).toMatchObject({ counter: 1, isFinal: false });
    await around.ingest.drain();
  });
});
