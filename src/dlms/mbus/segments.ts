import type { MbusLongFrame } from "./long-frame.ts";

export type MbusJoined =
  | { readonly kind: "frame"; readonly apdu: Buffer; readonly octets: number }
  | { readonly kind: "need-more" }
  | {
      readonly kind: "discarded";
      readonly count: number;
      readonly reason: "malformed" | "limit";
      readonly text: string;
    };

const NEED_MORE = { kind: "need-more" } as const;
/** Segments may be empty. One that is full holds about 240 octets. */
const SEGMENTS_MAX = 4_096;
/** What a segment costs besides its octets. */
const SEGMENT_OVERHEAD_BYTES = 200;

/**
 * Joins the segments of one APDU: CI 00, 01 … and the last one with bit 4. A segment that is not the expected one ends what has
 * been gathered; segment 0 begins anew. `now` is in milliseconds of a clock that only goes forward.
 */
export class MbusReassembly {
  readonly #apduOctetsMax: number;
  readonly #apduMs: number;
  #parts: Buffer[] = [];
  #octets = 0;
  #lineOctets = 0;
  #since = 0;

  constructor(options: { readonly apduOctetsMax: number; readonly apduMs: number }) {
    this.#apduOctetsMax = options.apduOctetsMax;
    this.#apduMs = options.apduMs;
  }

  /** The APDU of a single frame is a view of it, that of several is a copy. */
  add(frame: MbusLongFrame, now: number): MbusJoined {
    const expected = this.#parts.length & 0x0f;
    if (frame.segmentNumber === 0 && frame.finalSegment && this.#parts.length === 0) {
      return { kind: "frame", apdu: frame.data, octets: frame.octets };
    }
    const lost = frame.segmentNumber === expected ? null : this.#drop("an M-Bus segment is missing");
    // It is lost with what it doesn't follow.
    if (frame.segmentNumber !== 0 && lost !== null) return { ...lost, count: lost.count + frame.octets };
    if (this.#parts.length === 0) this.#since = now;
    this.#parts.push(Buffer.from(frame.data));
    this.#octets += frame.data.length;
    this.#lineOctets += frame.octets;
    if (this.#octets > this.#apduOctetsMax || this.#parts.length > SEGMENTS_MAX)
      return this.#drop("the segments are longer than the limit", "limit");
    if (!frame.finalSegment) return lost !== null && lost.count > 0 ? lost : NEED_MORE;
    const whole = { kind: "frame", apdu: Buffer.concat(this.#parts), octets: this.#lineOctets } as const;
    this.#clear();
    return whole;
  }

  /** Octets of memory that it takes, about. */
  get memoryBytes(): number {
    return this.#octets + this.#parts.length * SEGMENT_OVERHEAD_BYTES;
  }

  /** When `expire` wants to be called; null where no APDU has begun. */
  deadline(): number | null {
    return this.#parts.length === 0 ? null : this.#since + this.#apduMs;
  }

  /** Gives up an APDU whose segments have not all come in time. */
  expire(now: number): MbusJoined | null {
    const deadline = this.deadline();
    return deadline === null || deadline > now
      ? null
      : this.#drop("the last M-Bus segment did not come in time");
  }

  #drop(text: string, reason: "malformed" | "limit" = "malformed"): MbusJoined & { kind: "discarded" } {
    const count = this.#lineOctets;
    this.#clear();
    return { kind: "discarded", count, reason, text };
  }

  #clear(): void {
    this.#parts = [];
    this.#octets = 0;
    this.#lineOctets = 0;
  }
}
