import { measure, type Sample } from "./grid.ts";
import { type Site, tariffZone } from "./load-curve.ts";
import { localMonth, monthStart } from "./local-time.ts";
import { between } from "./random.ts";
import { Relay } from "./relay.ts";

/** Rows of the tariff registers: 0 active import, 1 active export, 2 apparent import, 3 apparent export. */
export type TariffQuantity = 0 | 1 | 2 | 3;

const TARIFFS = 9;
const SAMPLES_PER_BLOCK = 6;
const MS_PER_HOUR = 3_600_000;

/** What a block load row holds besides its clock. Energies are whole multiples of the meter's resolution. */
export interface Block {
  endMs: number;
  /** Wh import, Wh export, VAh import, VAh export. */
  readonly energy: Float64Array;
  /** varh of the quadrants 1 … 4. */
  readonly reactive: Float64Array;
  readonly voltageV: number[];
  readonly currentA: number[];
  neutralA: number;
  powerFactor: number;
}

/** Arrays of these lengths in one piece of memory: a piece for each would cost as much as what stands in it. */
function zeros(...lengths: readonly number[]): Float64Array[] {
  const all = new Float64Array(lengths.reduce((sum, length) => sum + length, 0));
  let from = 0;
  return lengths.map((length) => {
    from += length;
    return all.subarray(from - length, from);
  });
}

/**
 * The registers of one meter: energy since it was made, by tariff zone, and the highest demand of the running billing period. They
 * move block by block; each block's energy is added to them as it is reported, so that rows add up to registers.
 */
export class Registers {
  /** Begin of the block that runs now. */
  atMs: number;
  /** energy[quantity × 9 + tariff], tariff 0 being the total; Wh or VAh. */
  readonly energy: Float64Array;
  /** varh of the quadrants 1 … 4. */
  readonly quadrants: Float64Array;
  /** Highest demand of the billing period, W or VA, placed like `energy`. */
  readonly demand: Float64Array;
  /** End of the block it occurred in, epoch ms; 0: none yet. */
  readonly demandAtMs: Float64Array;
  readonly block: Block;
  /** Between the grid and what stands behind the meter. */
  readonly relay = new Relay();
  readonly #site: Site;
  readonly #intervalMs: number;
  readonly #resolution: number;
  readonly #sample: Sample;

  /**
   * @param atMs a block boundary; what the registers hold then follows from the site and the month
   * @param intervalMs length of a block and of the demand integration period
   * @param resolution smallest step of a block's energy, in Wh
   * @param sample where it may write what it measures
   * @param history whether the blocks of the running month before `atMs` are lived through, with their demands
   */
  constructor(
    site: Site,
    sample: Sample,
    atMs: number,
    intervalMs: number,
    resolution: number,
    history: boolean,
  ) {
    this.#site = site;
    this.#intervalMs = intervalMs;
    this.#resolution = resolution;
    this.#sample = sample;
    const phases = sample.voltageV.length;
    const rated = 4 * TARIFFS;
    const [energy, demand, demandAtMs, quadrants, blockEnergy, reactive] = zeros(
      rated,
      rated,
      rated,
      4,
      4,
      4,
    );
    this.energy = energy!;
    this.demand = demand!;
    this.demandAtMs = demandAtMs!;
    this.quadrants = quadrants!;
    this.block = {
      endMs: 0,
      energy: blockEnergy!,
      reactive: reactive!,
      voltageV: new Array<number>(phases).fill(0),
      currentA: new Array<number>(phases).fill(0),
      neutralA: 0,
      powerFactor: 1,
    };
    this.atMs = monthStart(site.zone, atMs);
    this.#openMonth();
    if (!history) this.atMs = atMs;
    while (this.atMs < atMs) this.advance();
  }

