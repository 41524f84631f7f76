import { type Outcome, simulate } from "./simulate.ts";

/*
 * Seeds one after another, in a process of their own: `node run.js FROM COUNT FAILURES_MAX` prints what came of them as JSON.
 */

export interface RunReport {
  readonly seeds: number;
  readonly pushes: number;
  readonly kills: number;
  readonly virtualMs: number;
  readonly failures: readonly Outcome[];
}

const [from = 1, count = 1, failuresMax = 1] = process.argv.slice(2).map(Number);
const failures: Outcome[] = [];
let seeds = 0;
let pushes = 0;
let kills = 0;
let virtualMs = 0;
// What a planted policy breaks may be thrown where nobody waits for it.
let thrown: string | null = null;
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => {
    thrown ??= String((error as Error)?.stack ?? error);
  });
}
for (let seed = from; seed < from + count && failures.length < failuresMax; seed++) {
  const outcome = await simulate(seed);
  seeds++;
  pushes += outcome.pushes;
  kills += outcome.kills;
  virtualMs += outcome.virtualMs;
  const violations = thrown === null ? outcome.violations : [...outcome.violations, `thrown: ${thrown}`];
  thrown = null;
  if (violations.length > 0) failures.push({ ...outcome, violations });
}
const report: RunReport = { seeds, pushes, kills, virtualMs, failures };
process.stdout.write(JSON.stringify(report), () => process.exit(0));
