import { readFileSync } from "node:fs";
import { EXIT, UserError } from "../exit.ts";

/** The text of a file, or of standard input for `-`. */
export function readText(path: string): string {
  return readOctets(path).toString("utf8");
}

/** The octets of a file, or of standard input for `-`. */
export function readOctets(path: string): Buffer {
  try {
    return readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    throw new UserError(EXIT.data, `${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
}
