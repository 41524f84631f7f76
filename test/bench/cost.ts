import { performance } from "node:perf_hooks";

/** Short enough to fall between two interruptions on a machine that others use too. */
const ROUND_MS = 5;
const ROUNDS = 120;
const WARM_UP_CALLS = 30_000;

/**
 * Nanoseconds of one call of each piece of work: the best of many short rounds, which are taken in turn so that a noisy moment
 * meets all of them alike.
 */
export function costsNs<Name extends string>(work: Record<Name, () => unknown>): Record<Name, number> {
  const names = Object.keys(work) as Name[];
  const best = {} as Record<Name, number>;
  for (const name of names) best[name] = roundNs(work[name], WARM_UP_CALLS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      const calls = Math.max(1, Math.round((ROUND_MS * 1e6) / best[name]));
      best[name] = Math.min(best[name], roundNs(work[name], calls));
    }
  }
  return best;
}

/** Keeps the optimizer from throwing the work away. */
let sink: unknown;
export const lastResult = (): unknown => sink;

function roundNs(work: () => unknown, calls: number): number {
  const start = performance.now();
  for (let call = 0; call < calls; call++) sink = work();
  return ((performance.now() - start) * 1e6) / calls;
}
