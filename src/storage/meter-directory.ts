import type { LRUCache } from "lru-cache";
import { boundedCache } from "../bounded-cache.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Database, Listener } from "./database.ts";
import { formerKeys, openKeys } from "./meter-keys.ts";
import type { MeterDirectory, MeterRecord } from "./meter-record.ts";
import { findMeters, type MeterLookup, openMeter, type StoredMeter } from "./meters.ts";
import { StorageError } from "./storage-error.ts";

export interface MeterDirectoryOptions {
  /** Meters kept in memory; about 2 KiB each. */
  readonly cacheMax?: number;
  /** How long it is remembered that nobody has a title, a name or an address. */
  readonly unknownMs?: number;
  /** Told when a key's envelope can't be opened. */
  readonly onUnusableKey?: (error: Error) => void;
  /** Asked while the database is away; null: it doesn't know either. */
  readonly meanwhile?: (by: MeterLookup, values: readonly string[]) => Promise<StoredMeter[] | null>;
  /** A meter has changed; null: any may have. */
  readonly onChange?: (meterId: string | null) => void;
}

export interface CachedMeterDirectory extends MeterDirectory {
  /** Forgets one meter, or everything. */
  forget(meterId?: string): void;
  close(): Promise<void>;
}

/** Look-ups go together in one query while one is under way, this many at most. */
const BATCH_MAX = 1_000;

type By = MeterLookup;

interface Waiting {
  readonly resolve: (record: MeterRecord | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Opens the directory; it listens for changes of meters and keys until it is closed. */
export async function openMeterDirectory(
  database: Database,
  ring: KeyRing,
  options: MeterDirectoryOptions = {},
): Promise<CachedMeterDirectory> {
  const directory = new Directory(database, ring, options);
  await directory.listen();
  return directory;
}

class Directory implements CachedMeterDirectory {
  private readonly database: Database;
  private readonly ring: KeyRing;
  private readonly onUnusableKey: (error: Error) => void;
  private readonly meanwhile: NonNullable<MeterDirectoryOptions["meanwhile"]>;
  private readonly onChange: (meterId: string | null) => void;
  /** By `<look-up>|<value>`. */
  private readonly found: LRUCache<string, MeterRecord>;
  private readonly unknown: LRUCache<string, true>;
  /** Which entries of `found` belong to a meter. */
  private readonly namesOf = new Map<string, Set<string>>();
  private readonly waiting: Record<By, Map<string, Waiting[]>> = {
    system_title: new Map(),
    identifier: new Map(),
    host: new Map(),
    id: new Map(),
  };
  private readonly running = new Set<By>();
  /** Moves with every change, so that an answer that was asked for before it isn't kept. */
  private generation = 0;
  private listener: Listener | null = null;

  constructor(database: Database, ring: KeyRing, options: MeterDirectoryOptions) {
    this.database = database;
    this.ring = ring;
    this.onUnusableKey = options.onUnusableKey ?? (() => undefined);
    this.meanwhile = options.meanwhile ?? (async () => null);
    this.onChange = options.onChange ?? (() => undefined);
    this.found = boundedCache(options.cacheMax ?? 100_000, {
      dispose: (record, name) => {
        const names = this.namesOf.get(record.id);
        names?.delete(name);
        if (names?.size === 0) this.namesOf.delete(record.id);
      },
    });
    this.unknown = boundedCache(10_000, { ttl: options.unknownMs ?? 30_000 });
  }

  async listen(): Promise<void> {
    this.listener = await this.database.listen(
      "hes_meters",
      (id) => this.changed(id),
      () => this.changed(),
    );
  }

  private changed(meterId?: string): void {
    this.forget(meterId);
    this.onChange(meterId ?? null);
  }

  peekBySystemTitle(systemTitle: string): MeterRecord | null | undefined {
    return this.peek("system_title", systemTitle);
  }

  peekByIdentifier(identifier: string): MeterRecord | null | undefined {
    return this.peek("identifier", identifier);
  }

  peekById(meterId: string): MeterRecord | null | undefined {
    return this.peek("id", meterId);
  }

  bySystemTitle(systemTitle: string): Promise<MeterRecord | null> {
    return this.find("system_title", systemTitle);
  }

  byIdentifier(identifier: string): Promise<MeterRecord | null> {
    return this.find("identifier", identifier);
  }

  byId(meterId: string): Promise<MeterRecord | null> {
    return this.find("id", meterId);
  }

  async byIdWithFormerKeys(meterId: string): Promise<MeterRecord | null> {
    const [meter, former] = await Promise.all([
      this.byId(meterId),
      this.database.withClient((client) => formerKeys(client, meterId)),
    ]);
    if (meter === null) return null;
    const opened = openKeys(former, this.ring, this.onUnusableKey).get(meterId) ?? [];
    return { ...meter, keys: [...meter.keys, ...opened] };
  }

  byHost(host: string): Promise<MeterRecord | null> {
    return this.find("host", host);
  }

  forget(meterId?: string): void {
    this.generation += 1;
    this.unknown.clear();
    if (meterId === undefined) {
      this.found.clear();
      return;
    }
    for (const name of [...(this.namesOf.get(meterId) ?? [])]) this.found.delete(name);
  }

  async close(): Promise<void> {
    await this.listener?.close();
  }

  private peek(by: By, value: string): MeterRecord | null | undefined {
    const name = `${by}|${value}`;
    const record = this.found.get(name) ?? (by === "id" ? this.foundOtherwise(value) : undefined);
    if (record) return record;
    return this.unknown.get(name) ? null : undefined;
  }

  /** What came in under its system title is drained under its id. */
  private foundOtherwise(meterId: string): MeterRecord | undefined {
    for (const name of this.namesOf.get(meterId) ?? []) return this.found.get(name);
    return undefined;
  }

  private find(by: By, value: string): Promise<MeterRecord | null> {
    const known = this.peek(by, value);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const queue = this.waiting[by];
      const others = queue.get(value);
      if (others) others.push({ resolve, reject });
      else queue.set(value, [{ resolve, reject }]);
      if (!this.running.has(by)) void this.drain(by);
    });
  }

