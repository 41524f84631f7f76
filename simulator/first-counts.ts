import type { Counts } from "./capture.ts";
import type { Site } from "./load-curve.ts";
import { monthStart } from "./local-time.ts";
import { between } from "./random.ts";

const MS_PER_MINUTE = 60_000;

/** What a meter has counted when its life in the simulation begins: it has hung there for a while. */
export function firstCounts({ seed, zone, averageW }: Site, atMs: number): Counts {
  const months = Math.floor(between(seed, 5, 6, 30));
  const begin = monthStart(zone, atMs);
  const minutes = Math.floor((atMs - begin) / MS_PER_MINUTE);
  return {
    powerOnMin: months * 30 * 1_440 + minutes,
    billingPowerOnMin: minutes,
    powerOffMin: Math.floor(between(seed, 6, 0, 3_000)),
    powerFailures: Math.floor(between(seed, 7, 0, 200)),
    tampers: 0,
    billingTampers: 0,
    billings: months,
    programmings: 1,
    lastBillingMs: begin,
    averagePowerFactor: between(seed, 8, 0.86, 0.99),
    loadLimitW: Math.ceil((averageW * 8) / 500) * 500,
    signalDbm: 0,
  };
}
