import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { REFUSAL_REASONS } from "../../src/refusal.ts";
import { heldBack, Surroundings, vectorOf } from "./surroundings.ts";

/* Reasons that test/ingest/hostile.test.ts doesn't reach; each must count in the metric and stand in one aggregated event. */

const plain = vectorOf("d1-instant-flat-none-wrapper-int");

function expectRefused(around: Surroundings, reason: string, count: number): void {
  expect(around.refused).toEqual(Array(count).fill(reason));
  expect(around.securityEvents).toMatchObject([{ source: "192.0.2.1", reason, count }]);
}

it("unknown_meter: a body in clear of a meter that nobody imported", async () => {
  const around = new Surroundings([plain], { meters: [] });
  await around.send(plain.hex, plain.hex, plain.hex);
  expectRefused(around, "unknown_meter", 3);
  expect(around.committed).toEqual([]);
  expect(around.acknowledged).toBe(0);
});

it("limit: a body that is deeper than it may be", async () => {
  const around = new Surroundings([plain], { limits: { depthMax: 0 } });
  await around.send(plain.hex, plain.hex);
  expectRefused(around, "limit", 2);
  expect(around.committed).toEqual([]);
});

it("limit: a connection that a listener closed", async () => {
  const around = new Surroundings([plain]);
  for (let i = 0; i < 500; i++)
    around.ingest.refuse("192.0.2.1", "limit", "limits.connections_max is reached");
  await around.ingest.drain();
  expectRefused(around, "limit", 500);
});

it("rate_limited: datagrams while too much waits for the database", async () => {
  const around = new Surroundings([plain], { limits: { undurableTotalBytesMax: 1 } });
  const { promise, release } = heldBack();
  around.hold = promise;
  const octets = Buffer.from(plain.hex, "hex");
  const datagram = { octets, remoteAddress: "192.0.2.1", reply: () => {} };
  for (let i = 0; i < 5; i++) around.ingest.datagram(datagram);
  release();
  await around.ingest.drain();
  expectRefused(around, "rate_limited", 4);
  expect(around.committed).toHaveLength(1);
});

it("every reason of the closed list is refused for somewhere in the tests, or is one of associations", () => {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const tests = readdirSync(folder)
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => readFileSync(`${folder}${name}`, "utf8"))
    .join("\n");
  const ofAssociations = ["association_refused", "hls_failed"];
  const missing = REFUSAL_REASONS.filter((reason) => !tests.includes(`"${reason}"`));
  expect(missing.filter((reason) => !ofAssociations.includes(reason))).toEqual([]);
});