  private async drain(by: By): Promise<void> {
    this.running.add(by);
    const queue = this.waiting[by];
    while (queue.size > 0) {
      // What comes in this turn of the event loop goes into the same query.
      await new Promise(setImmediate);
      const batch = [...queue].slice(0, BATCH_MAX);
      for (const [value] of batch) queue.delete(value);
      const { generation } = this;
      try {
        const values = batch.map(([value]) => value);
        const { records, away } = await this.records(by, values);
        for (const [value, waiters] of batch) {
          const record = choose(by, value, records);
          // It may have been imported a moment before the database went: what has its title waits to be stored.
          if (record === null && away !== null && by === "system_title") {
            for (const { reject } of waiters) reject(away);
            continue;
          }
          if (generation === this.generation) this.remember(`${by}|${value}`, record);
          for (const { resolve } of waiters) resolve(record);
        }
      } catch (error) {
        for (const [, waiters] of batch) for (const { reject } of waiters) reject(error);
      }
    }
    this.running.delete(by);
  }

  /**
   * What is found while the database is away (`away`: why) is looked for again when it is back: the listener tells of a gap then.
   */
  private async records(
    by: By,
    values: readonly string[],
  ): Promise<{ records: MeterRecord[]; away: StorageError | null }> {
    try {
      const records = await this.database.withClient((client) =>
        findMeters(client, this.ring, by, values, this.onUnusableKey),
      );
      return { records, away: null };
    } catch (error) {
      if (!(error instanceof StorageError && error.retryable)) throw error;
      const found = await this.meanwhile(by, values);
      if (found === null) throw error;
      return {
        records: found.map((stored) => openMeter(stored, this.ring, this.onUnusableKey)),
        away: error,
      };
    }
  }

  private remember(name: string, record: MeterRecord | null): void {
    if (record === null) {
      this.unknown.set(name, true);
      return;
    }
    this.found.set(name, record);
    const names = this.namesOf.get(record.id);
    if (names) names.add(name);
    else this.namesOf.set(record.id, new Set([name]));
  }
}

/** A number is one meter's; a logical device name or an address may be several meters', and then names none. */
function choose(by: By, value: string, records: readonly MeterRecord[]): MeterRecord | null {
  if (by === "system_title") return records.find(({ systemTitle }) => systemTitle === value) ?? null;
  if (by === "id") return records.find(({ id }) => id === value) ?? null;
  if (by === "identifier") {
    const numbered = records.find(({ meterNumber }) => meterNumber === value);
    if (numbered) return numbered;
  }
  const named = records.filter((r) => (by === "host" ? r.host === value : r.logicalDeviceName === value));
  return named.length === 1 ? named[0]! : null;
}
