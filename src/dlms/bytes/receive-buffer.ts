const EMPTY = Buffer.alloc(0);
const SMALLEST = 256;

/**
 * Octets that have been received and not yet been used, as the range `from`–`to` of `octets`.
 *
 * A chunk that finds the buffer empty is looked at in place. Only what is left of a chunk when the next one comes is
 * copied, into a buffer that grows by doubling, so that octets arriving one by one cost no more than linear time.
 * Views of `octets` are valid until the next `push`.
 */
export class ReceiveBuffer {
  octets: Buffer = EMPTY;
  from = 0;
  to = 0;
  /** Octets ever skipped: the offset of `from` in the stream. */
  position = 0;
  #own = false;

  get length(): number {
    return this.to - this.from;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.from === this.to) {
      this.octets = chunk;
      this.from = 0;
      this.to = chunk.length;
      this.#own = false;
      return;
    }
    this.#makeRoom(chunk.length);
    if (chunk.length === 1) this.octets[this.to] = chunk[0]!;
    else chunk.copy(this.octets, this.to);
    this.to += chunk.length;
  }

  /** Gives up `count` octets, which must not be more than there are. */
  skip(count: number): void {
    this.from += count;
    this.position += count;
  }

  /** Gives up all of them, to somebody else: a copy. */
  takeAll(): Buffer {
    const all = Buffer.from(this.octets.subarray(this.from, this.to));
    this.skip(all.length);
    return all;
  }

  #makeRoom(count: number): void {
    if (this.#own && this.to + count <= this.octets.length) return;
    const pending = this.to - this.from;
    const needed = pending + count;
    if (this.#own && needed * 2 <= this.octets.length) {
      this.octets.copyWithin(0, this.from, this.to);
    } else {
      const grown = Buffer.allocUnsafeSlow(Math.max(SMALLEST, needed * 2));
      this.octets.copy(grown, 0, this.from, this.to);
      this.octets = grown;
      this.#own = true;
    }
    this.from = 0;
    this.to = pending;
  }
}
