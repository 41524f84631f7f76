import { expect, it, vi } from "vitest";
import { boundUnfinished, type Holder } from "../../src/ingest/unfinished.ts";
import { Surroundings, vectorOf } from "./surroundings.ts";

const plain = vectorOf("d1-instant-flat-none-wrapper-int");

/** A connection that has begun so much and, where `isIdentified`, is a meter's. */
function holder(unfinishedBytes: number, isIdentified = false) {
  const ended: string[] = [];
  return { unfinishedBytes, isIdentified, ended, hangUp: (reason: string) => void ended.push(reason) };
}
const hungUpOn = (holders: readonly (Holder & { ended: string[] })[], bytesMax: number) => {
  boundUnfinished(holders, bytesMax);
  return holders.map(({ ended }) => ended.length);
};

it("hangs up on nobody while there is room", () => {
  expect(hungUpOn([holder(50), holder(0), holder(50)], 100)).toEqual([0, 0, 0]);
});

it("hangs up on those that hold the most, strangers before meters, and on no more than is needed", () => {
  expect(hungUpOn([holder(40), holder(60), holder(900, true), holder(0)], 960)).toEqual([0, 1, 0, 0]);
  expect(hungUpOn([holder(40), holder(60), holder(900, true), holder(800, true)], 900)).toEqual([1, 1, 1, 0]);
});

/** Block `number` of a general block transfer of which more follow, in a wrapper: Green Book 10.2.4. */
function block(number: number, octets: number): Buffer {
  const data = Buffer.alloc(octets, 0x41);
  const apdu = Buffer.concat([Buffer.from([0xe0, 0x40, 0, number, 0, 0, octets]), data]);
  const header = Buffer.from("0001000100400000", "hex");
  header.writeUInt16BE(apdu.length, 6);
  return Buffer.concat([header, apdu]);
}

it("a crowd that ends nothing is hung up on until the rest fits, which counts as limit; a meter is heard meanwhile", async () => {
  const around = new Surroundings([plain], { limits: { undurableTotalBytesMax: 65_536 } });
  const crowd = Array.from({ length: 40 }, (_, n) => around.connect(`198.51.100.${n}`));
  // 30 blocks of 100 octets each, and of a few octets: these cost memory, too.
  for (const [n, each] of crowd.entries()) {
    for (let number = 1; number <= 30; number++) each.receive(block(number, n % 2 === 0 ? 100 : 1));
  }
  const meter = around.connect();
  meter.receive(plain.hex);
  const open = () => crowd.filter(({ closed }) => !closed).length;
  await vi.waitFor(() => expect(open()).toBeLessThan(11), 10_000);
  expect(open()).toBeGreaterThan(5);
  expect(meter.closed).toBe(false);
  await around.ingest.drain();
  expect(around.verdicts).toContain("applied");
  expect(around.refused.filter((reason) => reason === "limit")).toHaveLength(40 - open());
});
