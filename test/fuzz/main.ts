import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import type { FuzzReport } from "./fuzz.ts";
import { PLANTED } from "./planted.ts";
import type { RunRequest } from "./run.ts";
import { type Change, instrumentedCopy } from "./tree.ts";

const DIST = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const CACHE = resolve(DIST, "../node_modules/.cache/fuzz");
const TARGET_NAMES = [
  "stream",
  "hdlc",
  "blocks",
  "data",
  "apdu",
  "acse",
  "protection",
  "notification",
  "server",
  "client",
];
/**
 * The young generation is larger than what a run may allocate, so that memory can be measured; and what a buffer held before decides no branch:
 * the same seed makes the same run.
 */
const NODE_OPTIONS = ["--expose-gc", "--max-semi-space-size=64", "--zero-fill-buffers"];
const USAGE = `npm run test:fuzz -- [--executions N] [--seed N] [--target NAME] [--input HEX] [--planted] [--seconds N]
  --executions   over all targets together; 60000 without it, 10000000 for a long run
  --target       one of ${TARGET_NAMES.join(", ")}
  --input        run one input of --target again
  --planted      plant ten bugs, one after another, and look whether they are found
`;

const { values } = parseArgs({
  options: {
    executions: { type: "string", default: "60000" },
    seed: { type: "string" },
    target: { type: "string" },
    input: { type: "string" },
    planted: { type: "boolean", default: false },
    seconds: { type: "string", default: "3600" },
    help: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));

/** How much longer than its time a run may take before it counts as one that never ends. */
const PATIENCE_MS = 60_000;

/** A target in a process of its own: what never ends, or takes all memory, ends only that. */
async function run(directory: string, request: RunRequest): Promise<FuzzReport> {
  const started = performance.now();
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...NODE_OPTIONS, join(directory, "test/fuzz/run.js"), JSON.stringify(request)],
      { maxBuffer: 64 * 1_024 * 1_024, timeout: request.timeMs + PATIENCE_MS, killSignal: "SIGKILL" },
    );
    return JSON.parse(stdout) as FuzzReport;
  } catch (error) {
    const { killed, stderr, message } = error as Error & { killed?: boolean; stderr?: string };
    const what = killed ? "an input never ended" : `the process ended: ${reasonIn(stderr || message)}`;
    const { target, executions } = request;
    const finding = { target, what, hex: "", execution: executions };
    const seconds = (performance.now() - started) / 1_000;
    return { target, executions, seconds, corpus: 0, reached: 0, findings: [finding] };
  }
}

/** What Node.js prints of an end: the error and where, not the line with its own version that stands last. */
function reasonIn(text: string): string {
  const lines = text.split("\n").map((one) => one.trim());
  const error = lines.find((one) => /^(\w*Error\b|FATAL ERROR)/.test(one)) ?? lines.find((one) => one !== "");
  const where = lines.find((one) => one.startsWith("at "));
  return [error, where].filter((one) => one !== undefined).join(" ");
}

function copy(name: string, changes: readonly Change[] = []): string {
  const directory = join(CACHE, name);
  instrumentedCopy(DIST, directory, changes);
  return directory;
}

const line = ({ target, executions, seconds, corpus, reached, findings }: FuzzReport) =>
  `${target.padEnd(13)}${String(executions).padStart(10)} executions ${seconds.toFixed(1).padStart(7)} s  ` +
  `${String(Math.round(executions / seconds)).padStart(7)}/s  corpus ${String(corpus).padStart(5)}  branches ${String(reached).padStart(5)}  findings ${findings.length}\n`;

async function fuzzAll(names: readonly string[], executions: number): Promise<boolean> {
  const directory = copy("plain");
  let findings = 0;
  let total = 0;
  for (const target of names) {
    const report = await run(directory, {
      ...{ target, executions: Math.ceil(executions / names.length), seed, findingsMax: 5 },
      ...{
        timeMs: Number(values.seconds) * 1_000,
        ...(values.input === undefined ? {} : { input: values.input }),
      },
    });
    process.stdout.write(line(report));
    for (const { what, hex, execution } of report.findings) {
      process.stdout.write(
        `  ${what}\n    at execution ${execution}: npm run test:fuzz -- --target ${target} --input ${hex.slice(0, 2_000)}\n`,
      );
    }
    findings += report.findings.length;
    total += report.executions;
  }
  process.stdout.write(`${total} executions, seed ${seed}: ${findings} findings\n`);
  return findings === 0;
}

/** How many executions a planted bug has until it must have been found. */
const PLANTED_EXECUTIONS = 400_000;
const PLANTED_MIN = 9;

async function fuzzPlanted(): Promise<boolean> {
  let found = 0;
  for (const { name, target, ...change } of PLANTED) {
    const directory = copy("planted", [change]);
    const report = await run(directory, {
      ...{ target, executions: PLANTED_EXECUTIONS, seed, findingsMax: 1, timeMs: 120_000 },
    });
    const [finding] = report.findings;
    if (finding !== undefined) found++;
    const outcome =
      finding === undefined
        ? `NOT FOUND in ${report.executions}`
        : `found at ${finding.execution}: ${finding.what}`;
    process.stdout.write(`${name}: ${outcome}\n`);
  }
  process.stdout.write(`${found} of ${PLANTED.length} planted bugs found, seed ${seed}\n`);
  return found >= PLANTED_MIN;
}

async function main(): Promise<boolean> {
  if (values.help) {
    process.stdout.write(USAGE);
    return true;
  }
  if (!existsSync(join(DIST, "src/main.js"))) throw new Error("dist is missing: npm run build");
  if (values.target !== undefined && !TARGET_NAMES.includes(values.target)) throw new Error(USAGE);
  if (values.planted) return fuzzPlanted();
  return fuzzAll(values.target === undefined ? TARGET_NAMES : [values.target], Number(values.executions));
}

process.exitCode = (await main()) ? 0 : 1;
