import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { heldBack, meterOf, type PushVector, pushVectors, Surroundings, vectorOf } from "./surroundings.ts";

const vector = vectorOf("d1-instant-flat-ae-wrapper-f32-dev");
const many = pushVectors.filter(({ framing, rows }) => framing === "wrapper" && rows?.length > 0);

describe("while the database is away", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate"] }));
  afterEach(() => void vi.useRealTimers());

  it("pushes wait, nothing is acknowledged, and all are stored when it is back", async () => {
    const around = new Surroundings(many);
    around.databaseAway = true;
    const connection = around.connect();
    for (const { hex } of many) connection.receive(hex);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(around.committed).toEqual([]);
    expect(around.verdicts).toEqual([]);
    // As little as this is read nevertheless, so that the meter's next connection doesn't overtake it.
    expect(connection.paused).toBe(false);
    around.databaseAway = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(around.verdicts).toEqual(many.map(() => "applied"));
    expect(around.committed.map(({ meterId }) => meterId)).toEqual(many.map((v) => meterOf(v).id));
    expect(connection.paused).toBe(false);
  });

  it("no more is read than so many octets behind a push that waits, and nothing of it is lost", async () => {
    const around = new Surroundings(many);
    around.databaseAway = true;
    const connection = around.connect();
    const all = Buffer.concat(many.map(({ hex }) => Buffer.from(hex, "hex")));
    connection.receive(many[0]!.hex);
    for (let octets = 0; octets <= 16_384; octets += all.length) {
      expect(connection.paused).toBe(false);
      connection.receive(all);
    }
    expect(connection.paused).toBe(true);
    around.databaseAway = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(connection.paused).toBe(false);
    // What came again is known by its counter where it has one, and is the same rows where it has none.
    const stored = around.committed.map(({ meterId }) => meterId);
    expect(new Set(stored)).toEqual(new Set(many.map((v) => meterOf(v).id)));
    expect(around.refused).toEqual([]);
  });

  it("a batch that fails half way is tried again as it was", async () => {
    const around = new Surroundings(many);
    const connection = around.connect();
    connection.receive(many[0]!.hex);
    await vi.advanceTimersByTimeAsync(100);
    expect(around.committed).toHaveLength(1);
    const { promise, release } = heldBack();
    around.hold = promise;
    for (const { hex } of many.slice(1)) connection.receive(hex);
    await vi.advanceTimersByTimeAsync(100);
    around.databaseAway = true;
    release();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(around.committed).toHaveLength(1);
    around.databaseAway = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(around.committed).toHaveLength(many.length);
  });

  it("the end does not wait for it for ever", async () => {
    const around = new Surroundings([vector]);
    around.databaseAway = true;
    const connection = around.connect();
    connection.receive(vector.hex);
    const drained = around.ingest.drain(5_000);
    await vi.advanceTimersByTimeAsync(10_000);
    await drained;
    expect(around.committed).toEqual([]);
    expect(around.acknowledged).toBe(0);
  });
});

describe("back-pressure", () => {
  it("stops reading a connection that has too much that is not durable, and only that one", async () => {
    const around = new Surroundings(many, { limits: { undurableConnectionBytesMax: 10_000 } });
    const { promise, release } = heldBack();
    around.hold = promise;
    const [eager, quiet] = [around.connect(), around.connect()];
    for (const { hex } of many.slice(1)) {
      eager.receive(hex);
      await new Promise((resolve) => setImmediate(resolve));
    }
    quiet.receive(many[0]!.hex);
    await vi.waitFor(() => expect(quiet.paused).toBe(false));
    expect(eager.paused).toBe(true);
    release();
    await around.ingest.drain();
    await vi.waitFor(() => expect(eager.paused).toBe(false));
    expect(around.committed).toHaveLength(many.length);
  });

  it("stops all of them where all together hold too much", async () => {
    const around = new Surroundings(many, { limits: { undurableTotalBytesMax: 10_000 } });
    const { promise, release } = heldBack();
    around.hold = promise;
    const connections = many.map(({ hex }) => {
      const connection = around.connect();
      connection.receive(hex);
      return connection;
    });
    await vi.waitFor(() => expect(connections.filter(({ paused }) => paused).length).toBeGreaterThan(5));
    release();
    await around.ingest.drain();
    await vi.waitFor(() => expect(connections.filter(({ paused }) => paused)).toEqual([]));
    expect(around.committed).toHaveLength(many.length);
  });
});

describe("acknowledging", () => {
  /** A data-notification in clear that asks to be confirmed (bit 30 of its long invoke id). */
  function confirmed({ body }: PushVector): Buffer {
    const apdu = Buffer.concat([Buffer.from("0f4000000700", "hex"), Buffer.from(body, "hex")]);
    const header = Buffer.from("0001000100400000", "hex");
    header.writeUInt16BE(apdu.length, 6);
    return Buffer.concat([header, apdu]);
  }

  it("confirms a push that asks for it, once it is durable and not before", async () => {
    const plain = vectorOf("d1-instant-flat-none-wrapper-int");
    const around = new Surroundings([plain]);
    const { promise, release } = heldBack();
    around.hold = promise;
    const connection = around.connect();
    connection.receive(confirmed(plain));
    await vi.waitFor(() => expect(around.commitsBegun).toBe(1));
    expect(connection.written).toEqual([]);
    release();
    await around.ingest.drain();
    // Wrapper, from SAP 64 to SAP 1, 6 octets: 10 · long invoke id · no date-time.
    expect(connection.written.map((octets) => octets.toString("hex"))).toEqual([
      "0001004000010006104000000700",
    ]);
  });
});
