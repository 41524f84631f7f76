/** What a fleet lives by: milliseconds since 1970 UTC, and how long to wait in real time until an instant comes. */
export interface Clock {
  /** Lets it run; until then it shows its first instant. */
  start(): void;
  now(): number;
  /** Real milliseconds until the clock shows `instantMs`; 0 or less where it has passed. */
  realMsUntil(instantMs: number): number;
}

/**
 * A clock that shows `startMs` until it is started and then runs `speed` times as fast as `realNow`.
 * @param realNow milliseconds since 1970 UTC of the world
 */
export function acceleratedClock(startMs: number, speed: number, realNow: () => number): Clock {
  let startedAt: number | null = null;
  const now = () => (startedAt === null ? startMs : startMs + (realNow() - startedAt) * speed);
  return {
    start: () => {
      startedAt ??= realNow();
    },
    now,
    realMsUntil: (instantMs) => (instantMs - now()) / speed,
  };
}
