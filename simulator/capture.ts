import type { Sample } from "./grid.ts";
import { alarmRegister } from "./incidents.ts";
import type { Registers } from "./registers.ts";

/** Everything that a meter can be asked for at the instant of a capture. */
export interface Capture {
  /** Epoch ms of the row: the instant, the end of the block, midnight, the billing date, the event. */
  atMs: number;
  readonly sample: Sample;
  readonly registers: Registers;
  readonly counts: Counts;
  readonly statusWord: Buffer;
  readonly identity: Identity;
  /** Log, code and sequence number of the event whose row is written. */
  eventCode: number;
  eventSequence: number;
}

export interface Counts {
  powerOnMin: number;
  billingPowerOnMin: number;
  powerOffMin: number;
  powerFailures: number;
  tampers: number;
  billingTampers: number;
  billings: number;
  programmings: number;
  /** Epoch ms of the last billing date. */
  lastBillingMs: number;
  averagePowerFactor: number;
  loadLimitW: number;
  signalDbm: number;
}

export interface Identity {
  readonly serial: string;
  readonly deviceId: string;
  readonly manufacturer: string;
  readonly firmware: string;
  readonly meterType: number;
  readonly category: string;
  readonly currentRating: string;
  readonly year: number;
  readonly logicalDeviceName: string;
  readonly ctRatio: number;
  readonly vtRatio: number;
}

/** How the value of one attribute is found in a capture. Times are epoch ms, null where there is none yet. */
export type Source =
  | { readonly kind: "number"; readonly of: (capture: Capture) => number }
  | { readonly kind: "flag"; readonly of: (capture: Capture) => boolean }
  | { readonly kind: "time"; readonly of: (capture: Capture) => number | null }
  | { readonly kind: "text"; readonly of: (capture: Capture) => string }
  | { readonly kind: "bits"; readonly of: (capture: Capture) => Buffer };

const number = (of: (capture: Capture) => number): Source => ({ kind: "number", of });
const text = (of: (identity: Identity) => string): Source => ({
  kind: "text",
  of: ({ identity }) => of(identity),
});
const time = (of: (capture: Capture) => number | null): Source => ({ kind: "time", of });

/** Abstract objects by code, and electrical ones that follow no rule. Attribute 2, or as told after the slash. */
const SINGLE: Readonly<Record<string, Source>> = {
  "0.0.1.0.0.255": time((c) => c.atMs),
  "0.0.0.1.2.255": time((c) => c.counts.lastBillingMs),
  "0.0.0.1.0.255": number((c) => c.counts.billings),
  "0.0.94.91.0.255": number((c) => c.counts.tampers),
  "0.0.96.15.128.255": number((c) => c.counts.billingTampers),
  "0.0.96.2.0.255": number((c) => c.counts.programmings),
  "0.0.96.7.0.255": number((c) => c.counts.powerFailures),
  "0.0.94.91.8.255": number((c) => c.counts.powerOffMin),
  "0.0.94.91.14.255": number((c) => c.counts.powerOnMin),
  "0.0.94.91.13.255": number((c) => c.counts.billingPowerOnMin),
  "0.0.96.10.1.255": number(() => 0),
  "0.0.96.10.2.255": number(() => 0),
  "0.0.97.98.0.255": number((c) => alarmRegister(c.statusWord)),
  "0.1.96.12.5.255": number((c) => c.counts.signalDbm),
  "0.0.96.3.10.255": { kind: "flag", of: (c) => c.registers.relay.connected },
  "0.0.17.0.0.255/3": number((c) => c.counts.loadLimitW),
  "0.0.94.91.18.255": { kind: "bits", of: (c) => c.statusWord },
  "0.0.96.1.0.255": text((i) => i.serial),
  "0.0.96.1.1.255": text((i) => i.manufacturer),
  "0.0.96.1.2.255": text((i) => i.deviceId),
  "0.0.96.1.4.255": number((c) => c.identity.year),
  "0.0.42.0.0.255": text((i) => i.logicalDeviceName),
  "1.0.0.2.0.255": text((i) => i.firmware),
  "0.0.94.91.9.255": number((c) => c.identity.meterType),
  "0.0.94.91.11.255": text((i) => i.category),
  "0.0.94.91.12.255": text((i) => i.currentRating),
  "1.0.0.4.2.255": number((c) => c.identity.ctRatio),
  "1.0.0.4.3.255": number((c) => c.identity.vtRatio),
  "1.0.13.0.0.255": number((c) => c.counts.averagePowerFactor),
  "1.0.94.91.14.255": number((c) => c.sample.currentA[0]!),
  "1.0.81.7.1.255": number(() => 120),
  "1.0.81.7.12.255": number(() => 120),
  "1.0.81.7.2.255": number(() => 240),
};

