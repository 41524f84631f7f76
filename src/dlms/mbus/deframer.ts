import { type Attempt, type Deframed, DiscardTally, NEED_MORE, rejection } from "../bytes/deframed.ts";
import { ReceiveBuffer } from "../bytes/receive-buffer.ts";
import {
  MBUS_CI_MASK,
  MBUS_FIELDS_OCTETS,
  MBUS_HEADER_OCTETS,
  MBUS_START,
  MBUS_STOP,
  MBUS_TRAILER_OCTETS,
  type MbusLongFrame,
  mbusChecksum,
  readMbusFields,
} from "./long-frame.ts";

const OUTSIDE = rejection("no M-Bus long frame begins here");
const NOT_DLMS = rejection("M-Bus long frame whose CI field is not one of DLMS");
const BAD_CHECKSUM = rejection("M-Bus long frame with a wrong checksum or without its stop octet");
const INCOMPLETE = rejection("M-Bus long frame was not completed in time");

/**
 * Lengths that a length field of one octet may stand for. Sagemcom T210-D writes 01 for 0x101 octets (modulo 256), so
 * a frame whose checksum does not fit its length is tried with 256 octets more.
 */
const LENGTHS_WRAPPED = [0, 256] as const;

/** Cuts a stream into M-Bus long frames that carry DLMS. A frame is believed when its checksum and stop octet are right. */
export class MbusDeframer {
  readonly #pending: ReceiveBuffer;
  readonly #discards = new DiscardTally();
  #found: Attempt<MbusLongFrame> | null = null;

  constructor(pending: ReceiveBuffer = new ReceiveBuffer()) {
    this.#pending = pending;
  }

  /** Views that `next` handed out before are no longer valid. */
  push(chunk: Buffer): void {
    if (this.#found?.kind === "frame") {
      const { value } = this.#found;
      this.#found = { kind: "frame", value: { ...value, data: Buffer.from(value.data) } };
    }
    this.#pending.push(chunk);
  }

  next(): Deframed<MbusLongFrame> {
    for (;;) {
      const attempt = this.#found ?? this.attempt();
      this.#found = null;
      if (attempt.kind !== "rejected") {
        const discarded = this.#discards.take();
        if (discarded === null) return attempt;
        if (attempt.kind === "frame") this.#found = attempt;
        return discarded;
      }
      this.#discards.add(this.reject(), attempt);
    }
  }

  /** Octets of a frame that has begun. */
  get pendingOctets(): number {
    return this.#pending.length;
  }

  /** Gives up the frame that has begun; `next` then looks for another one in the octets behind its start. */
  abandon(): void {
    if (this.#pending.length > 0) this.#discards.add(this.reject(), INCOMPLETE);
  }

  /** Looks for a frame at the present octet only. */
  attempt(): Attempt<MbusLongFrame> {
    const { octets, from, to } = this.#pending;
    const available = to - from;
    if (available === 0) return NEED_MORE;
    if (octets[from] !== MBUS_START) return OUTSIDE;
    if (available < MBUS_HEADER_OCTETS) return NEED_MORE;
    if (octets[from + 1] !== octets[from + 2] || octets[from + 3] !== MBUS_START) return OUTSIDE;
    if (available < MBUS_HEADER_OCTETS + 3) return NEED_MORE;
    if (octets[from + MBUS_HEADER_OCTETS + 2]! > MBUS_CI_MASK) return NOT_DLMS;
    for (const wrapped of LENGTHS_WRAPPED) {
      const length = octets[from + 1]! + wrapped;
      if (length < MBUS_FIELDS_OCTETS) continue;
      const end = from + MBUS_HEADER_OCTETS + length;
      if (end + MBUS_TRAILER_OCTETS > to) return NEED_MORE;
      if (octets[end + 1] !== MBUS_STOP) continue;
      if (octets[end] !== mbusChecksum(octets, from + MBUS_HEADER_OCTETS, end)) continue;
      this.#pending.skip(MBUS_HEADER_OCTETS + length + MBUS_TRAILER_OCTETS);
      return { kind: "frame", value: readMbusFields(octets, from, length) };
    }
    return BAD_CHECKSUM;
  }

  /** Skips the rejected octet, and says how many octets that were. */
  reject(): number {
    this.#pending.skip(1);
    return 1;
  }
}
