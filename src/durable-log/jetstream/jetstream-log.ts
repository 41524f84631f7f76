import { type JetStreamClient, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock } from "../../clock.ts";
import type { AppendOutcome, DurableLog, LogEntry, LogObserver, LogState } from "../durable-log.ts";
import { Breaker } from "./breaker.ts";
import { type BrokerAccess, BrokerError, CONNECT_MS, connectBrokers, textOf } from "./connection.ts";
import { type Layout, partitionOf, prepareLayout, streamOf, subjectOf } from "./layout.ts";
import { Partition } from "./partition.ts";
import { READER_TIMING, Readers, type ReaderTiming } from "./readers.ts";

export interface JetStreamLogOptions {
  readonly access: BrokerAccess;
  readonly layout: Layout;
  /** Another one for every run: letters, digits and hyphens. */
  readonly daemon: string;
  readonly clock: Clock;
  readonly observer: LogObserver;
  /** Time in which a record must be with a majority of the brokers, ms; after it the record may be there or not. */
  readonly appendMs: number;
  readonly timing?: ReaderTiming;
}

/** How often the brokers are asked how much they hold. */
const LOOK_MS = 1_000;

/**
 * The durable log of several daemons: streams of NATS JetStream. A record is safe when a majority of the replicas has it. Each partition is
 * read by one daemon at a time; where that one is gone, another goes on. Throws BrokerError.
 */
export async function openJetStreamLog(options: JetStreamLogOptions): Promise<DurableLog> {
  const { access, layout, daemon } = options;
  const connection = await connectBrokers(access, `dlms-hes ${daemon}`);
  try {
    const manager = await jetstreamManager(connection, { timeout: CONNECT_MS, checkAPI: false });
    const readers = await prepareLayout(connection, manager, layout);
    return new JetStreamLog(options, connection, manager, readers);
  } catch (error) {
    await connection.close();
    if (error instanceof BrokerError) throw error;
    throw new BrokerError(`JetStream doesn't answer: ${textOf(error)}`, error);
  }
}

type Manager = Awaited<ReturnType<typeof jetstreamManager>>;

class JetStreamLog implements DurableLog {
  readonly isShared = true;
  private readonly options: JetStreamLogOptions;
  private readonly connection: NatsConnection;
  private readonly manager: Manager;
  private readonly js: JetStreamClient;
  private readonly readers: Readers;
  private readonly partitions = new Map<number, Partition>();
  /** Counts the partitions that were taken, one after the other. */
  private takings = 0;
  private readonly appending = new Set<Promise<void>>();
  /** What is wrong, by what it is about. */
  private readonly troubles = new Map<string, string>();
  private readonly breakers: readonly Breaker[];
  private held = { records: 0, bytes: 0 };
  private cancelLook: () => void = () => undefined;
  private wake: () => void = () => undefined;
  /** Where the next reading begins, so that every partition has its turn. */
  private turn = 0;
  private closed = false;

  constructor(
    options: JetStreamLogOptions,
    connection: NatsConnection,
    manager: Manager,
    readers: ConstructorParameters<typeof Readers>[0],
  ) {
    const { layout, daemon, clock, timing = READER_TIMING } = options;
    this.options = options;
    this.connection = connection;
    this.manager = manager;
    this.js = jetstream(connection, { timeout: options.appendMs });
    this.breakers = Array.from({ length: layout.partitions }, () => new Breaker(clock));
    const hooks = {
      taken: (partition: number) => this.begin(partition),
      lost: (partition: number) => void this.end(partition, 0),
      handOver: (partition: number) => this.end(partition, timing.settleMs),
      renewed: () => this.wake(),
      problem: (text: string | null, error?: unknown) => this.note("readers", text, error),
    };
    this.readers = new Readers(readers, { daemon, partitions: layout.partitions }, clock, hooks, timing);
    void this.watchConnection();
    void this.look();
  }

  append(payload: Buffer, meterId: string, settled: (outcome: AppendOutcome) => void): void {
    const partition = partitionOf(meterId, this.options.layout);
    const refusal = this.refusal(payload, partition);
    if (refusal !== null) {
      this.options.clock.soon(() => settled({ kind: "refused", ...refusal }));
      return;
    }
    const appended = this.publish(payload, partition).then(settled);
    this.appending.add(appended);
    void appended.finally(() => this.appending.delete(appended));
  }

