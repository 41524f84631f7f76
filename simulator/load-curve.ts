import { isWeekend, type LocalZone, localDay, localHour, offsetMinutes, partOfYear } from "./local-time.ts";
import { between, fraction, mix } from "./random.ts";

/** What stands behind a meter. */
export interface Site {
  readonly seed: number;
  readonly kind: "household" | "factory";
  readonly zone: LocalZone;
  /** Between a phase and neutral, V. */
  readonly nominalV: number;
  /** Average consumption in W. */
  readonly averageW: number;
  /** Installed solar power in W, 0 without. */
  readonly solarPeakW: number;
}

/** Consumption by hour relative to the day's average, hour 0 … 23 (the next day's hour 0 follows). */
const SHAPES = {
  household: {
    workday:
      "0.55 0.48 0.44 0.42 0.45 0.62 0.95 1.25 1.15 0.9 0.8 0.82 0.9 0.95 0.9 0.88 0.95 1.15 1.55 1.85 1.8 1.6 1.2 0.8",
    weekend:
      "0.6 0.52 0.47 0.45 0.45 0.5 0.65 0.9 1.15 1.25 1.2 1.2 1.25 1.25 1.15 1.05 1.05 1.15 1.4 1.65 1.65 1.5 1.2 0.85",
  },
  factory: {
    workday:
      "0.4 0.38 0.38 0.38 0.4 0.5 0.8 1.2 1.6 1.75 1.8 1.75 1.5 1.65 1.75 1.75 1.65 1.4 1.1 0.9 0.7 0.55 0.48 0.42",
    weekend:
      "0.35 0.35 0.35 0.35 0.35 0.36 0.4 0.45 0.5 0.5 0.5 0.5 0.48 0.48 0.48 0.48 0.45 0.42 0.4 0.4 0.38 0.36 0.35 0.35",
  },
} as const;

const parse = (hours: string) => hours.split(" ").map(Number);
const CURVES = {
  household: { workday: parse(SHAPES.household.workday), weekend: parse(SHAPES.household.weekend) },
  factory: { workday: parse(SHAPES.factory.workday), weekend: parse(SHAPES.factory.weekend) },
};

const SLOT_MS = 300_000;

/** Consumption in W at an instant: the hour's curve, this day's mood and appliances that go on and off in slots of 5 min. */
export function consumptionW(site: Site, epochMs: number): number {
  const day = localDay(site.zone, epochMs);
  const curve = CURVES[site.kind][isWeekend(day) ? "weekend" : "workday"];
  const hour = localHour(site.zone, epochMs);
  const from = curve[Math.floor(hour)]!;
  const to = curve[(Math.floor(hour) + 1) % 24]!;
  const shape = from + (to - from) * (hour % 1);
  const mood = between(mix(site.seed, 11), day, 0.85, 1.15);
  const slot = Math.floor(epochMs / SLOT_MS);
  const flutter = between(mix(site.seed, 12), slot, 0.75, 1.25);
  // A kettle, a pump, a motor: something large now and then.
  const appliance = fraction(mix(site.seed, 13), slot) < 0.06 ? site.averageW * 1.2 : 0;
  return site.averageW * shape * season(site, epochMs) * mood * flutter + appliance;
}

/** Where in the year it is hottest, the monsoon's relief left aside, or coldest and darkest. */
const HOTTEST = 0.38;
const DARKEST = 0.97;
const SOLSTICE = 0.47;
const SEASON_SHARE = { household: 0.3, factory: 0.08 } as const;

/** The season's share of consumption: fans and air conditioning where there is no summer time, heating and light where there is. */
export function season(site: Site, epochMs: number): number {
  const highest = site.zone.hasSummer ? DARKEST : HOTTEST;
  const turn = Math.cos(2 * Math.PI * (partOfYear(site.zone, epochMs) - highest));
  return 1 + SEASON_SHARE[site.kind] * turn;
}

/** Hours of light, and how high the sun rises of its highest: little changes in the tropics, much in the north. */
function daylight(zone: LocalZone, epochMs: number): { readonly hours: number; readonly height: number } {
  const turn = Math.cos(2 * Math.PI * (partOfYear(zone, epochMs) - SOLSTICE));
  return zone.hasSummer
    ? { hours: 12 + 4 * turn, height: 0.65 + 0.35 * turn }
    : { hours: 12 + 1.2 * turn, height: 0.9 + 0.1 * turn };
}

/** Generation in W at an instant: while it is light, less under the day's clouds. */
export function solarW(site: Site, epochMs: number): number {
  if (site.solarPeakW === 0) return 0;
  const { hours, height } = daylight(site.zone, epochMs);
  const noon = 12 + (offsetMinutes(site.zone, epochMs) - site.zone.standardMinutes) / 60;
  const sinceRise = localHour(site.zone, epochMs) - (noon - hours / 2);
  if (sinceRise <= 0 || sinceRise >= hours) return 0;
  const sky = between(mix(site.seed, 14), localDay(site.zone, epochMs), 0.55, 1) * height;
  const cloud = between(mix(site.seed, 15), Math.floor(epochMs / SLOT_MS), 0.8, 1);
  return site.solarPeakW * Math.sin((sinceRise / hours) * Math.PI) ** 1.3 * sky * cloud;
}

/** Tariff zone 1 … 8 of an instant: night, morning peak, day, evening peak. */
export function tariffZone(zone: LocalZone, epochMs: number): number {
  const hour = localHour(zone, epochMs);
  if (hour < 6 || hour >= 22) return 1;
  if (hour < 10) return 2;
  return hour < 18 ? 3 : 4;
}
