import { getHeapStatistics } from "node:v8";
import { mutate, Random } from "./mutate.ts";

/** What is fuzzed: `run` gives a value or throws a declared error, whatever the octets. */
export interface Target {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  run(octets: Buffer): void;
}

export interface Finding {
  readonly target: string;
  readonly what: string;
  readonly hex: string;
  readonly execution: number;
}

export interface FuzzReport {
  readonly target: string;
  readonly executions: number;
  readonly seconds: number;
  /** Inputs that did something new. */
  readonly corpus: number;
  /** Counters that were ever reached. */
  readonly reached: number;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly executions: number;
  readonly seed: number;
  readonly constants: readonly number[];
  /** Written by the instrumented code. */
  readonly counters: Uint8Array;
  readonly findingsMax: number;
  /** Ends a run early, in milliseconds. */
  readonly timeMs: number;
}

/** No push may cost more, in the fastest of five runs; what is longer than one may be (`limits.wrapper_payload_bytes_max`) is several. */
const COST_MS_MAX = 20;
const COST_OCTETS_MAX = 8 * 1_024 * 1_024;
const PUSH_OCTETS_MAX = 16_384;
const COST_RUNS = 5;
/** Memory is looked at where a run took this long, or an input is new: looking costs more than most runs. */
const SUSPICIOUS_MS = 2;

/** Frames of the stack that an error keeps where one is looked at. */
const FRAMES = 10;

const DECLARED = new Set([
  "DecodeError",
  "SecurityError",
  "LocalProtocolError",
  "PeerProtocolError",
  "RefusedError",
  "UnmappableError",
]);

/** Counts 1, 2, 3, 4–7, 8–15, 16–31, 32–127, 128–: a loop that goes round once more is something new only up to a point. */
const BUCKET = Uint8Array.from({ length: 256 }, (_, count) => {
  if (count < 4) return [0, 1, 2, 4][count]!;
  return count < 8 ? 8 : count < 16 ? 16 : count < 32 ? 32 : count < 128 ? 64 : 128;
});

/** Mutates inputs that did something new, for as long as it is told to; the same seed makes the same run. */
export function fuzz(target: Target, options: FuzzOptions): FuzzReport {
  const { counters, constants } = options;
  const words = new Uint32Array(counters.buffer);
  const seen = new Uint8Array(counters.length);
  const random = new Random(options.seed);
  const corpus: Buffer[] = [];
  const findings = new Map<string, Finding>();
  const started = performance.now();
  let executions = 0;

  const note = (what: string, octets: Buffer) => {
    if (!findings.has(what)) {
      findings.set(what, { target: target.name, what, hex: octets.toString("hex"), execution: executions });
    }
  };
  const execute = (octets: Buffer): void => {
    executions++;
    counters.fill(0);
    const from = performance.now();
    const foreign = foreignError(target, octets);
    const elapsedMs = performance.now() - from;
    const isNew = mark(words, counters, seen);
    if (foreign !== null) note(whereOf(target, octets), octets);
    else if (isNew) corpus.push(Buffer.from(octets));
    if (elapsedMs > SUSPICIOUS_MS || isNew)
      for (const what of costs(target, octets, elapsedMs)) note(what, octets);
  };

  // Millions of refusals are thrown, and their stacks would cost most of the time.
  Error.stackTraceLimit = 0;
  for (const seed of target.seeds) execute(seed);
  if (corpus.length === 0) corpus.push(Buffer.of(0));
  while (executions < options.executions && findings.size < options.findingsMax) {
    if (executions % 256 === 0 && performance.now() - started > options.timeMs) break;
    // Half of the time one of the newest: what was found last leads on most often.
    const newest = Math.max(1, corpus.length >> 3);
    const index = random.oneIn(2) ? random.below(corpus.length) : corpus.length - 1 - random.below(newest);
    execute(mutate(corpus[index]!, corpus[random.below(corpus.length)]!, random, constants));
  }
  return {
    target: target.name,
    executions,
    seconds: (performance.now() - started) / 1_000,
    corpus: corpus.length,
    reached: seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0),
    findings: [...findings.values()],
  };
}

/** Adds what was reached to `seen`; answers whether any of it is new. */
function mark(words: Uint32Array, counters: Uint8Array, seen: Uint8Array): boolean {
  let isNew = false;
  for (let word = 0; word < words.length; word++) {
    if (words[word] === 0) continue;
    for (let at = word * 4; at < word * 4 + 4; at++) {
      const bit = BUCKET[counters[at]!]!;
      if ((bit & ~seen[at]!) !== 0) {
        seen[at]! |= bit;
        isNew = true;
      }
    }
  }
  return isNew;
}

/** An error that is not declared; null: there was none. */
function foreignError(target: Target, octets: Buffer): Error | null {
  try {
    target.run(octets);
    return null;
  } catch (error) {
    if (!(error instanceof Error)) return new Error(`threw ${String(error)}`);
    return DECLARED.has(error.name) ? null : error;
  }
}

/** The same input once more, for where its error comes from. */
function whereOf(target: Target, octets: Buffer): string {
  Error.stackTraceLimit = FRAMES;
  const error = foreignError(target, octets);
  Error.stackTraceLimit = 0;
  if (error === null) return "an error that doesn't come a second time";
  const frame = error.stack?.split("\n").find((line) => line.includes("/src/"));
  const where =
    frame
      ?.trim()
      .replace(/\(?\S*\/src\//, "src/")
      .replace(/\)$/, "") ?? "";
  return `${error.name}: ${error.message} ${where}`.slice(0, 300);
}

/** What a run costs too much of, with errors as the daemon throws them. The fastest counts, and the one that took the least memory. */
function costs(target: Target, octets: Buffer, firstMs: number): string[] {
  Error.stackTraceLimit = FRAMES;
  const problems: string[] = [];
  const msMax = COST_MS_MAX * Math.max(1, Math.ceil(octets.length / PUSH_OCTETS_MAX));
  if (firstMs > msMax) {
    let fastest = Number.POSITIVE_INFINITY;
    for (let run = 0; run < COST_RUNS; run++) fastest = Math.min(fastest, time(target, octets));
    if (fastest > msMax) problems.push(`took more than ${msMax} ms`);
  }
  let least = memory(target, octets);
  for (let run = 1; run < COST_RUNS && least > COST_OCTETS_MAX; run++) {
    globalThis.gc?.();
    least = Math.min(least, memory(target, octets));
  }
  if (least > COST_OCTETS_MAX) problems.push(`took more than ${COST_OCTETS_MAX} octets of memory`);
  Error.stackTraceLimit = 0;
  return problems;
}

/** Milliseconds of processor: others work on this machine too. */
function time(target: Target, octets: Buffer): number {
  const from = process.cpuUsage();
  foreignError(target, octets);
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1_000;
}

/** Octets that are allocated in a run; too few where garbage is collected within it, which the young generation's size prevents. */
function memory(target: Target, octets: Buffer): number {
  const before = allocated();
  foreignError(target, octets);
  return allocated() - before;
}

function allocated(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
