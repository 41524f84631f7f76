import type { Arrival } from "./arrival.ts";
import { isInClear } from "./envelope.ts";

/** What an originator has sent since one of its APDUs waits for a look-up. */
export interface HeldLine {
  readonly originator: string;
  /** An APDU waits; else it is the turn of those in the queue. */
  isHeldUp: boolean;
  readonly queue: (() => void)[];
}

/**
 * The order of what one originator sends, on however many connections: while one APDU waits for a look-up, the next stand in line, or the
 * counter of a later one would make the earlier one a replay. What the connection of the one that waited has read behind it came before
 * what others brought meanwhile, for a meter turns to another connection when it has done with the first.
 */
export class ArrivalOrder {
  private readonly lines = new Map<string, HeldLine>();
  /** Whose turn it is. */
  private moving: HeldLine | null = null;

  /** Calls `begin` at once, or when the originator's turn has come. */
  enter(arrival: Arrival, begin: () => void): void {
    const originator = this.lines.size === 0 ? null : originatorOf(arrival);
    const line = originator === null ? undefined : this.lines.get(originator);
    if (line === undefined || (line === this.moving && !line.isHeldUp)) begin();
    else line.queue.push(begin);
  }

  /** An APDU has begun and has to wait. null: nobody need wait for it. To be handed to `goOn`. */
  hold(arrival: Arrival): HeldLine | null {
    const originator = originatorOf(arrival);
    if (originator === null) return null;
    const line = this.lines.get(originator) ?? { originator, isHeldUp: true, queue: [] };
    line.isHeldUp = true;
    this.lines.set(originator, line);
    return line;
  }

  /** The APDU is through. `done` lets its connection go on; then those in line have their turn, until one has to wait itself. */
  goOn(line: HeldLine, done: () => void): void {
    const { moving } = this;
    this.moving = line;
    line.isHeldUp = false;
    done();
    while (!line.isHeldUp && line.queue.length > 0) line.queue.shift()!();
    this.moving = moving;
    if (!line.isHeldUp) this.lines.delete(line.originator);
  }
}

const GENERAL_GLO_CIPHERING = 0xdb;
const GENERAL_DED_CIPHERING = 0xdc;
const GENERAL_CIPHERING = 0xdd;
const SYSTEM_TITLE_OCTETS = 8;

/**
 * Whose order is kept: the system title where the envelope has one, else the address. What comes in clear has no counter that an order
 * matters to, and many meters may share the address: none of them waits for another.
 */
function originatorOf({ apdu, peer }: Arrival): string | null {
  return systemTitleOf(apdu) ?? (isInClear(apdu) ? null : peer);
}

/** 16 hex digits in lower case; null where the APDU's envelope has none. */
export function systemTitleOf(apdu: Buffer): string | null {
  const tag = apdu[0];
  if (tag !== GENERAL_GLO_CIPHERING && tag !== GENERAL_DED_CIPHERING && tag !== GENERAL_CIPHERING)
    return null;
  // In general-ciphering the transaction id stands in front.
  const at = tag === GENERAL_CIPHERING ? 2 + apdu[1]! : 1;
  return apdu[at] === SYSTEM_TITLE_OCTETS ? apdu.toString("hex", at + 1, at + 1 + SYSTEM_TITLE_OCTETS) : null;
}
