/** Who is due next among many: a binary heap of (instant, number). Equal instants come in order of their numbers. */
export class DueQueue {
  #instants: number[] = [];
  #numbers: number[] = [];

  get size(): number {
    return this.#instants.length;
  }

  /** Instant of the first, Infinity where nobody is in it. */
  get nextMs(): number {
    return this.#instants[0] ?? Number.POSITIVE_INFINITY;
  }

  add(instantMs: number, number: number): void {
    let at = this.#instants.length;
    this.#instants.push(instantMs);
    this.#numbers.push(number);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#before(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  /** Takes the first out. @throws RangeError where nobody is in it */
  take(): number {
    const first = this.#numbers[0];
    if (first === undefined) throw new RangeError("the queue is empty");
    const last = this.#instants.length - 1;
    this.#swap(0, last);
    this.#instants.pop();
    this.#numbers.pop();
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= last) return first;
      const right = left + 1;
      const below = right < last && this.#before(right, left) ? right : left;
      if (!this.#before(below, at)) return first;
      this.#swap(at, below);
      at = below;
    }
  }

  #before(a: number, b: number): boolean {
    const difference = this.#instants[a]! - this.#instants[b]!;
    return difference < 0 || (difference === 0 && this.#numbers[a]! < this.#numbers[b]!);
  }

  #swap(a: number, b: number): void {
    const instant = this.#instants[a]!;
    this.#instants[a] = this.#instants[b]!;
    this.#instants[b] = instant;
    const number = this.#numbers[a]!;
    this.#numbers[a] = this.#numbers[b]!;
    this.#numbers[b] = number;
  }
}
