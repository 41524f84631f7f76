/** What a fleet lives by: milliseconds since 1970 UTC, and how long to wait in real time until an instant comes. */
export interface Clock {
  now(): number;
  /** Real milliseconds until the clock shows `instantMs`; 0 or less where it has passed. */
  realMsUntil(instantMs: number): number;
}

/**
 * A clock that shows `startMs` when it is made and then runs `speed` times as fast as `realNow`.
 * @param realNow milliseconds since 1970 UTC of the world
 */
export function acceleratedClock(startMs: number, speed: number, realNow: () => number): Clock {
  const madeAt = realNow();
  const now = () => startMs + (realNow() - madeAt) * speed;
  return { now, realMsUntil: (instantMs) => (instantMs - now()) / speed };
}
