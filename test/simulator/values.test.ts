import { describe, expect, it } from "vitest";
import type { Capture } from "../../simulator/capture.ts";
import { planMeter } from "../../simulator/identity.ts";
import { localHour, monthStart } from "../../simulator/local-time.ts";
import { type RowObserver, SimulatedMeter } from "../../simulator/meter.ts";
import { loadModels, MODEL_NAMES, type ModelName, type PushKind } from "../../simulator/model.ts";
import { loadCatalogue } from "../../src/catalogue/catalogue.ts";

/*
 * Properties of what meters capture, over all models and many seeds: three days around a month's end, in winter and in summer, with a clock
 * that jumps, a power failure and a relay that opens in between.
 */
const models = loadModels(loadCatalogue());
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SEEDS = [1, 2, 3];
const MONTHS = { winter: Date.UTC(2027, 0, 1), summer: Date.UTC(2026, 6, 1) };
const TARIFFS = 9;

interface Row {
  readonly kind: PushKind;
  readonly atMs: number;
  readonly energy: readonly number[];
  readonly quadrants: readonly number[];
  readonly demand: number;
  /** Of the block: Wh import, Wh export, VAh import, VAh export; then varh by quadrant. */
  readonly blockEnergy: readonly number[];
  readonly blockReactive: readonly number[];
  readonly volts: number;
}

const mean = (values: readonly number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;

function rowOf(kind: PushKind, { atMs, registers }: Capture): Row {
  const { energy, quadrants, demand, block } = registers;
  return {
    ...{ kind, atMs, energy: [...energy], quadrants: [...quadrants], demand: demand[0]! },
    ...{ blockEnergy: [...block.energy], blockReactive: [...block.reactive], volts: mean(block.voltageV) },
  };
}

function lifeOf(name: ModelName, seed: number, around: number, disturbed: boolean): Row[] {
  const model = models[name];
  const plan = planMeter(seed, seed, model, { protection: null, framing: null, layout: null });
  const startMs = monthStart(model.zone, around + DAY) - 36 * HOUR;
  const rows: Row[] = [];
  const onRow: RowObserver = (kind, _, capture) => rows.push(rowOf(kind, capture));
  const schedule = { instantSeconds: 0, blockPushSeconds: null, incidentsPerDay: 6, history: false };
  const meter = new SimulatedMeter(seed, plan, model, schedule, startMs, onRow);
  const live = (hours: number) => {
    while (meter.dueMs <= startMs + hours * HOUR) meter.next();
  };
  live(10);
  if (disturbed) {
    meter.skipTo(startMs + 12.3 * HOUR);
    live(20);
    meter.powerFails(startMs + 20 * HOUR);
    meter.powerReturns(startMs + 21.7 * HOUR);
    meter.switchLoad(false, startMs + 22 * HOUR);
  }
  live(72);
  return rows;
}

describe.each(MODEL_NAMES)("what a simulated %s meter captures", (name) => {
  const { zone, blockSeconds } = models[name];
  const lives = SEEDS.flatMap((seed) =>
    Object.values(MONTHS).flatMap((around) => [
      lifeOf(name, seed, around, true),
      lifeOf(name, seed, around, false),
    ]),
  );
  const blocksOf = (rows: readonly Row[]) => rows.filter(({ kind }) => kind === "block");

  it("never runs backwards, whatever befalls the meter", () => {
    for (const rows of lives) {
      const backwards = rows.slice(1).filter((row, at) => {
        const before = rows[at]!;
        return (
          row.energy.some((value, place) => value < before.energy[place]!) ||
          row.quadrants.some((value, place) => value < before.quadrants[place]!)
        );
      });
      expect(backwards).toEqual([]);
    }
  });

  it("adds up: blocks to registers, to the last watt-hour, and tariffs to the total", () => {
    for (const rows of lives) {
      const blocks = blocksOf(rows);
      blocks.slice(1).forEach((row, at) => {
        const before = blocks[at]!;
        for (let quantity = 0; quantity < 4; quantity++) {
          const total = quantity * TARIFFS;
          expect(row.energy[total]! - before.energy[total]!).toBe(row.blockEnergy[quantity]);
          const tariffs = row.energy.slice(total + 1, total + TARIFFS);
          expect(tariffs.reduce((sum, one) => sum + one, 0)).toBe(row.energy[total]);
          expect(row.quadrants[quantity]! - before.quadrants[quantity]!).toBe(row.blockReactive[quantity]);
        }
      });
    }
  });

  it("is billed at the end of the month, once, and its demand begins anew", () => {
    for (const rows of lives) {
      const bills = rows.filter(({ kind }) => kind === "billing");
      expect(bills.map(({ atMs }) => atMs)).toEqual([monthStart(zone, rows.at(-1)!.atMs)]);
      const [bill] = bills;
      const before = blocksOf(rows).filter(({ atMs }) => atMs <= bill!.atMs);
      const perHour = 3_600 / blockSeconds;
      // The highest of the blocks since the life began; the bill still tells it.
      expect(bill!.demand).toBe(Math.max(...before.map(({ blockEnergy }) => blockEnergy[0]! * perHour)));
      const next = blocksOf(rows).find(({ atMs }) => atMs > bill!.atMs)!;
      expect(next.demand).toBe(next.blockEnergy[0]! * perHour);
    }
  });

  it("exports only while the sun shines, and only where there are panels", () => {
    let exporting = 0;
    for (const rows of lives) {
      const exported = blocksOf(rows).filter(({ blockEnergy }) => blockEnergy[1]! > 0);
      if (exported.length > 0) exporting++;
      for (const { atMs } of exported) {
        // The longest day of all models is 16 hours, an hour later by summer time.
        const hour = localHour(zone, atMs - 1);
        expect(hour > 4 && hour < 22, `${new Date(atMs).toISOString()} ${hour}`).toBe(true);
      }
    }
    expect(exporting).toBeGreaterThan(0);
    expect(exporting).toBeLessThan(lives.length);
  });

  it("has voltages that sag under load", () => {
    for (const rows of lives) {
      const blocks = blocksOf(rows).slice(1);
      const byLoad = [...blocks].sort(
        (a, b) => a.blockEnergy[0]! - a.blockEnergy[1]! - (b.blockEnergy[0]! - b.blockEnergy[1]!),
      );
      const quarter = Math.floor(byLoad.length / 4);
      const volts = (of: readonly Row[]) => mean(of.map((row) => row.volts));
      expect(volts(byLoad.slice(-quarter))).toBeLessThan(volts(byLoad.slice(0, quarter)));
    }
  });
});
