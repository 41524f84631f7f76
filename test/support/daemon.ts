import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** As it was built, whether this file was built too or not. */
export const MAIN = ["../../src/main.js", "../../dist/src/main.js"]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path) => existsSync(path));

export interface DaemonProcess {
  readonly child: ChildProcess;
  /** Port of the first TCP listener. */
  readonly port: number;
  /** `http://127.0.0.1:…` */
  readonly http: string;
  /** Lines of its log so far. */
  readonly log: readonly LogLine[];
  /** Resolves with the first line, past or to come, that `matches`. */
  logged(matches: (line: LogLine) => boolean): Promise<LogLine>;
  /** Sends a signal and resolves with the exit code. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/** Starts `hes serve` as a process of its own, on ports that the system chooses, and waits until it says that it is ready. */
export async function startDaemonProcess(
  environment: Record<string, string>,
  /** What runs it, in front of it: a tracer. */
  under: readonly string[] = [],
): Promise<DaemonProcess> {
  if (MAIN === undefined) throw new Error("dist/src/main.js is missing: npm run build (npm test does it)");
  const [command, ...rest] = [...under, process.execPath, MAIN, "serve"];
  const child = spawn(command!, rest, {
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      HES_LISTEN__TCP: "127.0.0.1:0",
      HES_HTTP__LISTEN: "127.0.0.1:0",
      HES_LOG__FORMAT: "json",
      ...environment,
    },
    stdio: ["ignore", "inherit", "pipe"],
  });
  const log: LogLine[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stderr! }).on("line", (text) => {
    log.push(text.startsWith("{") ? (JSON.parse(text) as LogLine) : { msg: text });
    for (const look of waiting) look();
  });
  const ended = once(child, "exit");
  const logged = (matches: (line: LogLine) => boolean) =>
    new Promise<LogLine>((resolve, reject) => {
      const look = () => {
        const found = log.find(matches);
        if (!found) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      void ended.then(() => {
        look();
        reject(
          new Error(`the daemon ended; its log:\n${log.map((line) => JSON.stringify(line)).join("\n")}`),
        );
      });
    });
  const ready = await logged(({ msg }) => msg === "ready");
  const tcp = (ready["listening"] as string[]).find((address) => address.startsWith("tcp "))!;
  return {
    child,
    port: Number(tcp.slice(tcp.lastIndexOf(":") + 1)),
    http: String(ready["http"]),
    log,
    logged,
    end: async (signal) => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      child.kill(signal);
      const [code] = (await ended) as [number | null];
      return code;
    },
  };
}

/** Sends octets on a connection of their own and closes it. */
export async function sendOnce(port: number, octets: Buffer): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1" });
  await once(socket, "connect");
  const closed = once(socket, "close");
  socket.resume();
  socket.end(octets);
  await closed;
}

/** Asks until the answer is there. The pause only spares the processor; what is awaited is the answer. */
export async function eventually<T>(
  ask: () => Promise<T | null>,
  what: string,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask().catch(() => null);
    if (answer !== null) return answer;
    if (performance.now() > deadline) throw new Error(`this didn't come true in ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
