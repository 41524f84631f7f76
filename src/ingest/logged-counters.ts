import { type CounterState, type FrameDigest, rememberDigest } from "../dlms/security/invocation-counter.ts";
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

/** Of one counter. */
interface LoggedState {
  /** Highest counter that a frame moved it to; null: none did. */
  high: number | null;
  readonly digests: LoggedFrame[];
  /** Frames that aren't in the database, and questions to it on their way. */
  unapplied: number;
}

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

  /** Keeps what is known of a counter while the database is asked for it, whose answer may be from before what is applied meanwhile. */
  hold({ text }: CounterName): void {
    this.states.of(text).unapplied++;
  }

  /** The answer was taken. */
  letGo(name: CounterName): void {
    this.released(name);
  }

  /** A frame is in the log: accepted now, or found there when it was opened. */
  log(frame: LoggedFrame): void {
    const state = this.states.of(frame.name.text);
    state.unapplied++;
    state.high = highest(state.high, frame);
    rememberDigest(state, frame);
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

  /** The log did not take it: should nothing else make it safe, it is taken when it is sent again. */
  refused(frame: LoggedFrame): void {
    const state = this.states.peek(frame.name.text);
    const at = state?.digests.lastIndexOf(frame) ?? -1;
    if (at >= 0) {
      state!.digests.splice(at, 1);
      if (frame.moved) state!.high = state!.digests.reduce(highest, null);
    }
    this.released(frame.name);
  }

  private released({ text }: CounterName): void {
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

const highest = (high: number | null, { counter, moved }: LoggedFrame): number | null =>
  moved && counter > (high ?? -1) ? counter : high;