  /** What the meter had counted when the month began: as if every month had been like the average one. */
  #openMonth(): void {
    const months = localMonth(this.#site.zone, this.atMs) - between(this.#site.seed, 41, 560, 640);
    const monthly = this.#site.averageW * 24 * 31;
    const solar = this.#site.solarPeakW * 24 * 31 * 0.12;
    const parts = [0, 0.3, 0.15, 0.3, 0.25];
    const totals = [monthly, solar, monthly * 1.06, solar * 1.02];
    totals.forEach((total, quantity) => {
      for (let tariff = 1; tariff < parts.length; tariff++) {
        const value = this.#step(total * months * parts[tariff]!);
        this.energy[quantity * TARIFFS + tariff] = value;
        this.energy[quantity * TARIFFS]! += value;
      }
    });
    [0.25, 0.02, 0.01, 0.03].forEach((share, quadrant) => {
      this.quadrants[quadrant] = this.#step(monthly * months * share);
    });
  }

  #step(value: number): number {
    return Math.floor(value / this.#resolution) * this.#resolution;
  }

  /** Ends the running block: its row stands in `block`, its energy in the registers. */
  advance(): void {
    this.#accumulate();
    const { energy, reactive, endMs } = this.block;
    const tariff = tariffZone(this.#site.zone, endMs - 1);
    for (let quantity = 0; quantity < 4; quantity++) {
      const value = energy[quantity]!;
      this.energy[quantity * TARIFFS]! += value;
      this.energy[quantity * TARIFFS + tariff]! += value;
      const demand = (value * MS_PER_HOUR) / this.#intervalMs;
      this.#peak(quantity * TARIFFS, demand, endMs);
      this.#peak(quantity * TARIFFS + tariff, demand, endMs);
    }
    for (let quadrant = 0; quadrant < 4; quadrant++) this.quadrants[quadrant]! += reactive[quadrant]!;
    this.atMs = endMs;
    this.relay.forgetBefore(endMs);
  }

  #peak(place: number, demand: number, endMs: number): void {
    if (demand <= this.demand[place]!) return;
    this.demand[place] = demand;
    this.demandAtMs[place] = endMs;
  }

  /** Goes on at a later block boundary as if nothing had been in between: the power was off, or the clock was set. */
  skipTo(boundaryMs: number): void {
    if (boundaryMs > this.atMs) this.atMs = boundaryMs;
  }

  /** A billing period ends: its demands are forgotten. */
  resetDemand(): void {
    this.demand.fill(0);
    this.demandAtMs.fill(0);
  }

  #accumulate(): void {
    const { block } = this;
    const sample = this.#sample;
    const phases = block.voltageV.length;
    const hours = this.#intervalMs / MS_PER_HOUR / SAMPLES_PER_BLOCK;
    block.energy.fill(0);
    block.reactive.fill(0);
    block.voltageV.fill(0);
    block.currentA.fill(0);
    block.neutralA = 0;
    let active = 0;
    let apparent = 0;
    for (let i = 0; i < SAMPLES_PER_BLOCK; i++) {
      const atMs = this.atMs + ((i + 0.5) * this.#intervalMs) / SAMPLES_PER_BLOCK;
      measure(this.#site, atMs, sample, this.relay.connectedAt(atMs));
      const exporting = sample.activeW < 0;
      block.energy[exporting ? 1 : 0]! += Math.abs(sample.activeW) * hours;
      block.energy[exporting ? 3 : 2]! += sample.apparentVa * hours;
      const lagging = sample.reactiveVar >= 0;
      const quadrant = exporting ? (lagging ? 1 : 2) : lagging ? 0 : 3;
      block.reactive[quadrant]! += Math.abs(sample.reactiveVar) * hours;
      for (let phase = 0; phase < phases; phase++) {
        block.voltageV[phase]! += sample.voltageV[phase]! / SAMPLES_PER_BLOCK;
        block.currentA[phase]! += sample.currentA[phase]! / SAMPLES_PER_BLOCK;
      }
      block.neutralA += sample.neutralA / SAMPLES_PER_BLOCK;
      active += sample.activeW;
      apparent += sample.apparentVa;
    }
    for (let i = 0; i < 4; i++) {
      block.energy[i] = this.#step(block.energy[i]!);
      block.reactive[i] = this.#step(block.reactive[i]!);
    }
    block.powerFactor = apparent === 0 ? 1 : active / apparent;
    block.endMs = this.atMs + this.#intervalMs;
  }
}
