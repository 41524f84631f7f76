import { execFile } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { exactly, printFigures } from "../faults/figures.ts";
import { WRONG_POLICIES, type WrongPolicy } from "./planted.ts";
import type { RunReport } from "./run.ts";

const DIST = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const COPY = resolve(DIST, "../node_modules/.cache/simulation/dist");
const USAGE = `npm run test:simulation -- [--seeds N] [--from N] [--seed N] [--planted]
  --seeds     how many; 60 without it, 5000 for a long run
  --seed      one alone, with all that it violates
  --planted   plant wrong policies, one after another, and look whether they are found
`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    planted: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** Of a wrong policy; the rarest took 515. */
const PLANTED_SEEDS = 1_500;

/** A run that never ends is a failure as well. */
const TIMEOUT_MS = 3_600_000;

async function run(tree: string, from: number, count: number, failuresMax: number): Promise<RunReport> {
  const args = [join(tree, "test/simulation/run.js"), from, count, failuresMax].map(String);
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 26,
  });
  return JSON.parse(stdout) as RunReport;
}

/** Seeds shared out over the processors. */
async function simulateSeeds(from: number, count: number): Promise<boolean> {
  const shares = Math.min(availableParallelism(), count);
  const size = Math.ceil(count / shares);
  const started = performance.now();
  const reports = await Promise.all(
    Array.from({ length: shares }, (_, n) => run(DIST, from + n * size, Math.min(size, count - n * size), 5)),
  );
  const sum = (of: (report: RunReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  for (const { seed, violations } of reports.flatMap(({ failures }) => failures)) {
    process.stdout.write(`seed ${seed}:\n${violations.map((text) => `  ${text}\n`).join("")}`);
  }
  return printFigures("simulation", [
    { name: "seeds", value: sum(({ seeds }) => seeds) },
    { name: "pushes", value: sum(({ pushes }) => pushes) },
    { name: "kills", value: sum(({ kills }) => kills) },
    { name: "virtual time", value: sum(({ virtualMs }) => virtualMs) / 3_600_000, unit: "h" },
    { name: "duration", value: (performance.now() - started) / 1_000, unit: "s" },
    exactly(
      "seeds with loss, duplicates, replays, early acknowledgements or stuck frames",
      sum(({ failures }) => failures.length),
      0,
    ),
  ]);
}

async function findPlanted(from: number, count: number): Promise<boolean> {
  let found = 0;
  for (const policy of WRONG_POLICIES) {
    plant(policy);
    const { failures, seeds } = await run(COPY, from, count, 1);
    const [first] = failures;
    if (first !== undefined) found++;
    const how =
      first === undefined
        ? "NOT FOUND"
        : `seed ${first.seed}, after ${seeds}: ${first.violations[0]!.split("\n")[0]}`;
    process.stdout.write(`${policy.name}\n  ${how}\n`);
  }
  return printFigures("wrong policies", [exactly("found", found, WRONG_POLICIES.length)]);
}

/** A copy of the compiled program with one change. */
function plant({ file, find, replace }: WrongPolicy): void {
  rmSync(COPY, { recursive: true, force: true });
  cpSync(DIST, COPY, { recursive: true });
  for (const folder of ["obis", "package.json"])
    cpSync(join(DIST, "..", folder), join(COPY, "..", folder), { recursive: true });
  const path = join(COPY, file);
  const text = readFileSync(path, "utf8");
  if (text.split(find).length !== 2) throw new Error(`${file} doesn't have this in one place: ${find}`);
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
}

if (values.help) process.stdout.write(USAGE);
else {
  const from = Number(values.seed ?? values.from);
  const count = Number(values.seed !== undefined ? 1 : (values.seeds ?? 60));
  if (
    !(await (values.planted
      ? findPlanted(from, Number(values.seeds ?? PLANTED_SEEDS))
      : simulateSeeds(from, count)))
  )
    process.exitCode = 1;
}
