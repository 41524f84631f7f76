import { DeliverPolicy, type JetStreamClient, type JetStreamManager, type JsMsg } from "@nats-io/jetstream";
import type { Clock } from "../../clock.ts";

/** Messages that wait here to be read; the broker is asked for more as they are. */
const WAITING_MAX = 500;
/** A broker that is silent for two heartbeats is gone, and another one is asked to deliver from where this one has come to. Milliseconds. */
const DELIVERY = { max_messages: WAITING_MAX, expires: 5_000, idle_heartbeat: 1_000 };
/** Without a message that is there to be delivered. */
const STALLED_MS = 3_000;
/** After the broker has ended a delivery. */
const RETRY_MS = 500;
/** How often what is applied is purged. */
const PURGE_MS = 500;

export interface PartitionSurroundings {
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly stream: string;
  readonly clock: Clock;
  /** Of all its entries. */
  readonly epoch: number;
  /** There is something to read. */
  readonly filled: () => void;
  /** null: there is none any more. */
  readonly problem: (text: string | null, error?: unknown) => void;
}

/** A record as it is read. */
export interface PartitionEntry {
  readonly sequence: number;
  readonly payload: Buffer;
  readonly again: boolean;
  readonly epoch: number;
}

/**
 * One stream, read in order from its first message, and purged up to what is applied. Nothing is acknowledged one by one: what a reader
 * leaves behind is read by the next one, in the same order.
 */
export class Partition {
  private readonly with: PartitionSurroundings;
  private waiting: JsMsg[] = [];
  private messages: { close(): Promise<unknown>; stop(): void } | null = null;
  /** Delivered here, oldest first; those before `head` are purged or about to be. */
  private delivered: number[] = [];
  private head = 0;
  private readonly applied = new Set<number>();
  private readonly underway = new Set<number>();
  /** Messages up to this one may have been applied by another reader. */
  private doubtfulUpTo = Number.MAX_SAFE_INTEGER;
  private last = 0;
  /** When something was last delivered, or asked for. */
  private movedAt = 0;
  private purgeUpTo = 0;
  private purged = 0;
  private purging: Promise<void> = Promise.resolve();
  private cancelPurge: (() => void) | null = null;
  private roomMade: () => void = () => undefined;
  private stopped = false;
  private whenSettled: (() => void)[] = [];

  constructor(surroundings: PartitionSurroundings) {
    this.with = surroundings;
    void this.deliver();
  }

  take(max: number): PartitionEntry[] {
    if (this.stopped) return [];
    const taken = this.waiting.splice(0, max);
    if (taken.length > 0) this.roomMade();
    return taken.map(({ seq, data }) => {
      this.delivered.push(seq);
      this.underway.add(seq);
      const payload = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      return { sequence: seq, payload, again: seq <= this.doubtfulUpTo, epoch: this.with.epoch };
    });
  }

  /**
   * What the stream holds: where its last message isn't delivered, and nothing else is, delivery is asked for anew. A broker that fails may
   * take the delivery with it without anybody noticing.
   */
  expect({ messages, last_seq }: { readonly messages: number; readonly last_seq: number }): void {
    const now = this.with.clock.monotonic();
    if (messages === 0 || last_seq <= this.last || this.waiting.length > 0) return;
    if (now - this.movedAt < STALLED_MS) return;
    this.movedAt = now;
    this.messages?.stop();
  }

  trim(sequence: number): void {
    if (!this.underway.delete(sequence)) return;
    this.applied.add(sequence);
    while (this.head < this.delivered.length && this.applied.delete(this.delivered[this.head]!)) {
      this.purgeUpTo = this.delivered[this.head++]!;
    }
    if (this.head > WAITING_MAX) {
      this.delivered = this.delivered.slice(this.head);
      this.head = 0;
    }
    if (this.underway.size === 0) for (const resolve of this.whenSettled.splice(0)) resolve();
    this.cancelPurge ??= this.with.clock.after(PURGE_MS, () => {
      this.cancelPurge = null;
      void this.purge();
    });
  }

  /** Nothing is read any more. Resolves when all that was read is applied and purged, or after `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    this.stopped = true;
    this.waiting = [];
    this.roomMade();
    this.messages?.stop();
    if (this.underway.size > 0) {
      let cancel = () => {};
      const late = new Promise<void>((resolve) => {
        cancel = this.with.clock.after(limitMs, resolve);
      });
      await Promise.race([late, new Promise<void>((resolve) => this.whenSettled.push(resolve))]);
      cancel();
    }
    this.cancelPurge?.();
    this.cancelPurge = null;
    await this.purge();
  }

  private async deliver(): Promise<void> {
    const { js, manager, stream, clock, problem } = this.with;
    while (!this.stopped) {
      try {
        if (this.doubtfulUpTo === Number.MAX_SAFE_INTEGER)
          this.doubtfulUpTo = (await manager.streams.info(stream)).state.last_seq;
        const from = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.last + 1 };
        const consumer = await js.consumers.get(stream, from);
        const messages = await consumer.consume(DELIVERY);
        this.messages = messages;
        this.movedAt = clock.monotonic();
        problem(null);
        for await (const message of messages) await this.receive(message);
      } catch (error) {
        if (!this.stopped) problem(`${stream} isn't delivered; it is asked for again`, error);
      }
      if (!this.stopped) await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
    }
  }

  private async receive(message: JsMsg): Promise<void> {
    if (this.stopped) {
      this.messages?.stop();
      return;
    }
    if (message.seq <= this.last) return;
    this.last = message.seq;
    this.movedAt = this.with.clock.monotonic();
    this.waiting.push(message);
    this.with.filled();
    while (this.waiting.length >= WAITING_MAX && !this.stopped) {
      await new Promise<void>((resolve) => {
        this.roomMade = resolve;
      });
    }
  }

  private purge(): Promise<void> {
    const { manager, stream, problem } = this.with;
    this.purging = this.purging.then(async () => {
      const upTo = this.purgeUpTo;
      if (upTo === this.purged) return;
      try {
        await manager.streams.purge(stream, { seq: upTo + 1 });
        this.purged = upTo;
        problem(null);
      } catch (error) {
        // It is tried with the next one; what is read again is known by then to be stored.
        problem(`${stream} can't be purged up to ${upTo}`, error);
      }
    });
    return this.purging;
  }
}
