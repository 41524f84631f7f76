import { spawn } from "node:child_process";
import type { Environment } from "./config.ts";

/** Runs systemd-notify with these arguments; told of failures, never thrown at. */
export type Notify = (args: readonly string[]) => void;

export interface ServiceManager {
  ready(status: string): void;
  status(text: string): void;
  stopping(): void;
  /** No more signs of life. */
  close(): void;
}

/**
 * Speaks to systemd where it started us with Type=notify (NOTIFY_SOCKET), and gives it a sign of life at half of WATCHDOG_USEC:
 * an event loop that hangs gives none, and is restarted. Node.js has no Unix datagram sockets, so systemd-notify speaks for us.
 */
export function serviceManager(
  environment: Environment,
  onFailure: (error: Error) => void,
  notify: Notify = systemdNotify(onFailure),
): ServiceManager {
  if (!environment["NOTIFY_SOCKET"]) {
    return { ready: () => {}, status: () => {}, stopping: () => {}, close: () => {} };
  }
  const watchdogMs = Number(environment["WATCHDOG_USEC"] ?? 0) / 1000;
  let watchdog: NodeJS.Timeout | null = null;
  return {
    ready: (status) => {
      notify(["--ready", `--status=${status}`]);
      if (watchdogMs > 0) watchdog = setInterval(() => notify(["WATCHDOG=1"]), watchdogMs / 2);
    },
    status: (text) => notify([`--status=${text}`]),
    stopping: () => notify(["STOPPING=1", "--status=finishing what was read"]),
    close: () => {
      if (watchdog) clearInterval(watchdog);
    },
  };
}

function systemdNotify(onFailure: (error: Error) => void): Notify {
  return (args) => {
    const child = spawn("systemd-notify", args, { stdio: "ignore" });
    child.once("error", onFailure);
    child.once("exit", (code) => {
      if (code !== 0) onFailure(new Error(`systemd-notify ${args[0]} ended with ${code}`));
    });
    child.unref();
  };
}
