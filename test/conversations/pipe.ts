/** Mulberry32: the same numbers for the same seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Faults {
  /** Probabilities, each per chunk. */
  readonly lose: number;
  readonly duplicate: number;
  readonly corrupt: number;
  readonly split: number;
  /** Octets of noise in front of a chunk. */
  readonly noise: number;
  /** Longest delay of a chunk; chunks stay in their order. */
  readonly delayMs: number;
  /** Chunks are datagrams: never split. */
  readonly datagrams?: boolean;
}

export const NO_FAULTS: Faults = { lose: 0, duplicate: 0, corrupt: 0, split: 0, noise: 0, delayMs: 0 };

/** One direction of a line: what is put in comes out later, in order, and not always whole. */
export class Pipe {
  readonly #faults: Faults;
  readonly #random: () => number;
  readonly #underway: { at: number; octets: Buffer }[] = [];

  constructor(faults: Faults, numbers: () => number) {
    this.#faults = faults;
    this.#random = numbers;
  }

  put(octets: Buffer, now: number): void {
    const { lose, duplicate, split, datagrams } = this.#faults;
    const pieces = !datagrams && this.#random() < split ? halves(octets, this.#random) : [octets];
    for (const piece of pieces) {
      if (this.#random() < lose) continue;
      this.#push(this.#damaged(piece), now);
      if (this.#random() < duplicate) this.#push(piece, now);
    }
  }

  /** When the next chunk comes out; null: nothing is on its way. */
  next(): number | null {
    return this.#underway[0]?.at ?? null;
  }

  take(now: number): Buffer | null {
    const first = this.#underway[0];
    if (first === undefined || first.at > now) return null;
    this.#underway.shift();
    return first.octets;
  }

  #push(octets: Buffer, now: number): void {
    const last = this.#underway.at(-1)?.at ?? now;
    this.#underway.push({ at: Math.max(last, now + this.#random() * this.#faults.delayMs), octets });
  }

  #damaged(octets: Buffer): Buffer {
    const { corrupt, noise } = this.#faults;
    let out = octets;
    if (this.#random() < corrupt) {
      out = Buffer.from(out);
      out[Math.floor(this.#random() * out.length)]! ^= 1 << Math.floor(this.#random() * 8);
    }
    if (this.#random() < noise) {
      const extra = Buffer.from(
        Array.from({ length: 1 + Math.floor(this.#random() * 8) }, () => this.#random() * 256),
      );
      out = Buffer.concat([extra, out]);
    }
    return out;
  }
}

function halves(octets: Buffer, numbers: () => number): Buffer[] {
  const at = 1 + Math.floor(numbers() * (octets.length - 1));
  return octets.length < 2 ? [octets] : [octets.subarray(0, at), octets.subarray(at)];
}
