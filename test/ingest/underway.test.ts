import { describe, expect, it } from "vitest";
import type { AppendOutcome, DurableLog, LogEntry } from "../../src/durable-log/durable-log.ts";
import { LoggedCounters } from "../../src/ingest/logged-counters.ts";
import { counterName } from "../../src/storage/counter-name.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import * as wire from "../support/wire.ts";
import {
  cell,
  heldBack,
  keysOf,
  meterOf,
  Surroundings,
  type TestConnection,
  vectorOf,
} from "./surroundings.ts";

/* Pushes of one counter that become safe in any order, or not at all, and what their meter is told when it sends them again. */

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
const meter = meterOf(vector);
const keys = keysOf(vector);
const name = counterName(1, meter.systemTitle!, 64);

/** Bit 30 of the long invoke id asks for a confirmation. */
function apdu(counter: number): Buffer {
  const body = wire.structure(
    wire.text(meter.meterNumber),
    wire.obis("0.4.25.9.0.255"),
    wire.clock(2026, 10, 14, 9, counter),
    wire.bits("80".repeat(16)),
  );
  return wire.ciphered(wire.notification(0x4000_0000 + counter, body), 0x30, counter, keys);
}
const push = (counter: number) => wire.wrapped(apdu(counter));
/** Counters of the pushes that were confirmed on a connection. */
const confirmed = ({ written }: TestConnection) =>
  written.map((octets) => octets.readUInt32BE(octets.length - 5) - 0x4000_0000);
const fault = () => new StorageError("internal", "a fault that nobody expects");
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A log that takes records, or refuses them, when the test says so. */
class LogByHand implements DurableLog {
  readonly isShared: boolean;
  readonly trimmed: number[] = [];
  private readonly appended: { payload: Buffer; settled: (outcome: AppendOutcome) => void }[] = [];
  private entries: LogEntry[] = [];
  private wake: () => void = () => undefined;
  private closed = false;

  constructor(isShared = false) {
    this.isShared = isShared;
  }

  append(payload: Buffer, _meterId: string, settled: (outcome: AppendOutcome) => void): void {
    this.appended.push({ payload, settled });
  }

  /** `index`: which of those that were appended, from 0 on. */
  take(index: number): void {
    const { payload, settled } = this.appended[index]!;
    settled({ kind: "durable", position: index + 1 });
    this.entries.push({ position: index + 1, payload, again: false, epoch: 0 });
    this.wake();
  }

  refuse(index: number): void {
    this.appended[index]!.settled({ kind: "refused", reason: "failed", text: "no room" });
  }

  get waiting(): number {
    return this.appended.length;
  }

  async read(): Promise<readonly LogEntry[]> {
    while (this.entries.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.entries.splice(0);
  }

  trim(positions: readonly number[]): void {
    this.trimmed.push(...positions);
  }

  state() {
    return { records: 0, bytes: 0, bytesMax: 1 << 20, condition: "ok" };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake();
  }
}

type Options = ConstructorParameters<typeof Surroundings>[1] & { isShared?: true };

function start({ isShared, ...options }: Options = {}) {
  const told: number[] = [];
  const logged = new LoggedCounters(({ counter }) => told.push(counter));
  const log = new LogByHand(isShared);
  const around = new Surroundings([], { meters: [meter], durableLog: log, logged, ...options });
  /** What the log adds to a counter of which the database knows nothing. */
  const inLog = () => logged.addTo({ high: null, digests: [] }, name).digests.map(({ counter }) => counter);
  return { around, log, told, inLog };
}

async function sent(around: Surroundings, log: LogByHand, ...counters: number[]): Promise<TestConnection> {
  const before = log.waiting;
  const connection = around.connect();
  for (const counter of counters) connection.receive(push(counter));
  await expect.poll(() => log.waiting).toBe(before + counters.length);
  return connection;
}

/** On another connection; all of it is known already. */
async function repeated(around: Surroundings, ...counters: number[]): Promise<TestConnection> {
  const before = around.verdicts.length;
  const connection = around.connect("192.0.2.2");
  for (const counter of counters) connection.receive(push(counter));
  await expect.poll(() => around.verdicts.slice(before)).toEqual(counters.map(() => "retransmission"));
  return connection;
}

const counters = (around: Surroundings) =>
  around.committed.map(({ history }) => cell(history, "invocation_counter"));

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

describe("a log that doesn't answer while the database does", () => {
  const turnMs = 1_000_000;

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
    // Whose meter it is is asked once more of what is mapped when it is read.
    const asked = () => around.lookUps - around.commits;
    const before = asked();
    for (let index = 0; index < 7; index++) log.take(index);
    await expect.poll(() => confirmed(connection)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await around.ingest.drain();
    expect(asked() - before).toBe(2);
    expect(log.trimmed.length).toBe(7);
    expect(counters(around)).toEqual([1, 2, 3, 4, 5, 6, 7]);
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
});