  async read(max: number): Promise<readonly LogEntry[]> {
    while (!this.closed) {
      const entries = this.takeWhatIsThere(max);
      if (entries.length > 0) return entries;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return [];
  }

  trim(positions: readonly number[]): void {
    const { partitions } = this.options.layout;
    for (const position of positions) {
      this.partitions.get(position % partitions)?.trim(Math.floor(position / partitions));
    }
  }

  state(): LogState {
    const { bytesMax } = this.options.layout;
    return { ...this.held, bytesMax, condition: [...this.troubles.values()][0] ?? "ok" };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelLook();
    await Promise.all(this.appending);
    this.wake();
    await this.readers.close();
    await this.connection.close();
  }

  private refusal(
    { length }: Buffer,
    partition: number,
  ): { reason: "failed" | "closed"; text: string } | null {
    if (this.closed) return { reason: "closed", text: "the durable log is closed" };
    const payloadMax = this.connection.info?.max_payload ?? 1 << 20;
    if (length > payloadMax) return { reason: "failed", text: `a record of ${length} octets` };
    const text = this.breakers[partition]!.refusal();
    return text === null ? null : { reason: "failed", text };
  }

  private async publish(payload: Buffer, partition: number): Promise<AppendOutcome> {
    const { layout, clock, observer } = this.options;
    const started = clock.monotonic();
    const breaker = this.breakers[partition]!;
    try {
      const { seq } = await this.js.publish(subjectOf(layout, partition), payload);
      this.taken(breaker);
      observer.synced(1, (clock.monotonic() - started) / 1_000);
      return { kind: "durable", position: seq * layout.partitions + partition };
    } catch (error) {
      const text = `${streamOf(layout, partition)} takes nothing: ${textOf(error)}`;
      if (/maximum (bytes|messages)/.test(text)) {
        this.taken(breaker);
        return { kind: "refused", reason: "full", text };
      }
      breaker.failed(text);
      this.note("appending", text, error);
      return { kind: "refused", reason: "failed", text };
    }
  }

  /** A stream has answered. */
  private taken(breaker: Breaker): void {
    breaker.succeeded();
    if (this.troubles.has("appending") && !this.breakers.some(({ isOpen }) => isOpen))
      this.note("appending", null);
  }

  /** Told once, until it is over (null). */
  private note(about: string, text: string | null, error?: unknown): void {
    if (text === null) this.troubles.delete(about);
    else if (!this.closed) {
      if (!this.troubles.has(about)) this.options.observer.problem(text, error);
      this.troubles.set(about, text);
    }
  }

  private takeWhatIsThere(max: number): LogEntry[] {
    const { partitions } = this.options.layout;
    const entries: LogEntry[] = [];
    for (let i = 0; i < partitions && entries.length < max; i++) {
      const partition = (this.turn + i) % partitions;
      if (!this.readers.mayRead(partition)) continue;
      for (const { sequence, ...entry } of this.partitions.get(partition)?.take(max - entries.length) ?? []) {
        entries.push({ position: sequence * partitions + partition, ...entry });
      }
    }
    this.turn = (this.turn + 1) % partitions;
    return entries;
  }

  private begin(partition: number): void {
    const { layout, clock } = this.options;
    const stream = streamOf(layout, partition);
    const opened = new Partition({
      ...{ js: this.js, manager: this.manager, stream, clock, epoch: ++this.takings },
      filled: () => this.wake(),
      problem: (text, error) => this.note(stream, text, error),
    });
    this.partitions.set(partition, opened);
  }

  private async end(partition: number, settleMs: number): Promise<void> {
    const ending = this.partitions.get(partition);
    await ending?.stop(settleMs);
    this.note(streamOf(this.options.layout, partition), null);
    if (this.partitions.get(partition) === ending) this.partitions.delete(partition);
  }

  private async watchConnection(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === "disconnect" && !this.closed) {
        const text = `the connection to ${status.server} was lost`;
        for (const breaker of this.breakers) breaker.failed(text);
        this.note("appending", text, new Error("disconnected"));
      }
    }
  }

  /** How much the log holds; several streams that can't be asked are one problem. */
  private async look(): Promise<void> {
    const { layout, clock } = this.options;
    try {
      const names = Array.from({ length: layout.partitions }, (_, partition) => streamOf(layout, partition));
      const infos = await Promise.all(names.map((name) => this.manager.streams.info(name)));
      this.held = {
        records: infos.reduce((sum, { state }) => sum + state.messages, 0),
        bytes: infos.reduce((sum, { state }) => sum + state.bytes, 0),
      };
      for (const [partition, own] of this.partitions) own.expect(infos[partition]!.state);
      this.note("holding", null);
    } catch (error) {
      this.note("holding", `JetStream doesn't say what it holds: ${textOf(error)}`, error);
    }
    if (!this.closed) this.cancelLook = clock.after(LOOK_MS, () => void this.look());
  }
}
