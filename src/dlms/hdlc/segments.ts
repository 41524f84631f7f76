import { type Deframed, type Discarded, NEED_MORE } from "../bytes/deframed.ts";
import { sendSequence } from "./control.ts";
import type { HdlcFrame } from "./frame.ts";

/** Senders on one line whose APDUs may be under way at the same time. */
const SEQUENCES_MAX = 16;
/** Without an LLC header so many octets tell an APDU's start: tag and system title with its length, or tag, invoke id and the body's first. */
const START_OCTETS = 10;

/** Segments may be as small as an octet: they are gathered in one growing buffer and not as a list of pieces. */
interface Sequence {
  gathered: Buffer;
  octets: number;
  /** Where in `gathered` the last segment begins. */
  lastAt: number;
  readonly since: number;
  /** N(S) of the last I frame; −1 while only UI frames have come. */
  last: number;
}

/** An APDU, without its LLC header, and the frame that completed it. */
export interface HdlcApdu {
  /** A view of the frame where it came in one, else a buffer of its own. */
  readonly apdu: Buffer;
  readonly frame: HdlcFrame;
  /** Octets of all its frames' information fields. */
  readonly octets: number;
}

/**
 * Puts the segments of APDUs together again (IEC 62056-46, 6.4.4.4), for I frames, UI frames, and sequences that begin
 * with a UI frame and go on with I frames. A sequence belongs to a pair of addresses. The LLC header stands in the first
 * segment only and is taken away once; APDUs without one are taken as they are.
 *
 * A lost I frame ends its sequence; an I frame that was sent again is passed over. UI frames have no number: there, a
 * new LLC header in the middle of a sequence means that the sender has started over, and so do, where there is none, the octets that the
 * sequence began with.
 */
export class SegmentReassembly {
  readonly #apduOctetsMax: number;
  readonly #apduMs: number;
  readonly #sequences = new Map<number, Sequence>();
  #octets = 0;
  #loss: Discarded | null = null;

  constructor(options: { readonly apduOctetsMax: number; readonly apduMs: number }) {
    this.#apduOctetsMax = options.apduOctetsMax;
    this.#apduMs = options.apduMs;
  }

  /**
   * Takes an I or UI frame. "need-more": more segments follow, or the frame is a repetition. `now` in milliseconds of
   * any clock that only goes forward.
   */
  add(frame: HdlcFrame, now: number): Deframed<HdlcApdu> {
    const information = frame.information;
    if (information === null) return NEED_MORE;
    if (!frame.segmented && this.#sequences.size === 0) return complete(information, frame);
    const key = sequenceKey(frame);
    const begun = this.#sequences.get(key);
    if (begun === undefined) {
      return frame.segmented ? this.#begin(key, frame, information, now) : complete(information, frame);
    }
    return this.#continue(key, begun, frame, information, now);
  }

  /** Octets of all unfinished sequences. */
  get octets(): number {
    return this.#octets;
  }

  /** When the oldest unfinished sequence has to be given up; null where there is none. */
  deadline(): number | null {
    for (const { since } of this.#sequences.values()) return since + this.#apduMs;
    return null;
  }

  /** Segments that were lost when `add` gave an APDU; null where none were. */
  takeLoss(): Discarded | null {
    const loss = this.#loss;
    this.#loss = null;
    return loss;
  }

  /** Gives up what was begun too long ago; null where nothing was. */
  expire(now: number): Discarded | null {
    let count = 0;
    for (const [key, sequence] of this.#sequences) {
      if (sequence.since + this.#apduMs > now) break;
      count += this.#drop(key, sequence);
    }
    return count === 0 ? null : discarded(count, "segments of an APDU did not all come in time");
  }

  #begin(key: number, frame: HdlcFrame, information: Buffer, now: number): Deframed<HdlcApdu> {
    if (this.#sequences.size >= SEQUENCES_MAX) {
      return discarded(information.length, "segments of too many APDUs at once", "limit");
    }
    const gathered = Buffer.allocUnsafeSlow(information.length * 4);
    const sequence: Sequence = { gathered, octets: 0, lastAt: 0, since: now, last: -1 };
    this.#sequences.set(key, sequence);
    return this.#append(key, sequence, frame, information);
  }

  #continue(
    key: number,
    sequence: Sequence,
    frame: HdlcFrame,
    information: Buffer,
    now: number,
  ): Deframed<HdlcApdu> {
    const numbered = (frame.control & 1) === 0;
    if (numbered && sequence.last >= 0) {
      const sent = sendSequence(frame.control);
      if (sent === sequence.last && repeats(sequence, information)) return NEED_MORE;
      if (sent !== ((sequence.last + 1) & 7)) return this.#startOver(key, sequence, frame, information, now);
    } else if (!numbered && begins(sequence, information)) {
      return this.#startOver(key, sequence, frame, information, now);
    }
    return this.#append(key, sequence, frame, information);
  }

  /** The old sequence is lost. The frame begins a new one, or is an APDU, if it is a start. */
  #startOver(
    key: number,
    sequence: Sequence,
    frame: HdlcFrame,
    information: Buffer,
    now: number,
  ): Deframed<HdlcApdu> {
    const isStart = begins(sequence, information);
    const lost = this.#drop(key, sequence);
    if (!isStart) {
      return discarded(lost + information.length, "a segment of an APDU is missing");
    }
    if (frame.segmented) {
      this.#begin(key, frame, information, now);
      return discarded(lost, "an APDU in segments was started over");
    }
    this.#loss = discarded(lost, "an APDU in segments was started over");
    return complete(information, frame);
  }

