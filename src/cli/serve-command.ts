import { Command } from "commander";
import { loadConfig, processEnvironment } from "../config.ts";
import { startDaemon } from "../daemon.ts";
import { setEngineFlags } from "../engine-flags.ts";
import { EXIT } from "../exit.ts";
import { createLog, type Log } from "../log.ts";
import { serviceManager } from "../systemd.ts";
import type { Program } from "./program.ts";
import { watchSignals } from "./signals.ts";

export function serveCommand(program: Program): Command {
  return new Command("serve")
    .description(
      "Run the daemon: listen, store, answer health and metrics. SIGTERM ends it when what was read is stored",
    )
    .action(async () => {
      const { config } = loadConfig(program.configFile());
      const log = createLog(config.log);
      endOnFault(log);
      setEngineFlags();
      const signals = watchSignals((signal) =>
        log.warn({ signal }, "ending at once; what isn't stored was not acknowledged"),
      );
      const manager = serviceManager(processEnvironment(), (error) =>
        log.warn({ err: error }, "systemd can't be told; is systemd-notify there?"),
      );
      const starting = startDaemon(config, log);
      const early = await Promise.race([starting.then(() => null), signals.first]);
      const daemon = await starting;
      if (early === null) {
        const { addresses } = daemon.listeners;
        log.info({ listening: addresses, http: daemon.httpAddress }, "ready");
        manager.ready(`listening on ${addresses.join(", ") || "nothing"}`);
      }
      const signal = early ?? (await signals.first);
      log.info({ signal }, "stopping");
      manager.stopping();
      await daemon.stop();
      manager.close();
      signals.close();
    });
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
