import type { Job } from "./line-job.ts";
import { owned } from "./owned.ts";

/** A push that was handed to a connection: as much of it as is needed to send it once more. */
export type SentPush = Pick<Job, "octets" | "sentAtMs" | "onPlain">;

/** So many, not older than so long. */
const KEPT_MAX = 60;
const KEPT_MS = 300_000;

/** Pushes that a connection may have taken along when it broke, in their order. Whatever was sent longer ago has arrived, or never will. */
export class Doubtful {
  #pushes: SentPush[] = [];

  get count(): number {
    this.#forget();
    return this.#pushes.length;
  }

  add({ octets, sentAtMs, onPlain }: SentPush): void {
    this.#forget();
    if (this.#pushes.length >= KEPT_MAX) this.#pushes.shift();
    this.#pushes.push({ octets: owned(octets), sentAtMs, onPlain });
  }

  /** Hands them out; none is left. */
  take(): SentPush[] {
    this.#forget();
    return this.#pushes.splice(0);
  }

  #forget(): void {
    const since = Date.now() - KEPT_MS;
    while (this.#pushes.length > 0 && this.#pushes[0]!.sentAtMs < since) this.#pushes.shift();
  }
}
