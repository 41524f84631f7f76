import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { otherLiving, processIdentity } from "../process-identity.ts";

const ownerFile = (home: string) => join(home, "owner.pid");

/** From now on it is this process that stops the server. */
export async function takeOwnership(home: string): Promise<void> {
  await writeFile(ownerFile(home), `${processIdentity(process.pid)}\n`);
}

/** Whether another living daemon started this server, so that we use it but neither stop nor restart it. */
export async function ownedByAnother(home: string): Promise<boolean> {
  const text = (await readFile(ownerFile(home), "utf8").catch(() => "")).trim();
  return otherLiving(text) !== null;
}
