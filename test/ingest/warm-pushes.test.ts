import { expect, it } from "vitest";
import type { DrainedPush } from "../../src/ingest/storing.ts";
import { WarmPushes } from "../../src/ingest/warm-pushes.ts";

const pushes = Array.from({ length: 3_000 }, (_, position) => ({ position }) as unknown as DrainedPush);

it("each push is found at its position, and none where there is none, however many were taken before", () => {
  const warm = new WarmPushes();
  // Every third position is of a push that wasn't mapped.
  const isMapped = (position: number) => position % 3 !== 0;
  const add = (from: number, to: number) => {
    for (let at = from; at < to; at++) if (isMapped(at)) warm.add(at, pushes[at]!);
  };
  add(0, 2_000);
  for (let at = 0; at < 1_000; at++) expect(warm.take(at)).toBe(isMapped(at) ? pushes[at] : undefined);
  add(2_000, 3_000);
  for (let at = 1_000; at < 3_000; at++) expect(warm.take(at)).toBe(isMapped(at) ? pushes[at] : undefined);
  expect(warm.take(3_000)).toBeUndefined();
});

it("what is passed over is taken out: the log holds nothing there that can be read", () => {
  const warm = new WarmPushes();
  for (const at of [1, 2, 4]) warm.add(at, pushes[at]!);
  expect(warm.take(3)).toBeUndefined();
  expect(warm.take(2)).toBeUndefined();
  expect(warm.take(4)).toBe(pushes[4]);
});
