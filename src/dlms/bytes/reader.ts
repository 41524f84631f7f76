import { DecodeError } from "./errors.ts";
import type { Span } from "./span.ts";

const TWO_32 = 0x1_0000_0000;
/** Above this high word an unsigned 64-bit number is no longer a safe integer. */
const SAFE_HIGH = 0x1f_ffff;

/** Receives what a reader reads, part by part; only `hes decode --explain` sets one. */
export interface ReadTrace {
  begin(name: string, offset: number): void;
  end(offset: number, value: unknown): void;
}

/**
 * Reads big-endian numbers and runs of octets from a stretch of a buffer and never past its end: every method throws
 * DecodeError "truncated" instead. Offsets are those of the underlying buffer, so that errors and traces of a
 * sub-reader point into what was received.
 */
export class Reader {
  readonly buffer: Buffer;
  offset: number;
  readonly end: number;
  trace: ReadTrace | null;

  constructor(octets: Buffer, from = 0, to = octets.length) {
    this.buffer = octets;
    this.offset = from;
    this.end = to;
    this.trace = null;
  }

  remaining(): number {
    return this.end - this.offset;
  }

  /** Claims `count` octets and returns the offset where they begin. */
  advance(count: number): number {
    const start = this.offset;
    if (count > this.end - start) throw truncated(start, count, this.end);
    this.offset = start + count;
    return start;
  }

  peek(): number {
    if (this.offset >= this.end) throw truncated(this.offset, 1, this.end);
    return this.buffer[this.offset]!;
  }

  unsigned8(): number {
    return this.buffer[this.advance(1)]!;
  }

  unsigned16(): number {
    const at = this.advance(2);
    return (this.buffer[at]! << 8) | this.buffer[at + 1]!;
  }

  unsigned24(): number {
    const at = this.advance(3);
    return (this.buffer[at]! << 16) | (this.buffer[at + 1]! << 8) | this.buffer[at + 2]!;
  }

  unsigned32(): number {
    return this.integer32() >>> 0;
  }

  integer8(): number {
    return (this.buffer[this.advance(1)]! << 24) >> 24;
  }

  integer16(): number {
    const at = this.advance(2);
    return ((this.buffer[at]! << 24) >> 16) | this.buffer[at + 1]!;
  }

  integer32(): number {
    const at = this.advance(4);
    const octets = this.buffer;
    return (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!;
  }

  /** A number where it is a safe integer, else a bigint. */
  unsigned64(): number | bigint {
    const at = this.advance(8);
    this.offset = at;
    const high = this.unsigned32();
    const low = this.unsigned32();
    return high <= SAFE_HIGH ? high * TWO_32 + low : (BigInt(high) << 32n) | BigInt(low);
  }

  /** A number where it is a safe integer, else a bigint. */
  integer64(): number | bigint {
    const at = this.advance(8);
    this.offset = at;
    const high = this.integer32();
    const low = this.unsigned32();
    const safe = high <= SAFE_HIGH && (high >= -SAFE_HIGH || (high === -SAFE_HIGH - 1 && low > 0));
    if (safe) return high * TWO_32 + low;
    return (BigInt(high) << 32n) | BigInt(low);
  }

  float32(): number {
    return this.buffer.readFloatBE(this.advance(4));
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.advance(8));
  }

  /** A view of the next octets: it keeps the whole buffer alive, so copy what outlives the push. */
  octets(count: number): Buffer {
    const at = this.advance(count);
    return this.buffer.subarray(at, at + count);
  }

  /** The next octets as a stretch of the buffer: cheaper than a view, and not kept longer. */
  span(count: number): Span {
    const from = this.advance(count);
    return { octets: this.buffer, from, to: from + count };
  }

  /** A reader for the next `count` octets that can't run past them. */
  sub(count: number): Reader {
    const at = this.advance(count);
    const inner = new Reader(this.buffer, at, at + count);
    inner.trace = this.trace;
    return inner;
  }

  /** Throws DecodeError "trailing" where octets are left over. */
  expectEnd(): void {
    if (this.offset < this.end) {
      const count = this.end - this.offset;
      const text = count === 1 ? "an octet is left over" : `${count} octets are left over`;
      throw new DecodeError("trailing", this.offset, `${text} after the end`);
    }
  }
}

function truncated(start: number, count: number, end: number): DecodeError {
  return new DecodeError("truncated", start, `${count} octets needed, ${end - start} left`);
}
