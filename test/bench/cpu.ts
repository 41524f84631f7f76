import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import type { Database } from "../../src/storage/database.ts";

/** Clock ticks a second of /proc, which Linux has fixed for user space. */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  readonly parent: number;
  readonly own: number;
  /** Of children that have ended. */
  readonly children: number;
}

/** Fields 4 and 14 to 17 of /proc/PID/stat; what stands before them is a name in brackets. */
function timesOf(pid: number): ProcessTimes | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const field = (number: number) => Number(fields[number - 3]);
    return { parent: field(4), own: field(14) + field(15), children: field(16) + field(17) };
  } catch {
    return null;
  }
}

/** The postmaster of a server on this machine, ours or another's: the parent of what serves a connection. */
export async function postmasterOf(database: Database): Promise<number> {
  const [row] = await database.query("SELECT pg_backend_pid() AS pid");
  const times = timesOf(row!["pid"]);
  if (times === null) throw new Error("the database must be on this machine for its CPU to be measured");
  return times.parent;
}

/** Processor seconds that a PostgreSQL server has used so far: the postmaster, its processes, and those that have ended. */
export function serverCpuSeconds(postmaster: number): number {
  let ticks = 0;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const times = timesOf(pid);
    if (times === null) continue;
    if (pid === postmaster) ticks += times.own + times.children;
    else if (times.parent === postmaster) ticks += times.own;
  }
  return ticks / TICKS_PER_SECOND;
}

export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Processor seconds that anybody has used on this machine so far. */
export function machineCpuSeconds(): number {
  const busy = cpus().map(({ times: { user, nice, sys, irq } }) => user + nice + sys + irq);
  return busy.reduce((sum, each) => sum + each, 0) / 1_000;
}
