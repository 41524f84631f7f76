import { appendFileSync, readFileSync } from "node:fs";
import promises, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename } from "node:path";
import { type DaemonFaults, FAULTS_FILE, FAULTS_SIGNAL, FAULTS_TAKEN, NO_FAULTS } from "./fault-plan.ts";

/*
 * Loaded into a daemon before everything else (node --import): a disk below its spool and a clock that can be made to fail. What of the
 * spool's files is on the disk for good stands in a journal, so that a power cut can take away the rest.
 */

const plan = process.env[FAULTS_FILE]!;
let faults: DaemonFaults = NO_FAULTS;

process.on(FAULTS_SIGNAL, () => {
  faults = JSON.parse(readFileSync(plan, "utf8")) as DaemonFaults;
  process.stderr.write(`${JSON.stringify({ msg: FAULTS_TAKEN, number: faults.number })}\n`);
});

const refused = (code: string, text: string, call: string) =>
  Object.assign(new Error(`${code}: ${text}, ${call}`), { code, syscall: call });
const noSpace = (call: string) => refused("ENOSPC", "no space left on device", call);

/** Takes one of the times that a fault happens; false: it is over. */
function happens(kind: DaemonFaults["disk"]): boolean {
  if (faults.disk !== kind || faults.times === 0) return false;
  faults = { ...faults, times: faults.times - 1 };
  return true;
}

function putUnder(handle: FileHandle, name: string): void {
  const write = handle.write.bind(handle) as (
    octets: Buffer,
    ...rest: number[]
  ) => ReturnType<typeof handle.write>;
  const datasync = handle.datasync.bind(handle);
  let written = 0;
  /** After one failure the system has forgotten what was not written: a sync that succeeds later says nothing of it. */
  let hasFailed = false;
  const replacement = {
    write: async (octets: Buffer, offset: number, length: number, at: number) => {
      if (happens("full on write")) {
        // What fits is written.
        await write(octets, offset, Math.floor(length / 2), at);
        throw noSpace("write");
      }
      const done = await write(octets, offset, length, at);
      written = Math.max(written, at + done.bytesWritten);
      return done;
    },
    datasync: async () => {
      const before = written;
      if (faults.disk === "slow sync") await new Promise((resolve) => setTimeout(resolve, faults.slowMs));
      const full = happens("full on sync");
      if (full || happens("failing sync")) {
        hasFailed = true;
        throw full ? noSpace("fdatasync") : refused("EIO", "i/o error", "fdatasync");
      }
      await datasync();
      if (!hasFailed) appendFileSync(`${plan}.synced`, `${name} ${before}\n`);
    },
  };
  Object.assign(handle, replacement);
}

const { open } = promises;
Object.assign(promises, {
  open: async (...all: Parameters<typeof open>) => {
    const handle = await open(...all);
    const name = basename(String(all[0]));
    if (name.endsWith(".spool") && all[1] !== "r") putUnder(handle, name);
    return handle;
  },
});
syncBuiltinESMExports();

const RealDate = Date;
const realNow = Date.now;
const now = () => realNow() + faults.clockMs;
Object.assign(RealDate, { now });
globalThis.Date = new Proxy(RealDate, {
  construct: (target, all, made) =>
    all.length === 0 ? Reflect.construct(target, [now()], made) : Reflect.construct(target, all, made),
  apply: (target) => new target(now()).toString(),
});
