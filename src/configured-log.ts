import { randomBytes, randomUUID } from "node:crypto";
import { join } from "node:path";
import { SYSTEM_CLOCK } from "./clock.ts";
import type { DurableLog, LogObserver } from "./durable-log/durable-log.ts";
import { claimSpool, SpoolTakenError } from "./durable-log/spool/claim.ts";
import { directoryFiles } from "./durable-log/spool/files.ts";
import { openSpool } from "./durable-log/spool/spool.ts";
import { EXIT, UserError } from "./exit.ts";
import { readLoggedFrame } from "./ingest/accepted-record.ts";
import { LoggedCounters } from "./ingest/logged-counters.ts";
import type { Config } from "./settings.ts";
import { type CounterLog, Snapshot } from "./snapshot/snapshot.ts";

export interface ConfiguredLog {
  readonly durableLog: DurableLog;
  /** Counters of what it held when it was opened. */
  readonly logged: LoggedCounters;
  /** What a daemon serves from while the database is away. */
  readonly snapshot: Snapshot;
  /** null: it keeps no counters for the snapshot. */
  readonly counterLog: CounterLog | null;
  /** After the ingest has ended: lets other processes have it. */
  release(): Promise<void>;
}

/** Beside the spool, whatever the durable log is: what it tells is this daemon's own. */
export async function openSnapshot({ spool }: Config): Promise<Snapshot> {
  const directory = join(spool.dir, "snapshot");
  try {
    return await Snapshot.open(directory);
  } catch (error) {
    const text = `The snapshot ${directory} can't be read: ${(error as Error).message} (setting spool.dir)`;
    throw new UserError(EXIT.unavailable, text, { cause: error });
  }
}

/** Opens the durable log that the configuration names. Throws UserError where it can't be had. */
export async function openConfiguredLog(config: Config, observer: LogObserver): Promise<ConfiguredLog> {
  return config.durableLog.kind === "spool"
    ? openConfiguredSpool(config, observer)
    : openConfiguredJetStream(config, observer);
}

/** Counters of what it holds are not read: its records are other daemons' too, and the database recognises what is stored twice. */
async function openConfiguredJetStream(config: Config, observer: LogObserver): Promise<ConfiguredLog> {
  // Loaded by those who use it: the client is a fifth of all that the daemon would load.
  const { BrokerError } = await import("./durable-log/jetstream/connection.ts");
  const { openJetStreamLog } = await import("./durable-log/jetstream/jetstream-log.ts");
  const { prefix, partitions, replicas, bytesMax, ...access } = config.jetstream;
  const snapshot = await openSnapshot(config);
  const release = await claim(config);
  try {
    const durableLog = await openJetStreamLog({
      ...{ access, layout: { prefix, partitions, replicas, bytesMax }, clock: SYSTEM_CLOCK, observer },
      // So that there is time for COMMIT where the log doesn't take a record.
      appendMs: config.limits.durableMs / 2,
      daemon: randomUUID(),
    });
    return { durableLog, logged: loggedInto(snapshot), snapshot, counterLog: null, release };
  } catch (error) {
    await release();
    if (!(error instanceof BrokerError)) throw error;
    const text = `${error.message} (settings jetstream.*)`;
    throw new UserError(EXIT.unavailable, text, { cause: error });
  }
}

async function openConfiguredSpool(config: Config, observer: LogObserver): Promise<ConfiguredLog> {
  const { dir, bytesMax } = config.spool;
  const snapshot = await openSnapshot(config);
  const logged = loggedInto(snapshot);
  const onRecovered = (payload: Buffer, isDrained: boolean) => {
    try {
      const frame = readLoggedFrame(payload);
      if (frame === null) return;
      logged.stored(frame);
      if (!isDrained) logged.log(frame);
    } catch (error) {
      observer.problem("a record of the spool can't be read by this version; it stays there", error);
    }
  };
  const release = await claim(config);
  try {
    const durableLog = await openSpool({
      ...{ files: await directoryFiles(dir), clock: SYSTEM_CLOCK, observer, bytesMax, onRecovered },
      nonce: () => randomBytes(4).readUInt32BE(),
      onRetained: () => snapshot.countersWaited(),
    });
    return { durableLog, logged, snapshot, counterLog: durableLog, release };
  } catch (error) {
    await release();
    throw unusable(dir, error);
  }
}

/** Counters of frames that are stored go into the snapshot. */
function loggedInto({ counters }: Snapshot): LoggedCounters {
  return new LoggedCounters((frame) => {
    if (frame.moved) counters.raise(frame);
  });
}

/** Spool and snapshot are one daemon's. */
async function claim({ spool: { dir } }: Config): Promise<() => Promise<void>> {
  try {
    return await claimSpool(dir);
  } catch (error) {
    if (error instanceof SpoolTakenError)
      throw new UserError(EXIT.unavailable, error.message, { cause: error });
    throw unusable(dir, error);
  }
}

const unusable = (dir: string, error: unknown) =>
  new UserError(
    EXIT.unavailable,
    `The spool ${dir} can't be used: ${(error as Error).message} (setting spool.dir)`,
    {
      cause: error,
    },
  );
