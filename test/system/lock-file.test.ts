// `npm ci` refuses a lock file that leaves out a package which another one names, optional ones for other platforms included; that
// happens where the registry that the file was made against didn't carry them all.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

interface LockedPackage {
  optionalDependencies?: Record<string, string>;
  engines?: { node?: string };
}

const lock = JSON.parse(readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8")) as {
  packages: Record<string, LockedPackage>;
};

test("the lock file holds every package for every platform, so that npm ci takes it", () => {
  const missing: string[] = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      const nested = `${path}/node_modules/${name}`;
      if (!(`node_modules/${name}` in lock.packages || nested in lock.packages)) missing.push(name);
    }
  }
  expect(missing).toEqual([]);
});

test("no package asks for a newer Node than the project does", () => {
  const newer = Object.entries(lock.packages)
    .filter(([, entry]) => /^>= ?2[1-9]/.test(entry.engines?.node ?? ""))
    .map(([path]) => path);
  expect(newer).toEqual([]);
});
