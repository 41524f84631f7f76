import { LRUCache } from "lru-cache";
import type { CounterState } from "../dlms/security/invocation-counter.ts";
import type { CounterStore } from "../storage/ingest-stores.ts";
import { lookUp, type Steps } from "./steps.ts";

/** Counters kept in memory; each has up to 64 digests. */
const COUNTERS_MAX = 50_000;

/** Whose counter: kept per key, originator and client SAP. */
export interface CounterName {
  readonly keyId: number;
  /** 16 hex digits in lower case. */
  readonly systemTitle: string;
  readonly clientSap: number;
}

/** The received counters, read from the database when a meter is first heard and then moved in memory as frames are accepted. */
export class Counters {
  private readonly store: CounterStore;
  private readonly stop: AbortSignal;
  private readonly states = new LRUCache<string, CounterState>({ max: COUNTERS_MAX });

  constructor(store: CounterStore, stop: AbortSignal) {
    this.store = store;
    this.stop = stop;
  }

  *load(name: CounterName): Steps<CounterState> {
    const key = keyOf(name);
    const known = this.states.get(key);
    if (known !== undefined) return known;
    const { keyId, systemTitle, clientSap } = name;
    const stored = yield* lookUp(() => this.store.loadCounter(keyId, systemTitle, clientSap), this.stop);
    const digests = [...stored.digests].sort((a, b) => a.counter - b.counter);
    // Another connection may have asked at the same time; its state has moved already.
    const state = this.states.get(key) ?? { high: stored.high, digests };
    this.states.set(key, state);
    return state;
  }

  /** After a push that was accepted could not be stored, or another daemon moved the counter: the database knows better. */
  forget(name: CounterName): void {
    this.states.delete(keyOf(name));
  }
}

function keyOf({ keyId, systemTitle, clientSap }: CounterName): string {
  return `${keyId}/${systemTitle}/${clientSap}`;
}
