/** A push that was handed to a connection. */
export interface SentJob {
  /** When that was last, real ms since 1970. */
  readonly sentAtMs: number;
}

/** So many, not older than so long. */
const KEPT_MAX = 60;
const KEPT_MS = 300_000;

/** Pushes that a connection may have taken along when it broke, in their order. Whatever was sent longer ago has arrived, or never will. */
export class Doubtful<Job extends SentJob> {
  #jobs: Job[] = [];

  get count(): number {
    this.#forget();
    return this.#jobs.length;
  }

  add(job: Job): void {
    this.#forget();
    if (this.#jobs.length >= KEPT_MAX) this.#jobs.shift();
    this.#jobs.push(job);
  }

  /** Hands them out; none is left. */
  take(): Job[] {
    this.#forget();
    return this.#jobs.splice(0);
  }

  #forget(): void {
    const since = Date.now() - KEPT_MS;
    while (this.#jobs.length > 0 && this.#jobs[0]!.sentAtMs < since) this.#jobs.shift();
  }
}
