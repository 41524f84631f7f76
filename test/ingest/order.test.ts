import { describe, expect, it } from "vitest";
import * as wire from "../support/wire.ts";
import { cell, heldBack, keysOf, meterOf, Surroundings, vectorOf } from "./surroundings.ts";

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
const meter = meterOf(vector);
const keys = keysOf(vector);

/** An alert of the meter: device id, push setup, clock, event status word. */
function alert(
  counter: number,
  minute: number,
  of: { meterNumber: string; systemTitle: string | null } = meter,
): Buffer {
  const body = wire.structure(
    wire.text(of.meterNumber),
    wire.obis("0.4.25.9.0.255"),
    wire.clock(2026, 10, 14, 9, minute),
    wire.bits("10".padEnd(32, "0")),
  );
  const systemTitle = Buffer.from(of.systemTitle!, "hex");
  return wire.wrapped(wire.ciphered(wire.notification(1, body), 0x30, counter, { ...keys, systemTitle }));
}

const strangers = ["4f54480000000008", "4f54480000000009"].map((systemTitle) => ({
  meterNumber: "STRANGER",
  systemTitle,
}));

/** Counters of what was stored, in its order. */
const stored = ({ committed }: Surroundings) =>
  committed.map(({ history }) => cell(history, "invocation_counter"));

/** As long as the event loop needs to come round. */
const lookAtSockets = () => new Promise((resolve) => setImmediate(resolve));

describe("a meter that opens a connection for each push", () => {
  it("has them taken in its order, however long the look-ups for the first one take", async () => {
    const around = new Surroundings([], { meters: [meter] });
    // Two look-ups of the first push answer late, those of the others at once.
    const slow = [heldBack(), heldBack()];
    around.slowLookUps.push(...slow.map(({ promise }) => promise));
    around.connect("192.0.2.1").receive(alert(101, 1));
    around.connect("192.0.2.2").receive(alert(102, 2));
    around.connect("192.0.2.3").receive(Buffer.concat([alert(103, 3), alert(104, 4)]));
    for (const { release } of slow) release();
    await around.ingest.drain();
    expect(around.refused).toEqual([]);
    expect(stored(around)).toEqual([101, 102, 103, 104]);
  });

  it("has first what an earlier connection had brought already, whichever of its pushes had to wait", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const slow = [heldBack(), heldBack()];
    around.slowLookUps.push(...slow.map(({ promise }) => promise));
    const first = around.connect();
    first.receive(Buffer.concat([alert(101, 1), alert(102, 2), alert(103, 3)]));
    // The meter has hung up, and goes on over other connections before the look-up is answered.
    first.close();
    around.connect().receive(Buffer.concat([alert(104, 4), alert(105, 5)]));
    around.connect().receive(alert(106, 6));
    for (const { release } of slow) release();
    await around.ingest.drain();
    expect(around.refused).toEqual([]);
    expect(stored(around)).toEqual([101, 102, 103, 104, 105, 106]);
  });

  it("has it first too where so much is on its way that nothing more would be read", async () => {
    const around = new Surroundings([], { meters: [meter], limits: { undurableTotalBytesMax: 1 } });
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    const commit = heldBack();
    around.hold = commit.promise;
    around.connect().receive(Buffer.concat([alert(101, 1), alert(102, 2), alert(103, 3)]));
    around.connect().receive(alert(104, 4));
    slow.release();
    await expect.poll(() => around.commitsBegun).toBeGreaterThan(0);
    commit.release();
    await around.ingest.drain();
    expect(around.refused).toEqual([]);
    expect(stored(around)).toEqual([101, 102, 103, 104]);
  });

  it("has it first too where it stands behind what another meter sent, which waits for a look-up", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const first = around.connect();
    first.receive(alert(101, 1));
    await around.ingest.settled();
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    first.receive(alert(7, 2, strangers[0]));
    first.receive(Buffer.concat([alert(102, 2), alert(103, 3)]));
    first.close();
    around.connect().receive(alert(104, 4));
    around.connect().receive(alert(105, 5));
    slow.release();
    await around.ingest.drain();
    expect(around.refused).toEqual(["unknown_system_title"]);
    expect(stored(around)).toEqual([101, 102, 103, 104, 105]);
  });

  it("has it first too where it still stood in the socket of the earlier connection", async () => {
    const around = new Surroundings([], { meters: [meter], limits: { undurableTotalBytesMax: 1 } });
    const commit = heldBack();
    around.hold = commit.promise;
    const first = around.connect();
    first.holdsWhilePaused = true;
    first.receive(alert(101, 1));
    // More is on its way than may be: neither connection is read.
    await expect.poll(() => first.paused).toBe(true);
    const second = around.connect();
    second.receive(alert(103, 3));
    first.receive(alert(102, 2));
    commit.release();
    await around.ingest.drain();
    expect(around.refused).toEqual([]);
    expect(stored(around)).toEqual([101, 102, 103]);
  });

  it("has it first too where it comes out of the socket behind what the new connection brought", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const first = around.connect();
    first.receive(alert(101, 1));
    await around.ingest.settled();
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    first.receive(alert(7, 2, strangers[0]));
    around.connect().receive(alert(104, 4));
    first.receive(Buffer.concat([alert(102, 2), alert(103, 3)]));
    await lookAtSockets();
    slow.release();
    await around.ingest.drain();
    expect(around.refused).toEqual(["unknown_system_title"]);
    expect(stored(around)).toEqual([101, 102, 103, 104]);
  });

  it("doesn't wait for what comes over the earlier connection after it has called again", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const first = around.connect();
    first.receive(alert(101, 1));
    await around.ingest.settled();
    const slow = [heldBack(), heldBack()];
    around.slowLookUps.push(...slow.map(({ promise }) => promise));
    first.receive(alert(7, 2, strangers[0]));
    around.connect().receive(alert(102, 2));
    // Who claims the meter's title could go on like this for ever.
    await lookAtSockets();
    await lookAtSockets();
    first.receive(alert(7, 3, strangers[1]));
    slow[0]!.release();
    await expect.poll(() => around.committed.length).toBe(2);
    slow[1]!.release();
    await around.ingest.drain();
  });

  it("is not waited for by a connection that waits for its own: two concentrators that carry the same meters", async () => {
    const other = { ...meter, id: "another", meterNumber: "OTHER1", systemTitle: "4f54480000000001" };
    const around = new Surroundings([], { meters: [meter, other] });
    const [first, second] = [around.connect(), around.connect()];
    first.receive(alert(101, 1));
    second.receive(alert(201, 1, other));
    await around.ingest.settled();
    const slow = [heldBack(), heldBack()];
    around.slowLookUps.push(...slow.map(({ promise }) => promise));
    first.receive(Buffer.concat([alert(7, 2, strangers[0]), alert(202, 2, other)]));
    second.receive(Buffer.concat([alert(7, 2, strangers[1]), alert(102, 2)]));
    for (const { release } of slow) release();
    await expect.poll(() => around.committed.length).toBe(4);
  });

  it("does not make others wait", async () => {
    const other = { ...meter, id: "another", meterNumber: "OTHER1", systemTitle: "4f54480000000001" };
    const around = new Surroundings([], { meters: [meter, other] });
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    around.connect().receive(alert(101, 1));
    around.connect().receive(alert(7, 1, other));
    await expect.poll(() => around.committed.map(({ meterId }) => meterId)).toEqual(["another"]);
    slow.release();
    await around.ingest.drain();
    expect(around.committed.map(({ meterId }) => meterId)).toEqual(["another", meter.id]);
  });
});

