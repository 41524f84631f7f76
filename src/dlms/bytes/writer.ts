/** Writes big-endian numbers and runs of octets into a buffer that grows. Values out of range are cut to their width. */
export class Writer {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Claims `count` octets and returns the offset where they begin. */
  #claim(count: number): number {
    const start = this.#length;
    const needed = start + count;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, start);
      this.#buffer = grown;
    }
    this.#length = needed;
    return start;
  }

  unsigned8(value: number): void {
    const at = this.#claim(1);
    this.#buffer[at] = value;
  }

  unsigned16(value: number): void {
    const at = this.#claim(2);
    this.#buffer[at] = value >>> 8;
    this.#buffer[at + 1] = value;
  }

  unsigned24(value: number): void {
    this.unsigned8(value >>> 16);
    this.unsigned16(value);
  }

  unsigned32(value: number): void {
    const at = this.#claim(4);
    this.#buffer[at] = value >>> 24;
    this.#buffer[at + 1] = value >>> 16;
    this.#buffer[at + 2] = value >>> 8;
    this.#buffer[at + 3] = value;
  }

  integer8(value: number): void {
    this.unsigned8(value);
  }

  integer16(value: number): void {
    this.unsigned16(value);
  }

  integer32(value: number): void {
    this.unsigned32(value);
  }

  unsigned64(value: number | bigint): void {
    const at = this.#claim(8);
    this.#buffer.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)), at);
  }

  integer64(value: number | bigint): void {
    this.unsigned64(value);
  }

  float32(value: number): void {
    const at = this.#claim(4);
    this.#buffer.writeFloatBE(value, at);
  }

  float64(value: number): void {
    const at = this.#claim(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  octets(octets: Uint8Array): void {
    const at = this.#claim(octets.length);
    this.#buffer.set(octets, at);
  }

  /** What was written, as a buffer of its own. The writer may be used on. */
  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }
}
