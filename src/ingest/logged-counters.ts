import {
  acceptCounter,
  type CounterState,
  type FrameDigest,
  rememberDigest,
} from "../dlms/security/invocation-counter.ts";
import type { CounterName } from "../storage/counter-name.ts";
import { RestingEntries } from "./resting-entries.ts";

/** A frame whose verdict stands in the durable log. */
export interface LoggedFrame {
  readonly name: CounterName;
  readonly counter: number;
  readonly digest: FrameDigest;
  /** Whether it moved the counter. */
  readonly moved: boolean;
}

type LoggedState = CounterState & { unapplied: number };

/** Counters as the frames in the durable log say that are not in the database yet. */
export class LoggedCounters {
  private readonly states = new RestingEntries<LoggedState>(
    () => ({ high: null, digests: [], unapplied: 0 }),
    ({ unapplied }) => unapplied === 0,
  );
  private readonly onApplied: (frame: LoggedFrame) => void;

  /** @param onApplied told of every frame that is in the database, before the log forgets it */
  constructor(onApplied: (frame: LoggedFrame) => void = () => undefined) {
    this.onApplied = onApplied;
  }

  /** A frame is in the log: accepted now, or found there when it was opened. */
  log(frame: LoggedFrame): void {
    const { name, counter, digest, moved } = frame;
    const state = this.states.of(name.text);
    state.unapplied++;
    if (moved) acceptCounter(state, counter, digest);
    else rememberDigest(state, { counter, digest });
  }

  /** A frame of the log is in the database. */
  applied(frame: LoggedFrame): void {
    this.onApplied(frame);
    this.released(frame.name);
  }

  /** A frame that the log did not take is in the database. */
  stored(frame: LoggedFrame): void {
    this.onApplied(frame);
  }

  /** The log did not take it, or has it no longer. */
  released({ text }: CounterName): void {
    const state = this.states.peek(text);
    if (state === undefined || state.unapplied === 0 || --state.unapplied > 0) return;
    state.high = null;
    state.digests.length = 0;
  }

  /** `stored` with what the log adds to it: the mark is the higher of both. */
  addTo(stored: CounterState, { text }: CounterName): CounterState {
    const logged = this.states.peek(text);
    if (logged === undefined) return stored;
    for (const accepted of logged.digests) rememberDigest(stored, accepted);
    if (logged.high !== null && logged.high > (stored.high ?? -1)) stored.high = logged.high;
    return stored;
  }
}
