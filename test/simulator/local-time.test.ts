import { describe, expect, it } from "vitest";
import { consumptionW, type Site, season, solarW } from "../../simulator/load-curve.ts";
import {
  CENTRAL_EUROPE,
  INDIA,
  isLocalMidnight,
  isSummer,
  localHour,
  meterTime,
  monthStart,
  zoneRuleOf,
} from "../../simulator/local-time.ts";
import { readEpochMs, writeDateTime } from "../../src/dlms/encoding/date-time.ts";

/*
 * Directive 2000/84/EC: summer time begins and ends at 01:00 UTC on the last Sunday of March and of October. In 2026 these are the
 * 29th and the 25th.
 */
const MINUTE = 60_000;
const SPRING = Date.UTC(2026, 2, 29, 1);
const AUTUMN = Date.UTC(2026, 9, 25, 1);
const utc = (text: string) => Date.parse(`${text}Z`);

describe("local time of a meter in Central Europe", () => {
  const style = { zone: CENTRAL_EUROPE, deviation: "standard" } as const;
  const hex = (ms: number) => writeDateTime(meterTime(style, ms)).toString("hex");

  it("jumps from 02:00 to 03:00 and goes back from 03:00 to 02:00", () => {
    expect([SPRING - 1, SPRING, AUTUMN - 1, AUTUMN].map((ms) => isSummer(CENTRAL_EUROPE, ms))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(localHour(CENTRAL_EUROPE, SPRING - MINUTE)).toBeCloseTo(1 + 59 / 60);
    expect(localHour(CENTRAL_EUROPE, SPRING)).toBe(3);
    expect(localHour(CENTRAL_EUROPE, AUTUMN - MINUTE)).toBeCloseTo(2 + 59 / 60);
    expect(localHour(CENTRAL_EUROPE, AUTUMN)).toBe(2);
  });

  it("tells the hour that comes twice apart by deviation and status: −120 and 80, then −60 and 00", () => {
    // 2026-10-25, weekday unspecified, 02:30:00: FF88 is −120, FFC4 is −60 (Blue Book, date-time).
    expect(hex(AUTUMN - 30 * MINUTE)).toBe("07ea0a19ff021e0000ff8880");
    expect(hex(AUTUMN + 30 * MINUTE)).toBe("07ea0a19ff021e0000ffc400");
  });

  it("begins days and months at local midnight, whatever the season", () => {
    expect(monthStart(CENTRAL_EUROPE, utc("2026-07-15T12:00"))).toBe(utc("2026-06-30T22:00"));
    expect(monthStart(CENTRAL_EUROPE, utc("2026-12-15T12:00"))).toBe(utc("2026-11-30T23:00"));
    // On the day of the change the month began in the other half of the year.
    expect(monthStart(CENTRAL_EUROPE, utc("2026-03-29T12:00"))).toBe(utc("2026-02-28T23:00"));
    expect(isLocalMidnight(CENTRAL_EUROPE, utc("2026-03-29T22:00"))).toBe(true);
    expect(isLocalMidnight(CENTRAL_EUROPE, utc("2026-03-29T23:00"))).toBe(false);
  });

  it("is read back where a head-end sets the clock, without a deviation too", () => {
    const rule = zoneRuleOf(style);
    for (const ms of [utc("2026-01-10T10:00"), utc("2026-07-10T10:00"), SPRING, AUTUMN]) {
      const untold = writeDateTime(meterTime({ ...style, deviation: "absent" }, ms));
      expect(readEpochMs(writeDateTime(meterTime(style, ms)), 0, rule)).toBe(ms);
      // 02:00 comes twice on the day of the change: without a deviation it is taken as the first.
      expect(readEpochMs(untold, 0, rule)).toBe(ms === AUTUMN ? ms - 60 * MINUTE : ms);
    }
  });

  it("knows no seasons in India", () => {
    for (const ms of [SPRING, AUTUMN]) expect(isSummer(INDIA, ms)).toBe(false);
    const reversed = { zone: INDIA, deviation: "reversed" } as const;
    expect(writeDateTime(meterTime(reversed, utc("2026-07-24T04:45:30"))).toString("hex")).toBe(
      "07ea0718ff0a0f1e00014a00",
    );
  });
});

describe("the load curve of a year", () => {
  const site = (zone: Site["zone"]): Site => ({
    ...{ seed: 7, kind: "household", zone, nominalV: 230, averageW: 500, solarPeakW: 3_000 },
  });
  const day = (of: (ms: number) => number, from: string) => {
    let sum = 0;
    for (let quarter = 0; quarter < 7 * 96; quarter++) sum += of(utc(from) + quarter * 15 * MINUTE) / 4;
    return sum / 7;
  };

  it("is highest when it is cold in Europe, and when it is hot in India", () => {
    expect(season(site(CENTRAL_EUROPE), utc("2026-01-05T12:00"))).toBeGreaterThan(1.2);
    expect(season(site(CENTRAL_EUROPE), utc("2026-07-05T12:00"))).toBeLessThan(0.8);
    expect(season(site(INDIA), utc("2026-05-20T12:00"))).toBeGreaterThan(1.25);
    const consumed = (zone: Site["zone"], from: string) => day((ms) => consumptionW(site(zone), ms), from);
    expect(consumed(CENTRAL_EUROPE, "2026-01-05T00:00")).toBeGreaterThan(
      1.3 * consumed(CENTRAL_EUROPE, "2026-07-06T00:00"),
    );
    expect(consumed(INDIA, "2026-05-18T00:00")).toBeGreaterThan(1.3 * consumed(INDIA, "2026-11-16T00:00"));
  });

  it("has solar power while it is light: sixteen hours in a European summer, eight in winter, about twelve in India", () => {
    const generated = (zone: Site["zone"], from: string) => day((ms) => solarW(site(zone), ms), from);
    expect(generated(CENTRAL_EUROPE, "2026-06-15T00:00")).toBeGreaterThan(
      4 * generated(CENTRAL_EUROPE, "2026-12-14T00:00"),
    );
    expect(generated(INDIA, "2026-06-15T00:00")).toBeLessThan(2 * generated(INDIA, "2026-12-14T00:00"));
    const at = (text: string) => solarW(site(CENTRAL_EUROPE), utc(text));
    expect(at("2026-06-21T18:30")).toBeGreaterThan(0);
    expect(at("2026-12-21T16:30")).toBe(0);
  });
});
