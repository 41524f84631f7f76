import { randomBytes, randomUUID } from "node:crypto";
import { SYSTEM_CLOCK } from "./clock.ts";
import type { DurableLog, LogObserver } from "./durable-log/durable-log.ts";
import { BrokerError } from "./durable-log/jetstream/connection.ts";
import { openJetStreamLog } from "./durable-log/jetstream/jetstream-log.ts";
import { claimSpool, SpoolTakenError } from "./durable-log/spool/claim.ts";
import { directoryFiles } from "./durable-log/spool/files.ts";
import { openSpool } from "./durable-log/spool/spool.ts";
import { EXIT, UserError } from "./exit.ts";
import { loggedFrame, readAcceptedRecord } from "./ingest/accepted-record.ts";
import { LoggedCounters } from "./ingest/logged-counters.ts";
import type { Config } from "./settings.ts";

export interface ConfiguredLog {
  readonly durableLog: DurableLog;
  /** Counters of what it held when it was opened. */
  readonly logged: LoggedCounters;
  /** After the ingest has ended: lets other processes have it. */
  release(): Promise<void>;
}

/** Opens the durable log that the configuration names. Throws UserError where it can't be had. */
export async function openConfiguredLog(config: Config, observer: LogObserver): Promise<ConfiguredLog> {
  return config.durableLog.kind === "spool"
    ? openConfiguredSpool(config, observer)
    : openConfiguredJetStream(config, observer);
}

/** Counters of what it holds are not read: its records are other daemons' too, and the database recognises what is stored twice. */
async function openConfiguredJetStream(config: Config, observer: LogObserver): Promise<ConfiguredLog> {
  const { prefix, partitions, replicas, bytesMax, ...access } = config.jetstream;
  try {
    const durableLog = await openJetStreamLog({
      ...{ access, layout: { prefix, partitions, replicas, bytesMax }, clock: SYSTEM_CLOCK, observer },
      daemon: randomUUID(),
    });
    return { durableLog, logged: new LoggedCounters(), release: () => Promise.resolve() };
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    const text = `${error.message} (settings jetstream.*)`;
    throw new UserError(EXIT.unavailable, text, { cause: error });
  }
}

async function openConfiguredSpool(config: Config, observer: LogObserver): Promise<ConfiguredLog> {
  const { dir, bytesMax } = config.spool;
  const logged = new LoggedCounters();
  const onRecovered = (payload: Buffer) => {
    try {
      const frame = loggedFrame(readAcceptedRecord(payload));
      if (frame !== null) logged.log(frame);
    } catch (error) {
      observer.problem("a record of the spool can't be read by this version; it stays there", error);
    }
  };
  try {
    const files = await directoryFiles(dir);
    const release = await claimSpool(dir);
    const nonce = () => randomBytes(4).readUInt32BE();
    const durableLog = await openSpool({
      files,
      clock: SYSTEM_CLOCK,
      observer,
      nonce,
      bytesMax,
      onRecovered,
    });
    return { durableLog, logged, release };
  } catch (error) {
    if (error instanceof SpoolTakenError)
      throw new UserError(EXIT.unavailable, error.message, { cause: error });
    const { message } = error as Error;
    throw new UserError(EXIT.unavailable, `The spool ${dir} can't be used: ${message} (setting spool.dir)`, {
      cause: error,
    });
  }
}
