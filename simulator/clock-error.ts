import { between, fraction, mix } from "./random.ts";

/** How many meters have a clock that is wrong: shares of the fleet, 0 … 1. */
export interface ClockErrors {
  /** Goes too fast or too slow, by up to two minutes a day. */
  readonly drift: number;
  /** Jumps once within the first hour, by up to a quarter of an hour either way. */
  readonly jump: number;
}

const DRIFT_MAX_SECONDS = 120;
const JUMP_MAX_SECONDS = 900;
const JUMP_WITHIN_MS = 3_600_000;
const MS_PER_DAY = 86_400_000;

/** By how much a meter's clock is ahead of the fleet's, in ms. Negative where it is behind. */
export class ClockError {
  /** When it jumps, on the fleet's clock; Infinity where it doesn't, or did. */
  jumpAtMs = Number.POSITIVE_INFINITY;
  readonly #startMs: number;
  readonly #perDayMs: number;
  readonly #jumpMs: number;
  #offsetMs = 0;

  /** @param seed the meter's own */
  constructor(errors: ClockErrors, seed: number, startMs: number) {
    this.#startMs = startMs;
    const drifts = fraction(mix(seed, 81), 0) < errors.drift;
    this.#perDayMs = drifts ? between(seed, 82, -DRIFT_MAX_SECONDS, DRIFT_MAX_SECONDS) * 1_000 : 0;
    this.#jumpMs = Math.round(between(seed, 83, -JUMP_MAX_SECONDS, JUMP_MAX_SECONDS)) * 1_000;
    if (fraction(mix(seed, 84), 0) < errors.jump) {
      this.jumpAtMs = startMs + between(seed, 85, 0, JUMP_WITHIN_MS);
    }
  }

  at(fleetMs: number): number {
    return this.#offsetMs + ((fleetMs - this.#startMs) / MS_PER_DAY) * this.#perDayMs;
  }

  /** Somebody sets it ahead by so much, or back. */
  shift(byMs: number): void {
    this.#offsetMs += byMs;
  }

  /** Jumps, once. */
  jump(): void {
    this.shift(this.#jumpMs);
    this.jumpAtMs = Number.POSITIVE_INFINITY;
  }
}
