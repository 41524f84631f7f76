/** Something that befalls a meter: the rows it leaves in event logs and the bit of the event status word that it sets. */
export interface Incident {
  /** Number of the log; of IS 15959: 0 … 6 for voltage, current, power, transaction, other, non-rollover, control. */
  readonly log: number;
  /** Event code of the occurrence, and of the restoration where there is one. */
  readonly code: number;
  readonly restoration: number | null;
  /** Bit of the event status word, null: none. */
  readonly bit: number | null;
  /** Bit that is set when it is over. */
  readonly endBit: number | null;
  readonly tamper: boolean;
  /** What it does besides. */
  readonly effect: "relay" | "power" | null;
  /** It takes a current: it doesn't befall a meter whose relay is open. */
  readonly loaded: boolean;
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
  more: Partial<Pick<Incident, "endBit" | "tamper" | "effect" | "loaded" | "phases" | "seconds">> = {},
): Incident {
  return {
    log,
    code,
    restoration,
    bit,
    endBit: null,
    tamper: false,
    effect: null,
    loaded: false,
    phases: 1,
    seconds: 600,
    ...more,
  };
}

/** What befalls meters of a kind. */
export interface IncidentSet {
  /** In the order in which meters live through them, so that a small fleet soon has rows in all logs. */
  readonly planned: readonly Incident[];
  /** The power of many meters fails at once. */
  readonly powerFailure: Incident;
  /** Somebody has the load disconnected and connected. */
  readonly loadSwitched: Incident;
}

/** Codes and bits are those of IS 15959: event identifiers, event status word. */
const IS15959: IncidentSet = {
  planned: [
    incident(0, 9, 10, 4),
    incident(1, 67, 68, 11, { loaded: true, seconds: 300 }),
    incident(2, 101, 102, 85, { endBit: 86, effect: "power", seconds: 240 }),
    incident(3, 151, null, null),
    incident(4, 201, 202, 81, { tamper: true, seconds: 420 }),
    incident(5, 251, null, 83, { tamper: true }),
    incident(6, 301, 302, 84, { effect: "relay", loaded: true, seconds: 900 }),
    incident(0, 7, 8, 3),
    incident(1, 63, 64, 9, { loaded: true, phases: 3 }),
    incident(4, 203, 204, 82, { tamper: true, seconds: 180 }),
    incident(0, 1, 2, 0, { phases: 3, seconds: 1_200 }),
    incident(3, 155, null, null),
    incident(4, 205, 206, 12),
    incident(1, 69, 70, 51, { loaded: true, tamper: true }),
  ],
  powerFailure: incident(2, 101, 102, 85, { endBit: 86, effect: "power", seconds: 0 }),
  loadSwitched: incident(6, 301, 302, 84, { effect: "relay", seconds: 0 }),
};

/** Codes of IDIS event logs, bits of alarm register 1. */
const IDIS: IncidentSet = {
  planned: [
    incident(1, 40, 41, 13, { tamper: true, seconds: 300 }),
    incident(4, 79, 85, null, { seconds: 600 }),
    incident(0, 7, null, 1),
    incident(1, 44, 45, 13, { tamper: true, seconds: 240 }),
    incident(0, 4, 5, null, { seconds: 1 }),
    incident(5, 158, null, null),
    incident(1, 42, 43, 13, { tamper: true, seconds: 420 }),
    incident(0, 47, null, 4),
    incident(2, 64, 69, null, { effect: "relay", loaded: true, seconds: 900 }),
    incident(4, 76, 85, null, { seconds: 300 }),
    incident(1, 46, null, null),
  ],
  powerFailure: incident(0, 1, 2, null, { endBit: 2, effect: "power", seconds: 0 }),
  loadSwitched: incident(2, 62, 63, null, { effect: "relay", seconds: 0 }),
};

export const INCIDENT_SETS = { is15959: IS15959, idis: IDIS } as const;

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

/** The first 32 bits as an alarm register has them, bit 0 the least significant. */
export function alarmRegister(word: Buffer): number {
  let value = 0;
  for (let bit = 0; bit < 32; bit++) if ((word[bit >> 3]! & (0x80 >> (bit & 7))) !== 0) value += 2 ** bit;
  return value;
}

/** Sets or clears bit `bit` of an event status word; bit 0 is the most significant of the first octet. */
export function setStatusBit(word: Buffer, bit: number, on: boolean): void {
  const mask = 0x80 >> (bit & 7);
  if (on) word[bit >> 3]! |= mask;
  else word[bit >> 3]! &= ~mask;
}