  #append(key: number, sequence: Sequence, frame: HdlcFrame, information: Buffer): Deframed<HdlcApdu> {
    if (this.#octets + information.length > this.#apduOctetsMax) {
      const lost = this.#drop(key, sequence);
      return discarded(lost + information.length, "APDU in segments is longer than the limit", "limit");
    }
    gather(sequence, information);
    this.#octets += information.length;
    if ((frame.control & 1) === 0) sequence.last = sendSequence(frame.control);
    if (frame.segmented) return NEED_MORE;
    this.#drop(key, sequence);
    return complete(sequence.gathered.subarray(0, sequence.octets), frame);
  }

  #drop(key: number, sequence: Sequence): number {
    this.#sequences.delete(key);
    this.#octets -= sequence.octets;
    return sequence.octets;
  }
}

/** Octets of the LLC header that an information field begins with: E6 E6 00 or E6 E7 00, else none. */
export function llcOctets(information: Buffer): 0 | 3 {
  if (information.length < 3 || information[0] !== 0xe6 || information[2] !== 0) return 0;
  return information[1] === 0xe6 || information[1] === 0xe7 ? 3 : 0;
}

function complete(information: Buffer, frame: HdlcFrame): Deframed<HdlcApdu> {
  const llc = llcOctets(information);
  const apdu = llc === 0 ? information : information.subarray(llc);
  return { kind: "frame", value: { apdu, frame, octets: information.length } };
}

function discarded(count: number, text: string, reason: "malformed" | "limit" = "malformed"): Discarded {
  return { kind: "discarded", count, reason, text };
}

function gather(sequence: Sequence, information: Buffer): void {
  const octets = sequence.octets + information.length;
  if (octets > sequence.gathered.length) {
    const grown = Buffer.allocUnsafeSlow(octets * 2);
    sequence.gathered.copy(grown, 0, 0, sequence.octets);
    sequence.gathered = grown;
  }
  information.copy(sequence.gathered, sequence.octets);
  sequence.lastAt = sequence.octets;
  sequence.octets = octets;
}

/** Whether an APDU begins here, in the middle of the sequence. */
function begins({ gathered, octets }: Sequence, information: Buffer): boolean {
  if (llcOctets(information) > 0) return true;
  if (octets < START_OCTETS || information.length < START_OCTETS) return false;
  return information.compare(gathered, 0, START_OCTETS, 0, START_OCTETS) === 0;
}

function repeats({ gathered, lastAt, octets }: Sequence, information: Buffer): boolean {
  return information.length === octets - lastAt && information.compare(gathered, lastAt, octets) === 0;
}

/** The client's SAP and both halves of the meter's address: 14 bits each. */
function sequenceKey({ destination, source }: HdlcFrame): number {
  return (destination.upper * 0x4000 + source.upper) * 0x4000 + (source.lower ?? 0);
}
