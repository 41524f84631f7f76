import {
  type Attempt,
  type Deframed,
  DiscardTally,
  NEED_MORE,
  type Rejection,
  rejection,
} from "../bytes/deframed.ts";
import { ReceiveBuffer } from "../bytes/receive-buffer.ts";
import { type Wpdu, WRAPPER_HEADER_OCTETS } from "./wpdu.ts";

const BAD_VERSION = rejection("wrapper version is not 1");
const EMPTY = rejection("wrapper PDU without an APDU");
const TOO_LONG = rejection("wrapper PDU is longer than the limit", "limit");
const INCOMPLETE = rejection("wrapper PDU was not completed in time");

/**
 * Cuts a stream into wrapper PDUs. There is no check sequence: a header is believed when its version is 1 and its length
 * within the limit. After a failure the search goes on octet by octet, and a header found that way must also have wPorts
 * below 256 and an APDU behind it that begins with one of `apduTags`: 00 01 is frequent inside APDUs, and inside headers.
 */
export class WrapperDeframer {
  readonly #pending: ReceiveBuffer;
  readonly #payloadOctetsMax: number;
  readonly #apduTags: ReadonlySet<number> | null;
  readonly #discards = new DiscardTally();
  #wanted = 1;
  #found: Attempt<Wpdu> | null = null;
  #lost = false;

  constructor(
    options: { readonly payloadOctetsMax?: number; readonly apduTags?: ReadonlySet<number> } = {},
    pending: ReceiveBuffer = new ReceiveBuffer(),
  ) {
    this.#payloadOctetsMax = options.payloadOctetsMax ?? 0xffff;
    this.#apduTags = options.apduTags ?? null;
    this.#pending = pending;
  }

  /** Views that `next` handed out before are no longer valid. */
  push(chunk: Buffer): void {
    if (this.#found?.kind === "frame") {
      const { value } = this.#found;
      this.#found = { kind: "frame", value: { ...value, payload: Buffer.from(value.payload) } };
    }
    this.#pending.push(chunk);
  }

  next(): Deframed<Wpdu> {
    for (;;) {
      const attempt = this.#found ?? this.attempt();
      this.#found = null;
      if (attempt.kind !== "rejected") {
        const discarded = this.#discards.take();
        if (discarded === null) return attempt;
        if (attempt.kind === "frame") this.#found = attempt;
        return discarded;
      }
      this.#discards.add(this.reject(attempt), attempt);
    }
  }

  /** Octets of a PDU that has begun. */
  get pendingOctets(): number {
    return this.#pending.length;
  }

  /** Gives up the PDU that has begun; `next` then looks for another one in the octets behind its start. */
  abandon(): void {
    if (this.#pending.length > 0) this.#discards.add(this.reject(INCOMPLETE), INCOMPLETE);
  }

  /** Looks for a PDU at the present octet only. */
  attempt(): Attempt<Wpdu> {
    const pending = this.#pending;
    const { octets, from } = pending;
    const available = pending.to - from;
    if (available < this.#wanted || available === 0) return NEED_MORE;
    if (octets[from] !== 0 || (available > 1 && octets[from + 1] !== 1)) return BAD_VERSION;
    if (this.#lost && !this.#plausible(octets, from, pending.to)) return BAD_VERSION;
    if (available < WRAPPER_HEADER_OCTETS + (this.#lost ? 1 : 0)) return NEED_MORE;
    const length = (octets[from + 6]! << 8) | octets[from + 7]!;
    if (length === 0) return EMPTY;
    if (length > this.#payloadOctetsMax) return TOO_LONG;
    const total = WRAPPER_HEADER_OCTETS + length;
    if (available < total) {
      this.#wanted = total;
      return NEED_MORE;
    }
    this.#wanted = 1;
    this.#lost = false;
    pending.skip(total);
    return {
      kind: "frame",
      value: {
        sourceWPort: (octets[from + 2]! << 8) | octets[from + 3]!,
        destinationWPort: (octets[from + 4]! << 8) | octets[from + 5]!,
        payload: octets.subarray(from + WRAPPER_HEADER_OCTETS, from + total),
      },
    };
  }

  /**
   * Skips what was rejected, and says how many octets that were: a header of which only the length is wrong as a whole.
   * From now on headers are looked at with more doubt; behind a PDU that was merely empty there is no reason for it.
   */
  reject(why: Rejection): number {
    const whole = !this.#lost && (why === EMPTY || why === TOO_LONG);
    const count = whole ? WRAPPER_HEADER_OCTETS : 1;
    this.#pending.skip(count);
    this.#wanted = 1;
    this.#lost ||= why !== EMPTY;
    return count;
  }

  /** Whether wPorts and first octet of the APDU, as far as they are there, are such as are seen in the field. */
  #plausible(octets: Buffer, from: number, to: number): boolean {
    if (from + 2 < to && octets[from + 2] !== 0) return false;
    if (from + 4 < to && octets[from + 4] !== 0) return false;
    if (this.#apduTags === null || from + WRAPPER_HEADER_OCTETS >= to) return true;
    return this.#apduTags.has(octets[from + WRAPPER_HEADER_OCTETS]!);
  }
}
