/**
 * The three answers of everything that cuts a stream of octets into frames: a frame, "not enough yet", or "these octets
 * belong to nothing, and are gone". The last two are never mixed up: only the second one is worth waiting for.
 */
export type Deframed<T> = { readonly kind: "frame"; readonly value: T } | NeedMore | Discarded;

export interface NeedMore {
  readonly kind: "need-more";
}

export interface Discarded {
  readonly kind: "discarded";
  /** Octets that were skipped. */
  readonly count: number;
  readonly reason: "malformed" | "limit";
  /** What was wrong with the first of them. */
  readonly text: string;
}

export const NEED_MORE: NeedMore = { kind: "need-more" };

/** Why there is no frame at the octet that was looked at. */
export interface Rejection {
  readonly kind: "rejected";
  readonly reason: "malformed" | "limit";
  readonly text: string;
}

/** What one look at the present octet gives; see `Deframed` for what the user of a deframer gets. */
export type Attempt<T> = { readonly kind: "frame"; readonly value: T } | NeedMore | Rejection;

export function rejection(text: string, reason: "malformed" | "limit" = "malformed"): Rejection {
  return { kind: "rejected", reason, text };
}

/**
 * Skipped octets on their way to becoming one answer: noise of 64 KiB is one report with the reason of its first octet,
 * not thousands.
 */
export class DiscardTally {
  #count = 0;
  #first: Rejection | null = null;

  add(count: number, why: Rejection): void {
    this.#count += count;
    this.#first ??= why;
  }

  /** Null where nothing was skipped since the last call. */
  take(): Discarded | null {
    if (this.#first === null) return null;
    const { reason, text } = this.#first;
    const count = this.#count;
    this.#count = 0;
    this.#first = null;
    return count === 0 ? null : { kind: "discarded", count, reason, text };
  }
}
