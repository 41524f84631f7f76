import type { SentCounter } from "../dlms/association/protection.ts";

/** Where counters are reserved, and what meters have sent is kept. */
export interface CounterStore {
  /** Counters above `above` that nobody else gets; null where the key is used up. */
  reserve(keyId: number, count: number, above: number): Promise<{ after: number; until: number } | null>;
  /** Whether any were ever reserved for the key. */
  isKnown(keyId: number): Promise<boolean>;
  received(keyId: number, clientSap: number): Promise<number>;
  noteReceived(keyId: number, clientSap: number, received: number): Promise<void>;
}

/** Counters of one key that are reserved and not used yet. */
export class CounterLease implements SentCounter {
  readonly #keyId: number;
  readonly #store: CounterStore;
  readonly #blockSize: number;
  #last = 0;
  #until = 0;
  #reserving: Promise<boolean> | null = null;

  constructor(keyId: number, store: CounterStore, blockSize: number) {
    this.#keyId = keyId;
    this.#store = store;
    this.#blockSize = blockSize;
  }

  take(): number | null {
    if (this.#last >= this.#until) return null;
    return ++this.#last;
  }

  /** How many `take` will give. */
  get left(): number {
    return this.#until - this.#last;
  }

  /** The highest counter that was used, or that a meter has told. */
  get raised(): number {
    return this.#last;
  }

  /** What is used next is above this: a meter has seen it already. */
  raise(above: number): void {
    if (above > this.#last) this.#last = above;
    if (this.#last > this.#until) this.#until = this.#last;
  }

  /** Reserves a block, durably. False where the key is used up. */
  reserve(): Promise<boolean> {
    this.#reserving ??= this.#reserve().finally(() => {
      this.#reserving = null;
    });
    return this.#reserving;
  }

  async #reserve(): Promise<boolean> {
    const block = await this.#store.reserve(this.#keyId, this.#blockSize, this.#last);
    if (block === null) return false;
    // Another process may have had the counters in between.
    if (block.after !== this.#until) this.#last = Math.max(this.#last, block.after);
    this.#until = block.until;
    return true;
  }
}

/** The leases of one process: associations that use the same key take from the same. */
export class CounterLeases {
  readonly store: CounterStore;
  readonly #blockSize: number;
  readonly #leases = new Map<number, CounterLease>();

  constructor(store: CounterStore, blockSize: number) {
    this.store = store;
    this.#blockSize = blockSize;
  }

  of(keyId: number): CounterLease {
    let lease = this.#leases.get(keyId);
    if (lease === undefined) {
      lease = new CounterLease(keyId, this.store, this.#blockSize);
      this.#leases.set(keyId, lease);
    }
    return lease;
  }
}
