import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { VERSION } from "../version.ts";
import { catalogueFolder } from "./catalogue-folder.ts";

/** Of what the catalogue is read from, and of who reads it: a small part of what reading it costs. */
export function catalogueDigest(folder: string = catalogueFolder()): string {
  const digest = createHash("sha256").update(VERSION);
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".csv"),
  );
  for (const name of names.sort()) digest.update(`\0${name}\0`).update(readFileSync(join(folder, name)));
  return digest.digest("hex");
}
