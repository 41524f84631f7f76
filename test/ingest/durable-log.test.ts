import { describe, expect, it, vi } from "vitest";
import { SYSTEM_CLOCK } from "../../src/clock.ts";
import type { DurableLog } from "../../src/durable-log/durable-log.ts";
import { openSpool } from "../../src/durable-log/spool/spool.ts";
import { loggedFrame, readAcceptedRecord } from "../../src/ingest/accepted-record.ts";
import { LoggedCounters } from "../../src/ingest/logged-counters.ts";
import { FaultyDisk } from "../support/faulty-files.ts";
import * as wire from "../support/wire.ts";
import { heldBack, keysOf, meterOf, Surroundings, vectorOf } from "./surroundings.ts";

vi.setConfig({ testTimeout: 120_000 });

/* The ingest with a spool: what is acknowledged when, and what a restart finds. Octets are laid out by hand. */

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
const meter = meterOf(vector);
const keys = keysOf(vector);

function body(counter: number, bits = "00".repeat(16)): string {
  return wire.structure(
    wire.text(meter.meterNumber),
    wire.obis("0.4.25.9.0.255"),
    wire.clock(2026, 10, 1 + Math.floor(counter / 1_440), Math.floor(counter / 60) % 24, counter % 60),
    wire.bits(bits),
  );
}

/** Bit 30 of the long invoke id asks for a confirmation. */
const apdu = (counter: number, bits?: string) =>
  wire.ciphered(wire.notification(0x4000_0000 + counter, body(counter, bits)), 0x30, counter, keys);
const push = (counter: number, bits?: string) => wire.wrapped(apdu(counter, bits));
const confirmation = (counter: number) => `000100400001000610${(0x4000_0000 + counter).toString(16)}00`;
const confirmations = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => confirmation(from + index));

/** A record of a version that is to come. */
const UNREADABLE = Buffer.from("ff00", "hex");

interface Spooled {
  readonly around: Surroundings;
  readonly durableLog: DurableLog;
}

async function start(
  disk: FaultyDisk,
  options: ConstructorParameters<typeof Surroundings>[1] = {},
  beforeDraining: () => void = () => undefined,
): Promise<Spooled> {
  const logged = new LoggedCounters();
  const durableLog = await openSpool({
    ...{ files: disk.access, clock: SYSTEM_CLOCK, nonce: () => 1, bytesMax: 1 << 28 },
    observer: { problem: () => undefined, synced: () => undefined },
    limits: { retryMs: 0 },
    onRecovered: (payload) => {
      if (payload.equals(UNREADABLE)) return;
      const frame = loggedFrame(readAcceptedRecord(payload));
      if (frame !== null) logged.log(frame);
    },
  });
  beforeDraining();
  return { around: new Surroundings([], { meters: [meter], durableLog, logged, ...options }), durableLog };
}

/** As after kill -9: what was not synced may be there or not, and nobody goes on. */
function kill({ around }: Spooled, disk: FaultyDisk): void {
  around.ingest.abandon();
  disk.powerCut();
}

const sent = (connection: { written: Buffer[] }) =>
  connection.written.map((octets) => octets.toString("hex"));
const counters = (around: Surroundings) => around.committed.map(({ counter }) => counter?.counter);

