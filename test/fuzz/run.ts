import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type FuzzOptions, type FuzzReport, fuzz } from "./fuzz.ts";
import type { InstrumentedTree } from "./tree.ts";

/* One target, in a process of its own, in the instrumented copy: node run.js '{"target": …}' prints a report as JSON. */

export interface RunRequest {
  readonly target: string;
  readonly executions: number;
  readonly seed: number;
  readonly findingsMax: number;
  readonly timeMs: number;
  /** Only this input, in hex. */
  readonly input?: string;
}

const tree = JSON.parse(
  readFileSync(fileURLToPath(new URL("../../tree.json", import.meta.url)), "utf8"),
) as InstrumentedTree;
const counters = new Uint8Array(Math.ceil(tree.counters / 4) * 4);
Object.assign(globalThis, { [tree.global]: counters });

const request = JSON.parse(process.argv[2]!) as RunRequest;
// The instrumented modules look for their counters when they are loaded.
const { TARGETS } = await import("./targets.ts");
const target = TARGETS.find(({ name }) => name === request.target);
if (target === undefined) throw new Error(`no target ${request.target}`);

function report(): FuzzReport {
  const options: FuzzOptions = { ...request, constants: tree.constants, counters };
  if (request.input === undefined) return fuzz(target!, options);
  return fuzz({ ...target!, seeds: [Buffer.from(request.input, "hex")] }, { ...options, executions: 1 });
}

process.stdout.write(JSON.stringify(report()));
