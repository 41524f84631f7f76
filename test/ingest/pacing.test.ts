import { describe, expect, it } from "vitest";
import { BATCH_LIMITS } from "../../src/ingest/batcher.ts";
import * as wire from "../support/wire.ts";
import { heldBack, keysOf, meterOf, Surroundings, vectorOf } from "./surroundings.ts";

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
const meter = meterOf(vector);
const keys = keysOf(vector);
const MINUTES = 60;

/** An alert of the meter; counters give the time, so that no two are of the same minute. */
function alert(counter: number): Buffer {
  const body = wire.structure(
    wire.text(meter.meterNumber),
    wire.obis("0.4.25.9.0.255"),
    wire.clock(
      2026,
      10,
      1 + Math.floor(counter / 1_440),
      Math.floor(counter / MINUTES) % 24,
      counter % MINUTES,
    ),
    wire.bits("00".repeat(16)),
  );
  return wire.wrapped(wire.ciphered(wire.notification(1, body), 0x30, counter, keys));
}

const MANY = BATCH_LIMITS.waitingMax + 500;
const alerts = (from: number, count: number) =>
  Buffer.concat(Array.from({ length: count }, (_, index) => alert(from + index)));

describe("pushes that come faster than the database takes them", () => {
  it("stay in the socket, and all are stored in the end", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const connection = around.connect();
    connection.receive(alert(1));
    await around.ingest.settled();
    const slow = heldBack();
    around.hold = slow.promise;
    connection.receive(alerts(2, MANY));
    expect(connection.paused).toBe(true);
    slow.release();
    await expect.poll(() => around.committed.length, { timeout: 10_000 }).toBe(MANY + 1);
    await expect.poll(() => connection.paused).toBe(false);
    expect(around.verdicts.every((verdict) => verdict === "applied")).toBe(true);
  });

  it("are taken in whole where the connection or the daemon ends meanwhile", async () => {
    for (const end of ["connection", "daemon"] as const) {
      const around = new Surroundings([], { meters: [meter] });
      const connection = around.connect();
      connection.receive(alert(1));
      await around.ingest.settled();
      const slow = heldBack();
      around.hold = slow.promise;
      connection.receive(alerts(2, MANY));
      if (end === "connection") connection.close();
      const drained = around.ingest.drain();
      slow.release();
      await drained;
      expect(around.committed).toHaveLength(MANY + 1);
    }
  });
});

describe("a confirmed push", () => {
  /** Bit 30 of the long invoke id asks for a confirmation: 4000002A. */
  const confirmed = (counter: number): Buffer => {
    const body = wire.structure(
      ...[wire.text(meter.meterNumber), wire.obis("0.4.25.9.0.255")],
      ...[wire.clock(2026, 10, 1, 9, counter), wire.bits("00".repeat(16))],
    );
    return wire.wrapped(wire.ciphered(wire.notification(0x4000002a, body), 0x30, counter, keys));
  };

  it("that became durable too late is not acknowledged; its retransmission is", async () => {
    const around = new Surroundings([], { meters: [meter], limits: { durableMs: 0 } });
    const connection = await around.send(confirmed(1));
    expect(around.verdicts).toEqual(["applied"]);
    expect(connection.written).toEqual([]);
    const again = await around.send(confirmed(1));
    expect(around.committed).toHaveLength(1);
    expect(again.written.map((octets) => octets.toString("hex"))).toEqual([
      // Wrapper 64 → 1, then 10, the same invoke id, no time.
      "0001004000010006104000002a00",
    ]);
  });

  it("that became durable in time is acknowledged", async () => {
    const around = new Surroundings([], { meters: [meter] });
    const connection = await around.send(confirmed(1));
    expect(connection.written).toHaveLength(1);
  });
});