describe("a push that is in the spool", () => {
  it("is acknowledged before the database has it, and not before its fdatasync", async () => {
    const disk = new FaultyDisk();
    const { around } = await start(disk);
    const commit = heldBack();
    around.hold = commit.promise;
    const sync = heldBack();
    disk.beforeSync = () => sync.promise;
    const connection = around.connect();
    connection.receive(push(1));
    await expect.poll(() => disk.syncs).toBe(1);
    expect(connection.written).toEqual([]);
    sync.release();
    await expect.poll(() => sent(connection), { timeout: 20_000 }).toEqual([confirmation(1)]);
    expect(around.committed).toEqual([]);
    commit.release();
    await around.ingest.drain();
    expect(counters(around)).toEqual([1]);
    expect(disk.open).toBe(0);
  });

  it("is mapped beside those of other meters when it is read from there: each look-up waits for the database alone", async () => {
    const disk = new FaultyDisk();
    const title = "4f54480000000001";
    const other = { ...meter, id: "another", meterNumber: "OTHER1", systemTitle: title };
    // Nothing is mapped when it is accepted, as behind a flood.
    const { around } = await start(disk, { meters: [meter, other], drainLimits: { warmMax: 0 } });
    const sync = heldBack();
    disk.beforeSync = () => sync.promise;
    const otherBody = body(1).replace(wire.text(meter.meterNumber), wire.text("OTHER1"));
    const otherKeys = { ...keys, systemTitle: Buffer.from(title, "hex") };
    around.connect().receive(push(1));
    around
      .connect()
      .receive(wire.wrapped(wire.ciphered(wire.notification(1, otherBody), 0x30, 1, otherKeys)));
    await expect.poll(() => around.lookUps).toBe(2);
    await new Promise((resolve) => setImmediate(resolve));
    const before = around.lookUps;
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    sync.release();
    await expect.poll(() => around.lookUps - before).toBeGreaterThanOrEqual(2);
    expect(around.committed).toEqual([]);
    slow.release();
    await around.ingest.drain();
    expect(around.committed.map(({ meterId }) => meterId)).toEqual([meter.id, "another"]);
  });

  it("is stored with the others, in order, when a database comes back that was away", async () => {
    const disk = new FaultyDisk();
    const drainLimits = { warmMax: 30, behindMax: 20, readMax: 10, turnMs: 75 };
    const { around, durableLog } = await start(disk, { meters: [meter], drainLimits });
    around.databaseAway = true;
    around.counter = { high: 0, digests: [] };
    const connection = around.connect();
    // The first look-up waits for the database: nobody knows the counter.
    connection.receive(push(1));
    around.databaseAway = false;
    await expect.poll(() => connection.written.length, { timeout: 20_000 }).toBe(1);
    await around.ingest.settled();
    around.databaseAway = true;
    const many = 200;
    for (let counter = 2; counter <= many; counter++) {
      connection.receive(push(counter));
      if (counter % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => connection.written.length, { timeout: 50_000 }).toBe(many);
    expect(sent(connection)).toEqual(confirmations(1, many));
    expect(durableLog.state().records).toBeGreaterThan(many - 2);
    // A database that has just committed is believed to keep up; only then is it known to be away.
    await expect.poll(() => connection.paused, { timeout: 20_000 }).toBe(false);
    around.databaseAway = false;
    await expect.poll(() => around.committed.length, { timeout: 50_000 }).toBe(many);
    expect(counters(around)).toEqual(Array.from({ length: many }, (_, index) => index + 1));
    await around.ingest.drain();
    expect(durableLog.state().records).toBe(0);
  });

  it("is found after a kill, drained before what comes then, and known when it is sent again", async () => {
    const disk = new FaultyDisk();
    const first = await start(disk);
    const connection = first.around.connect();
    connection.receive(push(1));
    await expect.poll(() => first.around.committed.length).toBe(1);
    await first.around.ingest.settled();
    first.around.databaseAway = true;
    for (const counter of [2, 3, 4]) connection.receive(push(counter));
    await expect.poll(() => connection.written.length, { timeout: 20_000 }).toBe(4);
    kill(first, disk);

    const second = await start(disk);
    second.around.counter = { high: 1, digests: [] };
    const again = second.around.connect();
    for (const counter of [3, 4]) again.receive(push(counter));
    // Another frame with a counter that was used: a replay.
    again.receive(push(3, "ff".repeat(16)));
    again.receive(push(5));
    await expect.poll(() => sent(again), { timeout: 20_000 }).toEqual(confirmations(3, 5));
    await expect.poll(() => counters(second.around)).toEqual(expect.arrayContaining([5]));
    expect(counters(second.around).filter((counter) => counter !== 1)).toEqual([2, 3, 4, 5]);
    expect(second.around.refused).toEqual(["replay"]);
    expect(
      second.around.committed.filter(({ again }) => again).map(({ counter }) => counter!.counter),
    ).toEqual(expect.arrayContaining([2, 3, 4]));
    await second.around.ingest.drain();
  });

  it("is stored whatever the database's counter says by then", async () => {
    const disk = new FaultyDisk();
    const { around } = await start(disk);
    const connection = around.connect();
    connection.receive(push(1));
    await around.ingest.drain();
    expect(around.committed[0]!.counter).toMatchObject({ counter: 1, isFinal: true });
  });

  it("leaves neither keys nor plaintext in the file", async () => {
    const disk = new FaultyDisk();
    const { around } = await start(disk);
    around.connect().receive(push(1));
    await around.ingest.settled();
    const file = disk.contents(disk.names().find((name) => name.endsWith(".spool"))!);
    expect(file.includes(apdu(1))).toBe(true);
    for (const secret of [keys.guek, keys.gak, Buffer.from(body(1), "hex").subarray(0, 20)]) {
      expect(file.includes(secret)).toBe(false);
      expect(file.includes(secret.toString("hex"))).toBe(false);
    }
    await around.ingest.drain();
  });
});

describe("a record that this version can't read", () => {
  async function spooled(): Promise<FaultyDisk> {
    const disk = new FaultyDisk();
    const { durableLog } = await start(disk);
    for (let n = 0; n < 3; n++) durableLog.append(UNREADABLE, meter.id, () => undefined);
    await durableLog.close();
    return disk;
  }

  it("stays in the spool, and holds no meter up", async () => {
    const drainLimits = { behindMax: 2, turnMs: 1_000_000 };
    const disk = await spooled();
    const { around, durableLog } = await start(disk, { drainLimits });
    const connection = around.connect();
    connection.holdsWhilePaused = true;
    for (let counter = 1; counter <= 3; counter++) {
      connection.receive(push(counter));
      await expect.poll(() => counters(around).length).toBe(counter);
    }
    await around.ingest.drain();
    expect(durableLog.state().records).toBe(3);
    expect(disk.names().filter((name) => name.endsWith(".spool"))).not.toEqual([]);
  });

  it("is not waited for at the end", async () => {
    const disk = await spooled();
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    try {
      // It is read when the end has come, and the second time.
      const { around } = await start(disk, {}, () => {
        disk.failRead = new Error("EIO: i/o error, read");
      });
      const ended = around.ingest.drain();
      await vi.advanceTimersByTimeAsync(1_000);
      await ended;
    } finally {
      vi.useRealTimers();
    }
    expect(disk.open).toBe(0);
  });
});

describe("a spool that fails", () => {
  it("leaves the acknowledgement to COMMIT", async () => {
    const disk = new FaultyDisk();
    disk.capacity = 0;
    const { around } = await start(disk);
    const commit = heldBack();
    around.hold = commit.promise;
    const connection = around.connect();
    connection.receive(push(1));
    await expect.poll(() => around.commitsBegun).toBe(1);
    expect(connection.written).toEqual([]);
    commit.release();
    await expect.poll(() => sent(connection), { timeout: 20_000 }).toEqual([confirmation(1)]);
    expect(counters(around)).toEqual([1]);
    await around.ingest.drain();
  });

  it("with the database away acknowledges nothing, stops reading, and loses nothing", async () => {
    const disk = new FaultyDisk();
    const { around } = await start(disk, {
      meters: [meter],
      limits: { undurableConnectionBytesMax: 20_000 },
    });
    const connection = around.connect();
    connection.receive(push(1));
    await expect.poll(() => connection.written.length, { timeout: 20_000 }).toBe(1);
    await around.ingest.settled();
    around.databaseAway = true;
    disk.capacity = 0;
    for (let counter = 2; counter <= 20; counter++) connection.receive(push(counter));
    await expect.poll(() => connection.paused).toBe(true);
    expect(connection.written).toHaveLength(1);
    around.databaseAway = false;
    disk.capacity = Number.POSITIVE_INFINITY;
    await expect.poll(() => new Set(counters(around)).size).toBe(20);
    await expect.poll(() => connection.paused).toBe(false);
    await around.ingest.drain();
    expect(counters(around)).toHaveLength(20);
  });
});

describe("on HDLC", () => {
  const frame = (counter: number, sequence: number) => wire.hdlcInformation(apdu(counter), sequence);

  it("an I frame is acknowledged by RR when it is durable; RNR says that it takes too long", async () => {
    const disk = new FaultyDisk();
    const { around } = await start(disk, { meters: [meter], limits: { durableMs: 20 } });
    const commit = heldBack();
    around.hold = commit.promise;
    const sync = heldBack();
    disk.beforeSync = () => sync.promise;
    const connection = around.connect();
    connection.receive(frame(1, 2));
    // 7E A0 07 · destination 03 (meter, SAP 1) · source 81 (client, SAP 64) · RNR, N(R) 2 · FCS · 7E
    await expect.poll(() => sent(connection).map((hex) => hex.slice(0, 12))).toEqual(["7ea0070381" + "55"]);
    sync.release();
    await expect.poll(() => sent(connection).map((hex) => hex.slice(10, 12))).toEqual(["55", "71"]);
    commit.release();
    await around.ingest.drain();
  });
});

describe("a push that can't be mapped without the database", () => {
  it("is accepted, and mapped when the database is back", async () => {
    const disk = new FaultyDisk();
    const { around } = await start(disk);
    around.statusWordsAway = true;
    const connection = around.connect();
    for (const counter of [1, 2]) connection.receive(push(counter, "80".repeat(16)));
    await expect.poll(() => sent(connection), { timeout: 20_000 }).toEqual(confirmations(1, 2));
    expect(around.committed).toEqual([]);
    around.statusWordsAway = false;
    await expect.poll(() => counters(around), { timeout: 20_000 }).toEqual([1, 2]);
    // Bits that are set in both come once, by the first.
    const events = around.committed.map(
      ({ rows }) => rows.filter(({ table }) => table.name === "meter_events").length,
    );
    expect(events).toEqual([16, 0]);
    await around.ingest.drain();
  });
});
