import { afterEach, expect, it, vi } from "vitest";
import { IFrames } from "../../src/ingest/i-frames.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import * as wire from "../support/wire.ts";
import { apdu, start } from "./log-by-hand.ts";
import type { TestConnection } from "./surroundings.ts";

/* HDLC with a window wider than one frame: RR with N(R) acknowledges every frame before it. */

afterEach(() => void vi.useRealTimers());

const frame = (counter: number) => wire.hdlcInformation(apdu(counter), counter);
/** RR or RNR, and N(R): of 7E A0 07 · two addresses of an octet · control · FCS · 7E. */
const answers = ({ written }: TestConnection) =>
  written.map((octets) => `${(octets[5]! & 0x0f) === 0x01 ? "RR" : "RNR"} ${octets[5]! >> 5}`);

function begin(options: Parameters<typeof start>[0] = {}) {
  const { around, log } = start(options);
  // The log alone says what is safe.
  around.hold = new Promise(() => undefined);
  return { around, log };
}

async function received(
  around: ReturnType<typeof begin>["around"],
  log: ReturnType<typeof begin>["log"],
  ...counters: number[]
) {
  const connection = around.connect();
  for (const counter of counters) connection.receive(frame(counter));
  await expect.poll(() => log.waiting).toBe(counters.length);
  return connection;
}

it("a push that is safe is not acknowledged before one that came before it: that would acknowledge both", async () => {
  const { around, log } = begin();
  const connection = await received(around, log, 1, 2, 3, 4);
  log.take(1);
  log.take(2);
  expect(answers(connection)).toEqual([]);
  log.take(0);
  expect(answers(connection)).toEqual(["RR 2", "RR 3", "RR 4"]);
  log.take(3);
  expect(answers(connection)).toEqual(["RR 2", "RR 3", "RR 4", "RR 5"]);
  around.ingest.abandon();
});

it("one that is known already waits for those before it as well", async () => {
  const { around, log } = begin();
  const connection = await received(around, log, 1, 2);
  log.take(1);
  connection.receive(frame(2));
  await expect.poll(() => around.verdicts).toEqual(["retransmission"]);
  expect(answers(connection)).toEqual([]);
  log.take(0);
  expect(answers(connection)).toEqual(["RR 2", "RR 3", "RR 3"]);
  around.ingest.abandon();
});

it("each link of a connection has an order of its own", () => {
  const frames = new IFrames();
  const destination = { upper: 64, lower: null, length: 1 } as const;
  const begun = (physical: number, sendSequence: number | null) =>
    frames.begin({
      ...{ framing: "hdlc", sourceAddress: 1, destinationAddress: 64 },
      hdlc: { control: 0, sendSequence, source: { upper: 1, lower: physical, length: 2 }, destination },
    });
  const [a0, b0, a1, b1] = [begun(17, 0)!, begun(18, 0)!, begun(17, 1)!, begun(18, 1)!];
  expect(begun(17, null)).toBeNull();
  expect([a0, b0, a1, b1].map((one) => frames.isOldest(one))).toEqual([true, true, false, false]);
  expect([frames.safe(a1), frames.safe(b0), frames.safe(b1)]).toEqual([[], [0], [1]]);
  const [b2, b3] = [begun(18, 2)!, begun(18, 3)!];
  frames.lost(b2);
  expect([frames.safe(b3), frames.safe(a0)]).toEqual([[], [0, 1]]);
  // The meter goes back to what was lost.
  const [again, next] = [begun(18, 2)!, begun(18, 3)!];
  expect([frames.safe(next), frames.safe(again)]).toEqual([[], [2, 3]]);
});

it("that it takes long is said of the oldest alone", async () => {
  const { around, log } = begin();
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  const connection = await received(around, log, 1, 2);
  await vi.advanceTimersByTimeAsync(DEFAULT_LIMITS.durableMs);
  expect(answers(connection)).toEqual(["RNR 1"]);
  log.take(0);
  log.take(1);
  expect(answers(connection)).toEqual(["RNR 1", "RR 2", "RR 3"]);
  around.ingest.abandon();
});

it("behind one that nothing has made safe none is acknowledged until it comes again", async () => {
  const { around, log } = start();
  around.hold = Promise.reject(new StorageError("internal", "a fault that nobody expects"));
  around.hold.catch(() => undefined);
  const connection = await received(around, log, 1, 2);
  log.refuse(0);
  await expect.poll(() => around.failures).toBe(1);
  log.take(1);
  expect(answers(connection)).toEqual([]);
  around.ingest.abandon();
});
