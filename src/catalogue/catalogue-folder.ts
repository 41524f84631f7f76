import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder `obis` beside the sources or beside what was built of them. */
export function catalogueFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "obis", "meter-types.csv"))) {
    const above = dirname(folder);
    if (above === folder) throw new Error(`the folder obis was not found above ${import.meta.url}`);
    folder = above;
  }
  return join(folder, "obis");
}
