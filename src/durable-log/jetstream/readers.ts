import type { KV, KvEntry } from "@nats-io/kv";
import type { Clock } from "../../clock.ts";

/*
 * Who reads which partition. In the bucket stand a key p.N for each partition, whose value is its reader, and a key d.ID for each
 * daemon. Whoever has written a key writes it again and again; a key that hasn't changed for `takeMs` by one's own monotonic clock belongs
 * to nobody that lives, and is taken by compare-and-set on its revision. No clocks are compared. Where two read a partition all the same,
 * because one of them slept, the database recognises what is stored twice.
 */

export interface ReaderTiming {
  /** How often a daemon writes its keys. */
  readonly renewMs: number;
  /** Without having written a key for so long, its holder reads no more. */
  readonly holdMs: number;
  /** A key that hasn't changed for so long may be taken. */
  readonly takeMs: number;
  /** How long what was read may take to be applied before it is left to another reader. */
  readonly settleMs: number;
}

export const READER_TIMING: ReaderTiming = { renewMs: 1_000, holdMs: 5_000, takeMs: 8_000, settleMs: 3_000 };

export interface ReaderHooks {
  /** The partition is this daemon's to read. */
  taken(partition: number): void;
  /** It is another's: nothing of it may be read any more. */
  lost(partition: number): void;
  /** It is to go to another daemon; resolves when what was read of it is applied. */
  handOver(partition: number): Promise<void>;
  /** Reading may go on after a pause. */
  renewed(): void;
  /** null: there is none any more. */
  problem(text: string | null, error?: unknown): void;
}

interface Key {
  /** null: free. */
  readonly holder: string | null;
  readonly revision: number;
  /** When it was last seen to change. */
  readonly changedAt: number;
}

interface Held {
  revision: number;
  renewedAt: number;
}

/** Time for the broker's answer to one write. */
const ANSWER_MS = 2_000;

const FREE: Key = { holder: null, revision: 0, changedAt: Number.NEGATIVE_INFINITY };
const isReader = /^p\.(\d+)$/;

export class Readers {
  private readonly kv: KV;
  private readonly daemon: string;
  private readonly partitions: number;
  private readonly clock: Clock;
  private readonly hooks: ReaderHooks;
  private readonly timing: ReaderTiming;
  private readonly keys = new Map<string, Key>();
  private readonly held = new Map<number, Held>();
  private readonly leaving = new Set<number>();
  private readonly ended: Promise<void>;
  private watcher: { stop(): void } | null = null;
  private watchedAt = 0;
  /** Rounds that came to nothing, one after the other. */
  private failures = 0;
  private cancelRound: () => void = () => undefined;
  private round: Promise<void> = Promise.resolve();
  private closed = false;

  /** `daemon`: another one for every run. `partitions`: how many there are. */
  constructor(
    kv: KV,
    { daemon, partitions }: { readonly daemon: string; readonly partitions: number },
    clock: Clock,
    hooks: ReaderHooks,
    timing: ReaderTiming,
  ) {
    this.kv = kv;
    this.daemon = daemon;
    this.partitions = partitions;
    this.clock = clock;
    this.hooks = hooks;
    this.timing = timing;
    this.ended = this.watch();
    this.next(0);
  }

  /** Whether the partition is this daemon's, and surely nobody else's. */
  mayRead(partition: number): boolean {
    const held = this.held.get(partition);
    return held !== undefined && this.clock.monotonic() - held.renewedAt < this.timing.holdMs;
  }

