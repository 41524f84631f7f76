import { readFileSync } from "node:fs";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { PLANTED } from "../fuzz/planted.ts";
import { WRONG_POLICIES } from "./planted.ts";

/*
 * What is planted has to be wrong for the reason that it names. A name that the code around it has no longer is wrong at once and everywhere: the
 * simulation finds it with its first seed and has shown nothing.
 */

/** As the build makes it: changes are planted in that. */
function compiled(file: string): string {
  const source = readFileSync(new URL(`../../${file.replace(/js$/, "ts")}`, import.meta.url), "utf8");
  const { ES2023: target } = ts.ScriptTarget;
  return ts.transpileModule(source, { compilerOptions: { target, module: ts.ModuleKind.ESNext } }).outputText;
}

const CANNOT_FIND_NAME = new Set([2304, 2552, 2663, 18_004]);

/** Names that the file itself doesn't declare: the platform's, and mistakes. */
function foreignNames(text: string): Set<string> {
  const options = { allowJs: true, checkJs: true, noLib: true, noResolve: true, noEmit: true };
  const host = ts.createCompilerHost(options);
  const file = ts.createSourceFile("planted.js", text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.JS);
  host.getSourceFile = (name) => (name === "planted.js" ? file : undefined);
  host.fileExists = (name) => name === "planted.js";
  const program = ts.createProgram(["planted.js"], { ...options, types: [] }, host);
  const found = program.getSemanticDiagnostics(file).filter(({ code }) => CANNOT_FIND_NAME.has(code));
  return new Set(found.map(({ start = 0, length = 0 }) => text.slice(start, start + length)));
}

describe.each([
  { what: "wrong policy", planted: WRONG_POLICIES },
  { what: "bug", planted: PLANTED },
])("a planted $what", ({ planted }) => {
  it.each(planted)("has one place, and what it needs there: $name", ({ file, find, replace }) => {
    const before = compiled(file);
    expect(before.split(find)).toHaveLength(2);
    const after = before.replace(find, () => replace);
    expect([...foreignNames(after)].filter((name) => !foreignNames(before).has(name))).toEqual([]);
  });
});
