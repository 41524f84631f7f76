import { describe, expect, it } from "vitest";
import { readDateTime, readEpochMs, toEpochMs } from "../../src/dlms/encoding/date-time.ts";
import { scaled, scaledBig, scaledText } from "../../src/mapping/scale.ts";
import { isZone, zoneRule } from "../../src/mapping/zone.ts";

describe("scaling", () => {
  it.each([
    [2418, -1, 241.8],
    [3, -1, 0.3],
    [7, -3, 0.007],
    [4913794, 0, 4913794],
    [8390755, 1, 83907550],
    [-188, -3, -0.188],
    [5, 30, 5e30],
    [123456789, -25, 1.23456789e-17],
  ])("%d × 10^%d is %d, rounded once", (raw, scaler, expected) => {
    expect(scaled(raw, scaler)).toBe(expected);
  });

  it("rounds what multiplying by a tenth would not", () => {
    // 35 × 0.1 is 3.5000000000000004 in floating-point; a division is right.
    for (let raw = 0; raw < 10_000; raw++) expect(scaled(raw, -3)).toBe(Number(`${raw}e-3`));
  });

  it("takes 64-bit integers", () => {
    expect(scaledBig(2n ** 63n, -3)).toBe(Number("9223372036854775.808"));
    expect(scaledText(9223372036854775808n, -3)).toBe("9223372036854775.808");
    expect(scaledText(-5n, -3)).toBe("-0.005");
    expect(scaledText(5n, 2)).toBe("500");
  });
});

describe("zones", () => {
  const at = (zone: string, ...local: Parameters<typeof Date.UTC>) =>
    zoneRule(zone, "standard").offsetMinutesAt(Date.UTC(...local), null);

  it("without daylight saving", () => {
    expect(at("Asia/Kolkata", 2026, 10, 23, 12)).toBe(330);
    expect(at("Asia/Kathmandu", 2026, 10, 23, 12)).toBe(345);
  });

  it("with it: the hour that is skipped, and the one that comes twice", () => {
    // Berlin, 2026: forward on 29 March at 02:00, back on 25 October at 03:00.
    expect(at("Europe/Berlin", 2026, 0, 1)).toBe(60);
    expect(at("Europe/Berlin", 2026, 2, 29, 1, 59)).toBe(60);
    expect(at("Europe/Berlin", 2026, 2, 29, 2, 30)).toBe(60);
    expect(at("Europe/Berlin", 2026, 2, 29, 3, 0)).toBe(120);
    expect(at("Europe/Berlin", 2026, 9, 25, 1, 59)).toBe(120);
    // The first of the two.
    expect(at("Europe/Berlin", 2026, 9, 25, 2, 30)).toBe(120);
    expect(at("Europe/Berlin", 2026, 9, 25, 3, 0)).toBe(60);
    expect(at("Australia/Lord_Howe", 2026, 3, 5, 3, 0)).toBe(630);
  });

  it("takes the hour that comes twice as the clock status has it, where no deviation was sent", () => {
    const berlin = zoneRule("Europe/Berlin", "standard");
    const instant = (octets: string) => {
      const ms = readEpochMs(Buffer.from(octets, "hex"), 0, berlin);
      expect(toEpochMs(readDateTime(Buffer.from(octets, "hex"), 0), berlin)).toBe(ms);
      return new Date(ms!).toISOString();
    };
    // 2026-10-25 02:30:00, deviation 8000, status 80, 00 and FF; then 03:30 and, in spring, 02:30, whatever the status says.
    expect(instant("07ea0a19ff021e0000800080")).toBe("2026-10-25T00:30:00.000Z");
    expect(instant("07ea0a19ff021e0000800000")).toBe("2026-10-25T01:30:00.000Z");
    expect(instant("07ea0a19ff021e00008000ff")).toBe("2026-10-25T00:30:00.000Z");
    expect(instant("07ea0a19ff031e0000800080")).toBe("2026-10-25T02:30:00.000Z");
    expect(instant("07ea031dff021e0000800000")).toBe("2026-03-29T01:30:00.000Z");
    // A deviation says it alone: FFC4 is one hour east.
    expect(instant("07ea0a19ff021e0000ffc480")).toBe("2026-10-25T01:30:00.000Z");
  });

  it("knows what is none", () => {
    expect([isZone("Asia/Kolkata"), isZone("Asia/Nowhere")]).toEqual([true, false]);
  });
});
