import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { type Collector, collector } from "./collector.ts";
import { ownCpuSeconds } from "./cpu.ts";

/** Long enough for several collections of what the calls leave behind. */
const ROUND_MS = 50;
const ROUNDS = 15;
/** Time for other threads to finish a collection. */
const SETTLE_MS = 10;
const WARM_UP_CALLS = 30_000;

/** What one call costs, in nanoseconds. */
export interface Cost {
  /** Processor time with the collection of all that the call leaves behind, in the best of the rounds. */
  readonly whole: number;
  /** The least time that a stretch of calls took in which nothing was collected. */
  readonly least: number;
}

/**
 * The cost of one call of each piece of work. The rounds are taken in turn, so that a noisy moment meets all of them alike, and each
 * ends with the collection of its own garbage: what an object costs is also what it costs to be rid of it, and a decipher or a buffer
 * that lives outside of V8's heap costs much more in that than in being made. Processor time and not the clock's, because others use
 * the machine too.
 */
export async function costs<Name extends string>(
  work: Record<Name, () => unknown>,
): Promise<Record<Name, Cost>> {
  const collect = collector();
  const names = Object.keys(work) as Name[];
  const rounds = {} as Record<Name, { calls: number; whole: number[]; least: number }>;
  for (const name of names) {
    const least = stretchNs(work[name], WARM_UP_CALLS);
    rounds[name] = { calls: WARM_UP_CALLS, whole: [], least };
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      const own = rounds[name];
      own.calls = Math.max(STRETCH_CALLS, Math.round((ROUND_MS * 1e6) / own.least));
      own.whole.push(await roundNs(work[name], own, collect));
    }
  }
  const cost = (name: Name): Cost => ({ whole: Math.min(...rounds[name].whole), least: rounds[name].least });
  return Object.fromEntries(names.map((name) => [name, cost(name)])) as Record<Name, Cost>;
}

/** Few enough for some stretches to pass without a collection, and between two interruptions. */
const STRETCH_CALLS = 1_000;

async function roundNs(
  work: () => unknown,
  own: { readonly calls: number; least: number },
  collect: Collector,
): Promise<number> {
  // Nothing of another round's garbage is to be paid for in this one.
  collect("major");
  await pause(SETTLE_MS);
  const before = ownCpuSeconds();
  let calls = 0;
  for (; calls < own.calls; calls += STRETCH_CALLS) {
    own.least = Math.min(own.least, stretchNs(work, STRETCH_CALLS));
  }
  collect("minor");
  // What lies outside of the heap is given back by tasks and threads of its own.
  await pause(SETTLE_MS);
  return ((ownCpuSeconds() - before) * 1e9) / calls;
}

/** Keeps the optimizer from throwing the work away. */
let sink: unknown;
export const lastResult = (): unknown => sink;

function stretchNs(work: () => unknown, calls: number): number {
  const start = performance.now();
  for (let call = 0; call < calls; call++) sink = work();
  return ((performance.now() - start) * 1e6) / calls;
}
