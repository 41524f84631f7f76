import { readFileSync } from "node:fs";

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
export function processIdentity(pid: number): string {
  return `${pid} ${statFields(pid)?.[19] ?? ""}`.trim();
}

/** Whether the process that `identity` was made of lives and is another than this one; its pid, or null. */
export function otherLiving(identity: string): number | null {
  const pid = Number(identity.split(" ")[0]);
  return pid > 0 && pid !== process.pid && isAlive(pid) && processIdentity(pid) === identity ? pid : null;
}
