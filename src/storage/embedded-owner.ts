import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Whether a process of that id exists, whoever it belongs to. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A child that has ended but wasn't waited for still answers signal 0; in a container without init nobody waits. */
function isZombie(pid: number): boolean {
  return statFields(pid)?.[0] === "Z";
}

/** What /proc/<pid>/stat says from the third field on; null where there is no such file. */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** Pid and, where the system tells, start time in ticks: a pid alone may be somebody else's by now. */
function identity(pid: number): string {
  return `${pid} ${statFields(pid)?.[19] ?? ""}`.trim();
}

const ownerFile = (home: string) => join(home, "owner.pid");

/** From now on it is this process that stops the server. */
export async function takeOwnership(home: string): Promise<void> {
  await writeFile(ownerFile(home), `${identity(process.pid)}\n`);
}

/** Whether another living daemon started this server, so that we use it but neither stop nor restart it. */
export async function ownedByAnother(home: string): Promise<boolean> {
  const text = (await readFile(ownerFile(home), "utf8").catch(() => "")).trim();
  const pid = Number(text.split(" ")[0]);
  return pid > 0 && pid !== process.pid && isAlive(pid) && identity(pid) === text;
}
