import type { Clock } from "../../clock.ts";

/** How long a partition that has failed is left alone. */
const REST_MS = 500;

/**
 * Whether a partition takes records. One that has failed is tried with one record at a time, after a rest; all others are refused at once
 * meanwhile: what is refused comes to COMMIT in time to be acknowledged, what has waited for a stream without a leader does not.
 */
export class Breaker {
  private readonly clock: Pick<Clock, "monotonic">;
  private trouble: string | null = null;
  private restUntil = Number.NEGATIVE_INFINITY;
  private isTrying = false;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.clock = clock;
  }

  /** Whether records are refused; of one that nothing was sent to since it rested nobody knows. */
  get isOpen(): boolean {
    return this.trouble !== null && (this.isTrying || this.clock.monotonic() < this.restUntil);
  }

  /** Why a record is refused; null: it is to be tried, and how that ended to be told. */
  refusal(): string | null {
    if (this.isOpen) return this.trouble;
    this.isTrying = this.trouble !== null;
    return null;
  }

  succeeded(): void {
    this.trouble = null;
    this.isTrying = false;
  }

  failed(text: string): void {
    this.trouble = text;
    this.isTrying = false;
    this.restUntil = this.clock.monotonic() + REST_MS;
  }
}