/** Row of the tariff registers by group C of the code. */
const TARIFF_ROW: Readonly<Record<number, number>> = { 1: 0, 2: 1, 9: 2, 10: 3 };

/**
 * @param signed powers are one signed value; else each direction has an object of its own
 * @throws Error where no simulated meter has such an object
 */
export function sourceOf(code: string, attribute: number, signed = true): Source {
  const single = SINGLE[attribute === 2 ? code : `${code}/${attribute}`];
  if (single !== undefined) return single;
  const groups = code.split(".").map(Number);
  const source = groups[0] === 1 ? electrical(groups, attribute, signed) : eventObject(groups);
  if (source === null) throw new Error(`simulated meters have no ${code} attribute ${attribute}`);
  return source;
}

function eventObject([, , c, d]: readonly number[]): Source | null {
  if (c !== 96) return null;
  if (d === 11) return number((capture) => capture.eventCode);
  return d === 15 ? number((capture) => capture.eventSequence) : null;
}

function electrical(groups: readonly number[], attribute: number, signed: boolean): Source | null {
  const [, , c = 0, d = 0, e = 0] = groups;
  const row = TARIFF_ROW[c];
  if (d === 8 || d === 29) return energy(c, d, e, row);
  if (d === 6 && row !== undefined) {
    const place = row * 9 + e;
    if (attribute === 5) return time(({ registers }) => registers.demandAtMs[place] || null);
    return number(({ registers }) => registers.demand[place]!);
  }
  if (d === 7) return signed ? instantaneous(c) : (direction(c) ?? instantaneous(c));
  return d === 27 ? blockAverage(c) : null;
}

function energy(c: number, d: number, e: number, row: number | undefined): Source | null {
  if (row !== undefined) {
    return d === 8
      ? number(({ registers }) => registers.energy[row * 9 + e]!)
      : number(({ registers }) => registers.block.energy[row]!);
  }
  if (e !== 0) return null;
  // Reactive import is that of the quadrants 1 and 2, export that of 3 and 4.
  if ((c === 3 || c === 4) && d === 8) {
    const first = (c - 3) * 2;
    return number(({ registers: { quadrants } }) => quadrants[first]! + quadrants[first + 1]!);
  }
  if (c < 5 || c > 8) return null;
  return d === 8
    ? number(({ registers }) => registers.quadrants[c - 5]!)
    : number(({ registers }) => registers.block.reactive[c - 5]!);
}

/** C = 11, 12, 13 are a single phase's current, voltage and power factor; 20 more for each phase of three. */
function phaseOf(c: number): number {
  return c < 20 ? 0 : Math.floor((c - 31) / 20);
}

/** Powers whose directions are told apart: active and reactive, import and export. */
function direction(c: number): Source | null {
  if (c === 1) return number(({ sample }) => Math.max(0, sample.activeW));
  if (c === 2) return number(({ sample }) => Math.max(0, -sample.activeW));
  if (c === 3) return number(({ sample }) => Math.max(0, sample.reactiveVar));
  return c === 4 ? number(({ sample }) => Math.max(0, -sample.reactiveVar)) : null;
}

function instantaneous(c: number): Source | null {
  if (c === 1) return number(({ sample }) => sample.activeW);
  if (c === 3) return number(({ sample }) => sample.reactiveVar);
  if (c === 9) return number(({ sample }) => sample.apparentVa);
  if (c === 13) return number(({ sample }) => sample.powerFactor);
  if (c === 14) return number(({ sample }) => sample.frequencyHz);
  if (c === 91) return number(({ sample }) => sample.neutralA);
  const phase = phaseOf(c);
  if (c % 20 === 11) return number(({ sample }) => sample.currentA[phase]!);
  if (c % 20 === 12) return number(({ sample }) => sample.voltageV[phase]!);
  return c % 20 === 13 ? number(({ sample }) => sample.phasePowerFactor[phase]!) : null;
}

function blockAverage(c: number): Source | null {
  if (c === 13) return number(({ registers }) => registers.block.powerFactor);
  if (c === 91) return number(({ registers }) => registers.block.neutralA);
  const phase = phaseOf(c);
  if (c % 20 === 11) return number(({ registers }) => registers.block.currentA[phase]!);
  return c % 20 === 12 ? number(({ registers }) => registers.block.voltageV[phase]!) : null;
}
