import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { MappingRecords } from "../mapping/configuration.ts";
import { receivedCounters, storedKeyIds } from "../storage/counters.ts";
import type { Database } from "../storage/database.ts";
import { findStoredMeters, pageOfMeters, type StoredMeter } from "../storage/meters.ts";
import { KnownCounters } from "./known-counters.ts";
import { KnownMeters } from "./known-meters.ts";
import { isMissing, readLines, replaceLines } from "./line-file.ts";

const DIRECTORY_MODE = 0o700;
const FORMAT = { file: "mapping configuration", version: 1 };
/** Rows read at once, so that a large table is no burden on the database. */
const PAGE = 1_000;
/** Counters that other daemons move are looked at this often. */
const COUNTERS_MS = 600_000;
/** Counters that the durable log doesn't keep are written this often. */
const WRITE_MS = 60_000;

/** The durable log, as far as the snapshot keeps it from forgetting counters too early. */
export interface CounterLog {
  /** Everything before it is applied. */
  drainedTo(): number;
  /** Counters of everything before it are safe elsewhere. */
  cover(position: number): void;
}

/**
 * What a daemon has to know to accept pushes while the database is away, beside its durable log: meters with the envelopes of their keys, what the
 * mapping is configured with, and the highest counters. No key is in it that isn't in its envelope.
 */
export class Snapshot {
  readonly meters: KnownMeters;
  readonly counters: KnownCounters;
  /** Meters whose pushes can be accepted while the database is away. */
  metersKnown = 0;
  /** Told when a meter, or its keys, have changed. */
  onMeterChange: () => void = () => undefined;
  private readonly configurationPath: string;
  /** As an earlier run left it; undefined: nobody has asked for it yet. */
  private formerConfiguration: Promise<MappingRecords | null> | undefined;
  private newConfiguration: MappingRecords | null = null;
  /** null: all are to be written. */
  private changedMeters: Set<string> | null = null;
  private countersAt = Number.NEGATIVE_INFINITY;
  private writtenAt = Number.NEGATIVE_INFINITY;
  private isCounterWriteDue = true;
  private writing: Promise<void> | null = null;

  private constructor(directory: string) {
    this.meters = new KnownMeters(join(directory, "meters"));
    this.counters = new KnownCounters(join(directory, "counters"));
    this.configurationPath = join(directory, "configuration");
  }

  /** Makes the directory where it is missing. Of what it holds only the counters are read, which always count. */
  static async open(directory: string): Promise<Snapshot> {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    const snapshot = new Snapshot(directory);
    await snapshot.counters.read();
    return snapshot;
  }

  /** Whether a daemon can serve from it. */
  async isUsable(): Promise<boolean> {
    const isThere =
      (await this.configuration()) !== null && this.counters.isComplete && (await this.meters.exists());
    if (isThere) this.metersKnown = this.meters.count;
    return isThere;
  }

  /** What the mapping was configured with when an earlier run wrote it; null: none has. */
  configuration(): Promise<MappingRecords | null> {
    this.formerConfiguration ??= readConfiguration(this.configurationPath);
    return this.formerConfiguration;
  }

  configurationRead(records: MappingRecords): void {
    this.newConfiguration = records;
  }

  /** null: any may have changed. */
  meterChanged(meterId: string | null): void {
    if (meterId === null) this.changedMeters = null;
    else this.changedMeters?.add(meterId);
    this.onMeterChange();
  }

  /** The durable log keeps what it is done with until its counters are written. */
  countersWaited(): void {
    this.isCounterWriteDue = true;
  }

  /** Writes what has changed. Rejects with StorageError while the database is away, and with what the disk says. */
  write(database: Database, log: CounterLog | null, nowMs: number): Promise<void> {
    this.writing ??= this.writeAll(database, log, nowMs).finally(() => {
      this.writing = null;
    });
    return this.writing;
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.writing?.catch(() => undefined);
  }

  private async writeAll(database: Database, log: CounterLog | null, nowMs: number): Promise<void> {
    await this.writeConfiguration();
    await this.writeMeters(database);
    await this.writeCounters(database, log, nowMs);
    this.metersKnown = this.meters.count;
  }

  private async writeConfiguration(): Promise<void> {
    const records = this.newConfiguration;
    if (records === null) return;
    await replaceLines(this.configurationPath, [FORMAT, records]);
    if (this.newConfiguration === records) this.newConfiguration = null;
  }

  private async writeMeters(database: Database): Promise<void> {
    const changed = this.changedMeters;
    this.changedMeters = new Set();
    try {
      if (changed === null || this.meters.isLong) await this.meters.replace(allMeters(database));
      else if (changed.size > 0) {
        const ids = [...changed];
        const found = await database.withClient((client) => findStoredMeters(client, "id", ids));
        const there = new Set(found.map(({ meter }) => meter.id));
        await this.meters.append(
          found,
          ids.filter((id) => !there.has(id)),
        );
      }
    } catch (error) {
      // Whatever of it was written, it is written again.
      this.changedMeters = null;
      throw error;
    }
  }

  private async writeCounters(database: Database, log: CounterLog | null, nowMs: number): Promise<void> {
    const { counters } = this;
    // What is applied by now was raised here before it was trimmed there.
    const position = log?.drainedTo() ?? 0;
    if (!counters.isComplete || Math.abs(nowMs - this.countersAt) >= COUNTERS_MS) {
      const ids = await storedKeyIds(database);
      counters.keepOnly((keyId) => ids.has(keyId));
      for await (const mark of receivedCounters(database, PAGE)) counters.raise({ ...mark, digest: null });
      counters.completed();
      this.countersAt = nowMs;
      this.isCounterWriteDue = true;
    }
    if (counters.isChanged && Math.abs(nowMs - this.writtenAt) >= WRITE_MS) this.isCounterWriteDue = true;
    if (!this.isCounterWriteDue) return;
    this.writtenAt = nowMs;
    this.isCounterWriteDue = false;
    try {
      await counters.write();
    } catch (error) {
      this.isCounterWriteDue = true;
      throw error;
    }
    log?.cover(position);
  }
}

async function* allMeters(database: Database): AsyncGenerator<readonly StoredMeter[]> {
  for (let last: string | null = null; ; ) {
    const page: StoredMeter[] = await pageOfMeters(database, last, PAGE);
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    last = page.at(-1)!.meter.id;
  }
}

async function readConfiguration(path: string): Promise<MappingRecords | null> {
  try {
    const lines: unknown[] = [];
    for await (const { value } of readLines(path)) lines.push(value);
    return JSON.stringify(lines[0]) === JSON.stringify(FORMAT)
      ? ((lines[1] ?? null) as MappingRecords | null)
      : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
