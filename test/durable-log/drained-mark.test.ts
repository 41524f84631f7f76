import fc from "fast-check";
import { expect, test } from "vitest";
import { DrainedMark } from "../../src/durable-log/spool/drained-mark.ts";

/** The same with a set of everything that was trimmed. */
function markOf(start: number, steps: readonly { skip: boolean; sequence: number }[]): number {
  const trimmed = new Set<number>();
  let mark = start;
  for (const { skip, sequence } of steps) {
    if (skip) mark = Math.max(mark, sequence);
    else trimmed.add(sequence);
    while (trimmed.has(mark)) mark++;
  }
  return mark;
}

const SPAN = 40;

test("stands before the first that isn't trimmed, whatever the order", () => {
  const step = fc.record({
    skip: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
    sequence: fc.integer({ min: 0, max: SPAN }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 }), fc.array(step, { maxLength: 120 }), (start, steps) => {
      const mark = new DrainedMark(start);
      for (const { skip, sequence } of steps) {
        if (skip) mark.skipTo(sequence);
        else mark.trimmed(sequence);
      }
      expect(mark.sequence).toBe(markOf(start, steps));
    }),
    { numRuns: 500 },
  );
});

test("all in any order end behind the last", () => {
  const shuffled = fc.shuffledSubarray(
    Array.from({ length: SPAN }, (_, n) => n),
    { minLength: SPAN },
  );
  fc.assert(
    fc.property(shuffled, (order) => {
      const mark = new DrainedMark(0);
      for (const sequence of order) mark.trimmed(sequence);
      expect(mark.sequence).toBe(SPAN);
    }),
  );
});
