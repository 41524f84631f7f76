import type { Clock } from "../clock.ts";
import { StorageError } from "../storage/storage-error.ts";

/**
 * Steps that run without waiting while everything they need is in memory, and wait where it is not. A push that is served from
 * caches passes in one go, without a promise; `yield*` a `lookUp` where the database has to be asked.
 */
export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** Begins steps and runs them; calls `done` at once where they never wait, else when they are through. */
export function run<T>(
  begin: () => Steps<T>,
  done: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  let steps: Steps<T>;
  const advance = (step: () => IteratorResult<Promise<unknown>, T>) => {
    let result: IteratorResult<Promise<unknown>, T>;
    try {
      result = step();
    } catch (error) {
      failed(error);
      return;
    }
    if (result.done) done(result.value);
    else {
      result.value.then(
        (value) => advance(() => steps.next(value)),
        (error) => advance(() => steps.throw(error)),
      );
    }
  };
  advance(() => {
    steps = begin();
    return steps.next();
  });
}

/** How long the database is waited for: until everything stops. */
export interface Patience {
  readonly stop: AbortSignal;
  readonly clock: Clock;
  /** Nothing is waited for: what needs a database that is away is done later. */
  readonly none?: boolean;
}

/** Thrown into steps that wait for a database when the daemon stops. */
export class StoppedError extends Error {
  constructor() {
    super("stopped while waiting for the database");
    this.name = "StoppedError";
  }
}

/** Whether an error says no more than that the database can't be reached just now. */
export function isAway(error: unknown): boolean {
  return error instanceof StorageError && error.retryable;
}

const RETRY_MS = [100, 200, 500, 1_000, 2_000];

/** Waits for an answer of the database, for as long as the database is away. Throws StoppedError after an abort. */
export function* lookUp<T>(ask: () => Promise<T>, patience: Patience): Steps<T> {
  return (yield untilAvailable(ask, patience)) as T;
}

/** The same as a promise. */
export async function untilAvailable<T>(ask: () => Promise<T>, patience: Patience): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (patience.none || !isAway(error)) throw error;
    }
    if (patience.stop.aborted) throw new StoppedError();
    const pauseMs = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]!;
    await pause(pauseMs, patience);
  }
}

/** Resolves after a time, or when everything stops. */
function pause(ms: number, { stop, clock }: Patience): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      stop.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    stop.addEventListener("abort", done);
  });
}