  /** Gives everything back, so that others needn't wait. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelRound();
    await this.round;
    await Promise.all([...this.held.keys()].map((partition) => this.giveBack(partition)));
    await this.kv.delete(`d.${this.daemon}`).catch(() => undefined);
    this.watcher?.stop();
    await this.ended;
  }

  private next(ms: number): void {
    this.cancelRound = this.clock.after(ms, () => {
      this.round = this.once()
        .then(
          () => {
            this.failures = 0;
            this.hooks.problem(null);
          },
          (error: unknown) => {
            // A leader that is being elected is no trouble yet.
            if (++this.failures > 1) this.hooks.problem("who reads what in JetStream isn't settled", error);
          },
        )
        .finally(() => {
          if (!this.closed) this.next(this.timing.renewMs);
        });
    });
  }

  private async once(): Promise<void> {
    await this.kv.put(`d.${this.daemon}`, this.daemon);
    this.checkWatch();
    for (const [partition, held] of this.held) await this.renew(partition, held);
    const daemons = this.livingDaemons();
    for (let partition = 0; partition < this.partitions; partition++) {
      if (this.closed) return;
      const isOurs = daemons[partition % daemons.length] === this.daemon;
      if (isOurs && !this.held.has(partition)) await this.tryToTake(partition);
      if (!isOurs && this.held.has(partition)) void this.giveBack(partition);
    }
  }

  /** Sorted, so that every daemon comes to the same distribution. */
  private livingDaemons(): string[] {
    const now = this.clock.monotonic();
    const others = [...this.keys]
      .filter(([name, { holder }]) => name.startsWith("d.") && holder !== null)
      .filter(([, { changedAt }]) => now - changedAt < this.timing.takeMs)
      .map(([name]) => name.slice(2));
    return [...new Set([...others, this.daemon])].sort();
  }

  private async renew(partition: number, held: Held): Promise<void> {
    const key = `p.${partition}`;
    const asked = this.clock.monotonic();
    try {
      held.revision = await this.kv.update(key, this.daemon, held.revision, ANSWER_MS);
    } catch (error) {
      // Either it is another's, or an earlier renewal came through whose answer did not.
      const entry = await this.kv.get(key);
      if (entry === null || entry.operation !== "PUT" || entry.string() !== this.daemon) {
        this.held.delete(partition);
        this.hooks.lost(partition);
        return;
      }
      if (entry.revision === held.revision) throw error;
      held.revision = entry.revision;
    }
    held.renewedAt = asked;
    this.hooks.renewed();
  }

  private async tryToTake(partition: number): Promise<void> {
    const key = `p.${partition}`;
    const { holder, revision, changedAt } = this.keys.get(key) ?? FREE;
    if (holder !== null && this.clock.monotonic() - changedAt < this.timing.takeMs) return;
    const asked = this.clock.monotonic();
    try {
      // What has expired in the bucket, or was given back, is made anew.
      const taken =
        holder === null
          ? await this.kv.create(key, this.daemon)
          : await this.kv
              .update(key, this.daemon, revision, ANSWER_MS)
              .catch(() => this.kv.create(key, this.daemon));
      this.held.set(partition, { revision: taken, renewedAt: asked });
      this.hooks.taken(partition);
    } catch {
      // Another was faster, or the answer did not come: the next round sees.
    }
  }

  private async giveBack(partition: number): Promise<void> {
    if (this.leaving.has(partition)) return;
    this.leaving.add(partition);
    try {
      await this.hooks.handOver(partition);
      const held = this.held.get(partition);
      this.held.delete(partition);
      if (held !== undefined) await this.kv.delete(`p.${partition}`, { previousSeq: held.revision });
    } catch {
      // Others take it when it has not changed for long enough.
    } finally {
      this.leaving.delete(partition);
    }
  }

  private async watch(): Promise<void> {
    while (!this.closed) {
      try {
        const entries = await this.kv.watch();
        this.watcher = entries;
        this.watchedAt = this.clock.monotonic();
        if (this.closed) entries.stop();
        for await (const entry of entries) this.see(entry);
      } catch (error) {
        if (!this.closed) this.hooks.problem("who reads what in JetStream can't be seen", error);
      }
      if (!this.closed) {
        await new Promise<void>((resolve) => this.clock.after(this.timing.renewMs, resolve));
      }
    }
  }

  /** A broker that fails may take the watch with it without anybody noticing: then not even what we write ourselves is seen. */
  private checkWatch(): void {
    const own = this.keys.get(`d.${this.daemon}`);
    const seenAt = own?.changedAt ?? this.watchedAt;
    const now = this.clock.monotonic();
    if (now - Math.max(seenAt, this.watchedAt) > this.timing.holdMs) this.watcher?.stop();
  }

  private see({ key, operation, revision, value }: KvEntry): void {
    if (!isReader.test(key) && !key.startsWith("d.")) return;
    const known = this.keys.get(key);
    if (known !== undefined && known.revision >= revision) return;
    const holder = operation === "PUT" ? Buffer.from(value).toString() : null;
    this.keys.set(key, { holder, revision, changedAt: this.clock.monotonic() });
  }
}
