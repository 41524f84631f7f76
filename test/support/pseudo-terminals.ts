import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Two ends of a pseudo-terminal pair: what is written to one can be read from the other. */
export interface PseudoTerminals {
  readonly paths: readonly [string, string];
  /** As when an adapter is unplugged. */
  unplug(): Promise<void>;
}

/** The same as socat does, for machines that have Python only. */
const BRIDGE = `
import os, pty, select, sys, tty
ends = [pty.openpty() for _ in range(2)]
for _, line in ends: tty.setraw(line)
for _, line in ends: print("PTY is", os.ttyname(line), file=sys.stderr, flush=True)
print("starting data transfer loop", file=sys.stderr, flush=True)
a, b = ends[0][0], ends[1][0]
while True:
    for end in select.select([a, b], [], [])[0]:
        os.write(b if end == a else a, os.read(end, 4096))
`;

const PROGRAMS: readonly (readonly [string, readonly string[]])[] = [
  ["socat", ["-d", "-d", "pty,raw,echo=0", "pty,raw,echo=0"]],
  ["python3", ["-c", BRIDGE]],
];

/** Null where the machine has no program that makes such a pair. */
export async function openPseudoTerminals(): Promise<PseudoTerminals | null> {
  for (const [program, argv] of PROGRAMS) {
    const child = spawn(program, argv, { stdio: ["ignore", "ignore", "pipe"] });
    const paths = await pathsOf(child);
    if (paths !== null) {
      return {
        paths,
        unplug: async () => {
          const gone = child.exitCode === null && child.signalCode === null ? once(child, "exit") : null;
          child.kill();
          await gone;
        },
      };
    }
  }
  return null;
}

function pathsOf(child: ChildProcess): Promise<[string, string] | null> {
  return new Promise((resolve) => {
    const paths: string[] = [];
    child.once("error", () => resolve(null));
    child.once("exit", () => resolve(null));
    createInterface({ input: child.stderr! }).on("line", (line) => {
      const path = /PTY is (\S+)/.exec(line)?.[1];
      if (path !== undefined) paths.push(path);
      // Before that, socat has yet to set the lines to raw, which throws away what was written to them.
      if (line.includes("starting data transfer loop")) resolve([paths[0]!, paths[1]!]);
    });
  });
}
