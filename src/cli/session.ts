import { loadConfig } from "../config.ts";
import { openConfiguredDatabase, requireMigrated } from "../configured-database.ts";
import { openKeyRing, requireKek } from "../configured-keys.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import { createLog, type Log } from "../log.ts";
import type { Config } from "../settings.ts";
import type { Database } from "../storage/database.ts";
import type { Program } from "./program.ts";

/** What a command that works on the database gets. */
export interface Session {
  readonly config: Config;
  readonly database: Database;
  readonly log: Log;
  /**
   * Reads the key-encryption key; of a new installation it is made. Only for commands that need keys.
   * Rejects with UserError where it isn't there and something is sealed.
   */
  ring(): Promise<KeyRing>;
}

/** Connections a command may use: it does one thing after the other. */
const POOL_MAX = 3;

/** Opens the configured database, migrates it where it is empty, runs `work`, and closes everything again. */
export async function withSession(
  program: Program,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const { config } = loadConfig(program.configFile());
  const log = createLog({
    level: config.log.level === "info" ? "warn" : config.log.level,
    format: config.log.format,
  });
  const opened = await openConfiguredDatabase(config, { log, use: "keys", poolMax: POOL_MAX });
  try {
    await requireMigrated(config, opened);
    await work({
      config,
      database: opened.database,
      log,
      ring: async () => {
        await requireKek(config, opened.database);
        return openKeyRing(config);
      },
    });
  } finally {
    await opened.close();
  }
}
