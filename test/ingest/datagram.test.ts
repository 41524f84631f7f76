import { expect, it } from "vitest";
import * as wire from "../support/wire.ts";
import { heldBack, Surroundings, vectorOf } from "./surroundings.ts";

const vector = vectorOf("d1-instant-flat-ae-wrapper-f32-dev");
const other = vectorOf("d1-instant-flat-e-wrapper-int");

const datagram = (hex: string) => ({
  octets: Buffer.from(hex, "hex"),
  remoteAddress: "192.0.2.9",
  reply: () => undefined,
});

it("takes in what a datagram holds, one APDU or several", async () => {
  const around = new Surroundings([vector, other]);
  around.ingest.datagram(datagram(vector.hex + other.hex));
  await around.ingest.settled();
  expect(around.verdicts).toEqual(["applied", "applied"]);
});

it("a frame that is cut off does not go on in the next datagram", async () => {
  const around = new Surroundings([vector]);
  around.ingest.datagram(datagram(vector.hex.slice(0, 100)));
  around.ingest.datagram(datagram(vector.hex.slice(100)));
  around.ingest.datagram(datagram(vector.hex));
  await around.ingest.settled();
  expect(around.verdicts).toEqual(["applied"]);
  expect(new Set(around.refused)).toEqual(new Set(["malformed"]));
});

it("drops and counts what comes while too much waits for the database", async () => {
  const around = new Surroundings([vector, other], { limits: { undurableTotalBytesMax: 100 } });
  const { promise, release } = heldBack();
  around.hold = promise;
  around.ingest.datagram(datagram(vector.hex));
  await new Promise((resolve) => setImmediate(resolve));
  around.ingest.datagram(datagram(other.hex));
  release();
  await around.ingest.settled();
  expect(around.refused).toEqual(["rate_limited"]);
  expect(around.verdicts).toEqual(["applied"]);
});

it("drops and counts what comes while too many datagrams wait for look-ups", async () => {
  const around = new Surroundings([], { limits: { undurableTotalBytesMax: 20_000 } });
  const { promise, release } = heldBack();
  const forged = (name: string) =>
    datagram(wire.wrapped(wire.notification(1, wire.text(name))).toString("hex"));
  around.slowLookUps.push(...Array<Promise<void>>(1_000).fill(promise));
  for (let i = 0; i < 1_000; i++) around.ingest.datagram(forged(`stranger ${i}`));
  const dropped = around.refused.filter((reason) => reason === "rate_limited").length;
  release();
  await around.ingest.settled();
  // Each counts for 2 KiB and its octets: some ten fit.
  expect(dropped).toBeGreaterThan(980);
  expect(around.refused).toHaveLength(1_000);
});

it("lets no plain push wait for the look-ups of another from the same address", async () => {
  const around = new Surroundings([]);
  const { promise, release } = heldBack();
  around.slowLookUps.push(promise);
  for (const name of ["first", "second"]) {
    around.ingest.datagram(datagram(wire.wrapped(wire.notification(1, wire.text(name))).toString("hex")));
  }
  await expect.poll(() => around.refused).toEqual(["unknown_meter"]);
  release();
  await around.ingest.settled();
  expect(around.refused).toEqual(["unknown_meter", "unknown_meter"]);
});
