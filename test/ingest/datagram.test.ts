import { expect, it } from "vitest";
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
