import { crc32 } from "node:zlib";
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { BrokerError, textOf } from "./connection.ts";

/*
 * What stands in JetStream, prefix HES: a stream HES_0 … HES_7 for each partition, with one subject HES.0 … HES.7, and a bucket HES_READERS
 * that says who reads which. All of a meter is in one stream, in the order in which it came. A stream is read from its beginning and
 * purged up to what is applied: a log, and not a queue of which single messages are taken.
 */

export interface Layout {
  readonly prefix: string;
  /** Streams that meters are spread over; the same for every daemon, and for ever. */
  readonly partitions: number;
  /** Brokers that hold each record: a majority of them has it when it counts as safe. */
  readonly replicas: number;
  /** Of all streams together, octets. */
  readonly bytesMax: number;
}

export const partitionOf = (meterId: string, { partitions }: Layout) => crc32(meterId) % partitions;
export const streamOf = ({ prefix }: Layout, partition: number) => `${prefix}_${partition}`;
export const subjectOf = ({ prefix }: Layout, partition: number) => `${prefix}.${partition}`;

const NAME_IN_USE = 10058;
/** Each takes as long as an answer may. */
const ATTEMPTS_MAX = 6;
/** What was not written again for so long is of no daemon that lives. */
const READERS_KEPT_MS = 120_000;

/** Makes what is missing, and widens what has become too narrow. Throws BrokerError. */
export async function prepareLayout(
  connection: NatsConnection,
  manager: JetStreamManager,
  layout: Layout,
): Promise<KV> {
  const partitions = Array.from({ length: layout.partitions }, (_, partition) => partition);
  // All at once: while one of them waits for a leader, the others needn't.
  await Promise.all(
    partitions.map((partition) => whileElecting(() => prepareStream(manager, layout, partition))),
  );
  const bucket = `${layout.prefix}_READERS`;
  try {
    const how = { replicas: layout.replicas, history: 1, ttl: READERS_KEPT_MS };
    return await whileElecting(() => new Kvm(connection).create(bucket, how));
  } catch (error) {
    throw new BrokerError(`JetStream doesn't give us the bucket ${bucket}: ${textOf(error)}`, error);
  }
}

/** A broker that was just lost led some streams: for a few seconds nobody answers for them. */
async function whileElecting<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !/timeout|not available|no responders/i.test(textOf(error)))
        throw error;
    }
  }
}

async function prepareStream(manager: JetStreamManager, layout: Layout, partition: number): Promise<void> {
  const name = streamOf(layout, partition);
  const wanted: Partial<StreamConfig> & { name: string } = {
    name,
    subjects: [subjectOf(layout, partition)],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    // A full log refuses what is new; it never forgets what is old.
    discard: DiscardPolicy.New,
    max_bytes: Math.floor(layout.bytesMax / layout.partitions),
    num_replicas: layout.replicas,
    max_age: 0,
    // What is compared with the settings of the next daemon: a meter whose partition changed would be read by two at a time.
    description: `dlms-hes, partition ${partition} of ${layout.partitions}`,
  };
  try {
    await manager.streams.add(wanted);
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === NAME_IN_USE)) throw unprepared(name, error);
    await widen(manager, name, wanted).catch((failure: unknown) => {
      throw failure instanceof BrokerError ? failure : unprepared(name, failure);
    });
  }
}

/** Another daemon may have made it with other settings: the larger ones hold. */
async function widen(manager: JetStreamManager, name: string, wanted: Partial<StreamConfig>): Promise<void> {
  const { config } = await manager.streams.info(name);
  if (config.description !== wanted.description) {
    throw new BrokerError(
      `The stream ${name} is "${config.description ?? "not ours"}", and "${wanted.description}" was to be made. Set jetstream.partitions to what ` +
        "it says; for another number, let everything be drained and choose another jetstream.prefix.",
    );
  }
  const max_bytes = Math.max(config.max_bytes, wanted.max_bytes!);
  const num_replicas = Math.max(config.num_replicas, wanted.num_replicas!);
  if (max_bytes === config.max_bytes && num_replicas === config.num_replicas) return;
  await manager.streams.update(name, { ...config, max_bytes, num_replicas });
}

function unprepared(name: string, error: unknown): BrokerError {
  return new BrokerError(`JetStream doesn't give us the stream ${name}: ${textOf(error)}`, error);
}
