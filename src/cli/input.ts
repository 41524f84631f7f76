import { readFileSync } from "node:fs";
import { EXIT, UserError } from "../exit.ts";

/** The text of a file, or of standard input for `-`. */
export function readText(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    throw new UserError(EXIT.data, `${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
}