describe("a meter that hung up before its push was taken in", () => {
  it("has no connection on which it could be asked", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    const connection = around.connect();
    connection.receive(alert(101, 1));
    connection.close();
    slow.release();
    await around.ingest.settled();
    expect(around.ingest.connectedMeters().size).toBe(0);
    expect(around.ingest.connectionOf(meter.id)).toBeNull();
    await around.ingest.drain();
    expect(stored(around)).toEqual([101]);
  });

  it("is asked on the one over which it called again, whatever becomes of the former", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const former = around.connect("192.0.2.1");
    former.receive(alert(101, 1));
    await around.ingest.settled();
    const present = around.connect("192.0.2.2");
    present.receive(alert(102, 2));
    await around.ingest.settled();
    former.close();
    expect(around.ingest.connectionOf(meter.id)).toBe("connection 2");
    present.close();
    expect(around.ingest.connectionOf(meter.id)).toBeNull();
    await around.ingest.drain();
  });

  it("keeps the one on which it called again", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const slow = heldBack();
    around.slowLookUps.push(slow.promise);
    const connection = around.connect("192.0.2.1");
    connection.receive(Buffer.concat([alert(101, 1), alert(102, 2)]));
    connection.close();
    around.connect("192.0.2.2").receive(alert(103, 3));
    slow.release();
    await around.ingest.settled();
    expect(around.ingest.connectionOf(meter.id)).toBe("connection 2");
    await around.ingest.drain();
    expect(stored(around)).toEqual([101, 102, 103]);
  });
});
