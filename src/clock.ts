/** Time as the ingest and the durable log see it, so that tests and the simulation can turn it. */
export interface Clock {
  /** Milliseconds since 1970 UTC; may step. */
  readonly now: () => number;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic: () => number;
  /** Calls once, `ms` from now. What it gives back cancels the call. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** Calls once, after what is readable now was read. */
  readonly soon: (call: () => void) => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
  soon: (call) => void setImmediate(call),
};
