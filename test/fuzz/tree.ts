import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { COUNTERS, instrument } from "./instrument.ts";

/** What a run needs to know of an instrumented copy; stands beside it as tree.json. */
export interface InstrumentedTree {
  readonly global: string;
  readonly counters: number;
  readonly constants: readonly number[];
}

/** A change of one place in the compiled code. */
export interface Change {
  /** From the root of the compiled tree: src/dlms/… */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** What is counted; the rest is only copied. */
const COUNTED = /^src\/(dlms|ingest|mapping)\//;

/** Copies the compiled program from `dist` to `target`, with counters at its branches, and with `changes`. */
export function instrumentedCopy(dist: string, target: string, changes: readonly Change[] = []): void {
  rmSync(target, { recursive: true, force: true });
  cpSync(join(dist, "test/fuzz"), join(target, "test/fuzz"), { recursive: true });
  let counters = 0;
  const constants = new Set<number>();
  const names = readdirSync(join(dist, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".js"))
    .map((entry) => join(entry.parentPath, entry.name).slice(dist.length + 1))
    .sort();
  for (const name of names) {
    const path = join(target, name);
    mkdirSync(dirname(path), { recursive: true });
    const text = changed(readFileSync(join(dist, name), "utf8"), name, changes);
    if (!COUNTED.test(name)) {
      writeFileSync(path, text);
      continue;
    }
    const counted = instrument(text, counters);
    counters += counted.counters;
    for (const value of counted.constants) constants.add(value);
    writeFileSync(path, counted.text);
  }
  const tree: InstrumentedTree = { global: COUNTERS, counters, constants: [...constants] };
  writeFileSync(join(target, "tree.json"), JSON.stringify(tree));
}

function changed(text: string, name: string, changes: readonly Change[]): string {
  let result = text;
  for (const { file, find, replace } of changes) {
    if (file !== name) continue;
    if (result.split(find).length !== 2) throw new Error(`${name} doesn't have this in one place: ${find}`);
    result = result.replace(find, () => replace);
  }
  return result;
}
