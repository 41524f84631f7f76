import { consumptionW, type Site, solarW } from "./load-curve.ts";
import { between, mix } from "./random.ts";

/** What a meter measures at an instant. Arrays are by phase; a single-phase meter has one. */
export interface Sample {
  /** W, negative while it feeds in. */
  activeW: number;
  /** var, positive while it lags. */
  reactiveVar: number;
  apparentVa: number;
  /** Signed like the active power. */
  powerFactor: number;
  frequencyHz: number;
  readonly voltageV: number[];
  readonly currentA: number[];
  readonly phasePowerFactor: number[];
  neutralA: number;
}

export function emptySample(phases: number): Sample {
  const zeros = () => new Array<number>(phases).fill(0);
  return {
    activeW: 0,
    reactiveVar: 0,
    apparentVa: 0,
    powerFactor: 1,
    frequencyHz: 50,
    voltageV: zeros(),
    currentA: zeros(),
    phasePowerFactor: zeros(),
    neutralA: 0,
  };
}

const SLOT_MS = 60_000;
/** The nominal voltage that the curve of voltages is told for. */
const CALM_V = 230;
/** Relative load at which the voltage has sagged by its full share. */
const HEAVY = 3;

/**
 * Fills `sample` with what is measured at `epochMs`. Depends on the site's seed, the instant and the relay, on nothing else.
 * @param connected whether the relay is closed: behind an open one nothing flows in either direction, and the grid's voltage stays
 */
export function measure(site: Site, epochMs: number, sample: Sample, connected = true): void {
  const phases = sample.voltageV.length;
  const slot = Math.floor(epochMs / SLOT_MS);
  const used = connected ? consumptionW(site, epochMs) : 0;
  sample.activeW = connected ? used - solarW(site, epochMs) : 0;
  // The reactive power is that of the consumption: an inverter feeds in at unity.
  const angle = between(mix(site.seed, 21), slot, -0.08, 0.55);
  sample.reactiveVar = used * Math.tan(angle);
  sample.apparentVa = Math.hypot(sample.activeW, sample.reactiveVar);
  sample.powerFactor = sample.apparentVa === 0 ? 1 : sample.activeW / sample.apparentVa;
  // One grid for all: the frequency knows no meter.
  sample.frequencyHz = between(50, slot, 49.93, 50.07);
  const sag = Math.max(-0.5, Math.min(1, sample.activeW / site.averageW / HEAVY));
  let unbalance = 0;
  for (let phase = 0; phase < phases; phase++) {
    const share = phaseShare(site, phase, phases);
    const noise = between(mix(site.seed, 22 + phase), slot, -1.5, 1.5);
    const voltage = (241 - 14 * sag * (0.6 + share * phases * 0.4) + noise) * (site.nominalV / CALM_V);
    const current = (sample.apparentVa * share) / voltage;
    sample.voltageV[phase] = voltage;
    sample.currentA[phase] = current;
    const factor = sample.powerFactor * between(mix(site.seed, 26 + phase), slot, 0.97, 1);
    sample.phasePowerFactor[phase] = factor;
    unbalance = Math.max(unbalance, Math.abs(current - sample.apparentVa / phases / voltage));
  }
  sample.neutralA = phases === 1 ? sample.currentA[0]! * 0.995 : unbalance;
}

function phaseShare(site: Site, phase: number, phases: number): number {
  if (phases === 1) return 1;
  const weight = (p: number) => between(mix(site.seed, 30), p, 0.8, 1.2);
  let sum = 0;
  for (let p = 0; p < phases; p++) sum += weight(p);
  return weight(phase) / sum;
}
