import { PollError, type PollPurpose } from "./meter-association.ts";

/** Something of which so many may be used at once: a meter, a host, a network, a serial line. */
export interface Bound {
  readonly name: string;
  readonly max: number;
  /** Time between two that begin, in ms. */
  readonly intervalMs?: number;
}

const RANK: Record<PollPurpose, number> = { "on-demand": 0, command: 1, scheduled: 2, gap: 3 };

interface Waiting {
  readonly bounds: readonly Bound[];
  readonly rank: number;
  readonly grant: () => void;
}

/**
 * Who may talk now. What is asked for by people goes before what is due, and that before what fills gaps; within the same rank the
 * first to come is the first to go that fits.
 */
export class Turns {
  readonly #used = new Map<string, number>();
  readonly #lastStart = new Map<string, number>();
  readonly #waiting: Waiting[] = [];
  readonly #now: () => number;
  #timer: NodeJS.Timeout | null = null;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Resolves to the function that gives the turn back. @throws PollError `aborted` */
  take(bounds: readonly Bound[], purpose: PollPurpose, signal?: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted());
      const give = () => {
        let given = false;
        signal?.removeEventListener("abort", abort);
        resolve(() => {
          if (given) return;
          given = true;
          for (const { name } of bounds) this.#leave(name);
          this.#grant();
        });
      };
      const waiting: Waiting = { bounds, rank: RANK[purpose], grant: give };
      const abort = () => {
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(aborted());
      };
      signal?.addEventListener("abort", abort, { once: true });
      const at = this.#waiting.findIndex(({ rank }) => rank > waiting.rank);
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, waiting);
      this.#grant();
    });
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  #grant(): void {
    let soonest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#waiting.length; ) {
      const waiting = this.#waiting[at]!;
      const inMs = this.#waitFor(waiting.bounds);
      if (inMs > 0) {
        soonest = Math.min(soonest, inMs);
        at++;
        continue;
      }
      this.#waiting.splice(at, 1);
      for (const bound of waiting.bounds) this.#enter(bound);
      waiting.grant();
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = Number.isFinite(soonest) ? setTimeout(() => this.#grant(), soonest) : null;
    this.#timer?.unref();
  }

  /** 0: now; infinity: when somebody leaves; else ms until the pace allows it. */
  #waitFor(bounds: readonly Bound[]): number {
    let wait = 0;
    for (const { name, max, intervalMs = 0 } of bounds) {
      if ((this.#used.get(name) ?? 0) >= max) return Number.POSITIVE_INFINITY;
      const last = this.#lastStart.get(name);
      if (intervalMs > 0 && last !== undefined) wait = Math.max(wait, last + intervalMs - this.#now());
    }
    return wait;
  }

  #enter({ name, intervalMs = 0 }: Bound): void {
    this.#used.set(name, (this.#used.get(name) ?? 0) + 1);
    if (intervalMs > 0) this.#lastStart.set(name, this.#now());
  }

  #leave(name: string): void {
    const left = (this.#used.get(name) ?? 1) - 1;
    if (left > 0) this.#used.set(name, left);
    else this.#used.delete(name);
  }
}

const aborted = () => new PollError("aborted", "given up before its turn came");
