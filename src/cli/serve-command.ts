import { Command } from "commander";
import { loadConfig, processEnvironment } from "../config.ts";
import { type Daemon, startDaemon } from "../daemon.ts";
import { EXIT } from "../exit.ts";
import { createLog, type Log } from "../log.ts";
import { serviceManager } from "../systemd.ts";
import type { Program } from "./program.ts";

export function serveCommand(program: Program): Command {
  return new Command("serve")
    .description(
      "Run the daemon: listen, store, answer health and metrics; SIGTERM ends it after what was read is stored",
    )
    .action(async () => {
      const { config } = loadConfig(program.configFile());
      const log = createLog(config.log);
      const signals = watchSignals(log);
      endOnFault(log);
      const manager = serviceManager(processEnvironment(), (error) =>
        log.warn({ err: error }, "systemd can't be told; is systemd-notify there?"),
      );
      const daemon = await startDaemon(config, log);
      const listening = daemon.listeners.addresses.join(", ") || "nothing";
      log.info({ listening: daemon.listeners.addresses, http: daemon.httpAddress }, "ready");
      manager.ready(`listening on ${listening}`);
      const signal = await signals.first;
      log.info({ signal }, "stopping");
      manager.stopping();
      await stop(daemon, log);
      manager.close();
    });
}

async function stop(daemon: Daemon, log: Log): Promise<void> {
  try {
    await daemon.stop();
  } catch (error) {
    log.error({ err: error }, "stopping went wrong");
    throw error;
  }
}

/** The first SIGTERM or SIGINT ends in order, the second at once. */
export function watchSignals(log: Log): { readonly first: Promise<string> } {
  let count = 0;
  const first = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        count++;
        if (count === 1) return resolve(signal);
        log.warn({ signal }, "ending at once; what was not stored is not acknowledged and comes again");
        process.exit(EXIT.unavailable);
      });
    }
  });
  return { first };
}

/** A fault that nothing caught: its state is unknown, so the process ends, and what started it starts it again. */
function endOnFault(log: Log): void {
  const end = (error: unknown) => {
    log.fatal({ err: error }, "a fault of the program");
    process.exit(EXIT.internal);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
