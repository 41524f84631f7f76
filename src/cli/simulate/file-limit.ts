import { readFileSync } from "node:fs";
import { EXIT, UserError } from "../../exit.ts";
import type { FleetArguments } from "./fleet-options.ts";

/** What a process has open besides: libraries, pipes, its database. */
const OTHERS = 64;

/** Files and sockets that this process may have open; null where the system doesn't say. */
export function openFilesMax(): number | null {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}

/** @throws UserError where the fleet would have more connections than this process may have: meters would fail one by one, in mid-run */
export function requireFiles(
  { meters, connection, transport, listen }: FleetArguments,
  max: number | null,
): void {
  const standing = transport !== "serial" && connection === "standing" ? meters : 0;
  const needed = standing + (listen === undefined ? 0 : meters) + OTHERS;
  if (max === null || needed <= max) return;
  const habit = standing === 0 ? "" : ", or take --connection per-push";
  throw new UserError(
    EXIT.unavailable,
    `--meters ${meters} needs ${needed} open files, and this process may have ${max}: raise the limit (ulimit -n ${needed}; the head-end needs as many)${habit}`,
  );
}
