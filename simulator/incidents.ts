/** Something that befalls a meter: the rows it leaves in event logs and the bit of the event status word that it sets. */
export interface Incident {
  /** Log 0 … 6 of IS 15959: voltage, current, power, transaction, other, non-rollover, control. */
  readonly log: number;
  /** Event code of the occurrence, and of the restoration where there is one. */
  readonly code: number;
  readonly restoration: number | null;
  /** Bit of the event status word, null: none. */
  readonly bit: number | null;
  /** Bit that is set when it is over. */
  readonly endBit: number | null;
  readonly tamper: boolean;
  /** Phases that the meter needs for it. */
  readonly phases: 1 | 3;
  /** Duration in seconds where there is a restoration. */
  readonly seconds: number;
}

function incident(
  log: number,
  code: number,
  restoration: number | null,
  bit: number | null,
  more: Partial<Pick<Incident, "endBit" | "tamper" | "phases" | "seconds">> = {},
): Incident {
  return { log, code, restoration, bit, endBit: null, tamper: false, phases: 1, seconds: 600, ...more };
}

/**
 * In the order in which meters live through them, so that a small fleet soon has rows in all seven logs. Codes and bits are those of
 * IS 15959 (event identifiers, event status word).
 */
export const INCIDENTS: readonly Incident[] = [
  incident(0, 9, 10, 4),
  incident(1, 67, 68, 11, { seconds: 300 }),
  incident(2, 101, 102, 85, { endBit: 86, seconds: 240 }),
  incident(3, 151, null, null),
  incident(4, 201, 202, 81, { tamper: true, seconds: 420 }),
  incident(5, 251, null, 83, { tamper: true }),
  incident(6, 301, 302, 84, { seconds: 900 }),
  incident(0, 7, 8, 3),
  incident(1, 63, 64, 9, { phases: 3 }),
  incident(4, 203, 204, 82, { tamper: true, seconds: 180 }),
  incident(0, 1, 2, 0, { phases: 3, seconds: 1_200 }),
  incident(3, 155, null, null),
  incident(4, 205, 206, 12),
  incident(1, 69, 70, 51, { tamper: true }),
];

/** The power of many meters fails at once: last gasp and first breath, bits 85 and 86. */
export const POWER_FAILURE: Incident = incident(2, 101, 102, 85, { endBit: 86, seconds: 0 });

/** Somebody has the load disconnected and connected. */
export const LOAD_SWITCHED: Incident = incident(6, 301, 302, 84, { seconds: 0 });

/** A row that an event log gets at an instant, and what the status word becomes then. */
export interface EventRow {
  readonly atMs: number;
  readonly incident: Incident;
  readonly code: number;
  readonly ends: boolean;
}

/** The rows of `incident` when it begins at `atMs`. */
export function eventRows(incident: Incident, atMs: number): EventRow[] {
  const begin: EventRow = { atMs, incident, code: incident.code, ends: false };
  if (incident.restoration === null) return [begin];
  return [begin, { atMs: atMs + incident.seconds * 1_000, incident, code: incident.restoration, ends: true }];
}

export const STATUS_WORD_BITS = 128;

/** Sets or clears bit `bit` of an event status word; bit 0 is the most significant of the first octet. */
export function setStatusBit(word: Buffer, bit: number, on: boolean): void {
  const mask = 0x80 >> (bit & 7);
  if (on) word[bit >> 3]! |= mask;
  else word[bit >> 3]! &= ~mask;
}
