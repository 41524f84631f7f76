import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's directory: where obis/ and migrations/ are, both in a clone and compiled below dist/. */
export const PACKAGE_ROOT = packageRoot(dirname(fileURLToPath(import.meta.url)));

export const VERSION: string = (
  JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }
).version;

function packageRoot(folder: string): string {
  // From src/ the root is one level up, from dist/src/ two.
  return existsSync(join(folder, "package.json")) ? folder : packageRoot(dirname(folder));
}
