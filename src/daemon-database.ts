import {
  bringUpToDate,
  type ConfiguredDatabase,
  type DatabaseUse,
  openConfiguredDatabase,
  unreachable,
} from "./configured-database.ts";
import { requireKek } from "./configured-keys.ts";
import type { UserError } from "./exit.ts";
import type { Log } from "./log.ts";
import type { Config } from "./settings.ts";
import { type Database, ping } from "./storage/database.ts";
import { DatabaseGate } from "./storage/database-gate.ts";
import { StorageError } from "./storage/storage-error.ts";

/** For what is small and must not wait behind pushes: events, refusals, the snapshot. */
const HOUSEKEEPING_CONNECTIONS = 2;

/** Opened when something is due. */
const UPKEEP_CONNECTIONS = 2;

/** The daemon's database, which may be away when it starts: until its structure is current, nothing passes the gate. */
export interface DaemonDatabase {
  readonly opened: ConfiguredDatabase;
  /** Why it can't be used now; null: it can, and its structure is current. */
  readonly away: UserError | null;
  readonly gate: DatabaseGate;
  /** For pushes. */
  readonly database: Database;
  /** For the rest, with connections of its own. */
  readonly housekeeping: Database;
  /** For partitions, retention and aggregates, as the role that may. */
  readonly upkeep: Database;
  /** Those of housekeeping past the gate, to ask whether it is there. */
  readonly pings: Database;
  /** Another pool behind the gate; its opener closes it. */
  open(poolMax: number, use: DatabaseUse): Database;
  /**
   * Brings its structure up to date, sees to the key-encryption key, and opens the gate. Rejects with StorageError while it is away, and with
   * UserError where something is sealed and that key isn't there: what was accepted waits until it is.
   */
  bring(): Promise<void>;
  close(): Promise<void>;
}

/** Throws UserError where it can't be used for another reason than being away. */
export async function openDaemonDatabase(
  config: Config,
  log: Log,
  look: () => void,
): Promise<DaemonDatabase> {
  const opened = await openConfiguredDatabase(config, {
    ...{ log, use: "pushes", onIdleError: look, onEmbeddedExit: look, mayBeAway: true },
  });
  const gate = new DatabaseGate();
  const pings = opened.open(HOUSEKEEPING_CONNECTIONS, "pushes");
  const upkeep = opened.open(UPKEEP_CONNECTIONS, "structure");
  const close = async () => {
    await upkeep.close();
    await pings.close();
    await opened.close();
  };
  const bring = async () => {
    // A role that doesn't own the structure only looks at it, and would find all well.
    await ping(opened.database, true);
    await bringAndTell(config, opened, log);
    const keys = opened.open(1, "keys");
    await requireKek(config, keys).finally(() => keys.close());
    await gate.open();
  };
  let { away } = opened;
  try {
    if (away === null) await bring();
  } catch (error) {
    if (!(error instanceof StorageError && error.retryable)) {
      await close();
      throw error;
    }
    away = unreachable(config.database.url, error);
  }
  return {
    ...{ opened, gate, pings, bring, close, away },
    database: gate.around(opened.database),
    housekeeping: gate.around(pings),
    upkeep: gate.around(upkeep),
    open: (poolMax, use) => gate.around(opened.open(poolMax, use)),
  };
}

async function bringAndTell(config: Config, opened: ConfiguredDatabase, log: Log): Promise<void> {
  if (opened.embedded) {
    log.info(
      {},
      "database.url is empty: values go into an embedded PostgreSQL, which is for trying out and small sites",
    );
  }
  const report = await bringUpToDate(config, opened);
  if (report === null) return log.info({}, "the database's structure is current; its owner keeps it so");
  log.info(
    { engine: report.engine, applied: report.applied, catalogueSeeded: report.catalogueSeeded },
    "the database's structure is current",
  );
}
