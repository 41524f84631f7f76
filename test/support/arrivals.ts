/** Things that come one after another, to be waited for one after another. */
export class Arrivals<T> {
  readonly #there: T[] = [];
  readonly #waiting: ((value: T) => void)[] = [];

  readonly add = (value: T): void => {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#there.push(value);
  };

  next(): Promise<T> {
    if (this.#there.length > 0) return Promise.resolve(this.#there.shift()!);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
