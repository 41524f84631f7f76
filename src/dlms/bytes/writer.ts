/** Of one UTF-16 code unit. */
const UTF8_OCTETS_MAX = 3;
/** Shorter texts are written faster here than by a call into the runtime. */
const SHORT_TEXT_MAX = 40;

/** False where the text is long, or not all ASCII. */
function asciiInto(buffer: Buffer, text: string, at: number): boolean {
  if (text.length > SHORT_TEXT_MAX) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return false;
    buffer[at + index] = code;
  }
  return true;
}

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

  /** Octets that are kept as a text, a character each. */
  latin1(octets: string): void {
    const at = this.#claim(octets.length);
    for (let index = 0; index < octets.length; index++) this.#buffer[at + index] = octets.charCodeAt(index);
  }

  /** A text as UTF-8; returns how many octets that were. */
  text(text: string): number {
    const start = this.#claim(text.length * UTF8_OCTETS_MAX);
    const octets = asciiInto(this.#buffer, text, start) ? text.length : this.#buffer.write(text, start);
    this.#length = start + octets;
    return octets;
  }

  /** Sets one octet that was written before. */
  patch8(at: number, value: number): void {
    this.#buffer[at] = value;
  }

  /** Forgets what was written behind the first `length` octets, and keeps the room. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  /** What was written, as a buffer of its own. The writer may be used on. */
  finish(): Buffer {
    const octets = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(octets, 0, 0, this.#length);
    return octets;
  }
}
