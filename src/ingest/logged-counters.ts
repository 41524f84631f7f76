import {
  acceptCounter,
  type CounterState,
  rememberDigest,
  textOfDigest,
} from "../dlms/security/invocation-counter.ts";

/** Whose counter: kept per key, originator and client SAP. */
export interface CounterName {
  readonly keyId: number;
  /** 16 hex digits in lower case. */
  readonly systemTitle: string;
  readonly clientSap: number;
}

/** A frame whose verdict stands in the durable log. */
export interface LoggedFrame extends CounterName {
  readonly counter: number;
  readonly digest: Buffer;
  /** Whether it moved the counter. */
  readonly moved: boolean;
}

/** Counters as the frames in the durable log say that are not in the database yet. */
export class LoggedCounters {
  private readonly states = new Map<string, CounterState & { unapplied: number }>();
  private readonly onApplied: (frame: LoggedFrame) => void;

  /** @param onApplied told of every frame that is in the database, before the log forgets it */
  constructor(onApplied: (frame: LoggedFrame) => void = () => undefined) {
    this.onApplied = onApplied;
  }

  /** A frame is in the log: accepted now, or found there when it was opened. */
  log(frame: LoggedFrame): void {
    const key = keyOfCounter(frame);
    let state = this.states.get(key);
    if (state === undefined) {
      state = { high: null, digests: [], unapplied: 0 };
      this.states.set(key, state);
    }
    state.unapplied++;
    const { counter, digest, moved } = frame;
    if (moved) acceptCounter(state, counter, digest);
    else rememberDigest(state, { counter, digest: textOfDigest(digest) });
  }

  /** A frame of the log is in the database. */
  applied(frame: LoggedFrame): void {
    this.onApplied(frame);
    this.released(frame);
  }

  /** A frame that the log did not take is in the database. */
  stored(frame: LoggedFrame): void {
    this.onApplied(frame);
  }

  /** The log did not take it, or has it no longer. */
  released(name: CounterName): void {
    const key = keyOfCounter(name);
    const state = this.states.get(key);
    if (state !== undefined && --state.unapplied <= 0) this.states.delete(key);
  }

  /** `stored` with what the log adds to it: the mark is the higher of both. */
  addTo(stored: CounterState, name: CounterName): CounterState {
    const logged = this.states.get(keyOfCounter(name));
    if (logged === undefined) return stored;
    for (const accepted of logged.digests) rememberDigest(stored, accepted);
    if (logged.high !== null && logged.high > (stored.high ?? -1)) stored.high = logged.high;
    return stored;
  }
}

export function keyOfCounter({ keyId, systemTitle, clientSap }: CounterName): string {
  return `${keyId}/${systemTitle}/${clientSap}`;
}
