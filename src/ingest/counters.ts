import { boundedCache } from "../bounded-cache.ts";
import type { CounterState } from "../dlms/security/invocation-counter.ts";
import type { CounterName } from "../storage/counter-name.ts";
import type { CounterStore } from "../storage/ingest-stores.ts";
import type { LoggedCounters } from "./logged-counters.ts";
import { lookUp, type Patience, type Steps } from "./steps.ts";

/** Counters kept in memory; each has up to 64 digests. */
const COUNTERS_MAX = 50_000;
/** What was answered without the database is asked for again after this. */
const PROVISIONAL_MS = 10_000;

/**
 * The received counters, read from the database when a meter is first heard and then moved in memory as frames are accepted. What stands in
 * the durable log and not yet in the database counts as well.
 */
export class Counters {
  readonly logged: LoggedCounters;
  private readonly store: CounterStore;
  private readonly patience: Patience;
  private readonly states = boundedCache<CounterState>(COUNTERS_MAX);

  constructor(store: CounterStore, logged: LoggedCounters, patience: Patience) {
    this.store = store;
    this.logged = logged;
    this.patience = patience;
  }

  /** undefined: not in memory, to be loaded. */
  peek(name: CounterName): CounterState | undefined {
    return this.states.get(name.text);
  }

  *load(name: CounterName): Steps<CounterState> {
    const { keyId, systemTitle, clientSap, text } = name;
    this.logged.hold(name);
    try {
      const stored = yield* lookUp(
        () => this.store.loadCounter(keyId, systemTitle, clientSap),
        this.patience,
      );
      const digests = [...stored.digests].sort((a, b) => a.counter - b.counter);
      // Another connection may have asked at the same time; its state has moved already.
      const state = this.states.get(text) ?? this.logged.addTo({ high: stored.high, digests }, name);
      this.states.set(text, state, stored.isProvisional === true ? { ttl: PROVISIONAL_MS } : {});
      return state;
    } finally {
      this.logged.letGo(name);
    }
  }

  /** After a push that was accepted could not be stored, or another daemon moved the counter: the database knows better. */
  forget(name: CounterName): void {
    this.states.delete(name.text);
  }
}
