import { describe, expect, it } from "vitest";
import { parseHex, toHex } from "../../src/dlms/bytes/hex.ts";
import {
  dateTimeAt,
  readDate,
  readDateTime,
  readEpochMs,
  readTime,
  toEpochMs,
  writeDateTime,
  type ZoneRule,
} from "../../src/dlms/encoding/date-time.ts";

const INDIA: ZoneRule = { deviationSign: "standard", offsetMinutesAt: () => 330 };
const REVERSED: ZoneRule = { deviationSign: "reversed", offsetMinutesAt: () => 330 };

function epoch(hex: string, zone: ZoneRule): string | null {
  const octets = parseHex(hex);
  const ms = toEpochMs(readDateTime(octets, 0), zone);
  expect(readEpochMs(octets, 0, zone)).toBe(ms);
  return ms === null ? null : new Date(ms).toISOString();
}

describe("date-time", () => {
  it("has twelve octets", () => {
    // year 07EA, month 07, day 18, weekday FF, 0A:0F:1E, hundredths 00, deviation FEB6, status 00
    expect(readDateTime(parseHex("07EA0718FF0A0F1E00FEB600"), 0)).toEqual({
      year: 2026,
      month: 7,
      dayOfMonth: 24,
      dayOfWeek: null,
      hour: 10,
      minute: 15,
      second: 30,
      hundredths: 0,
      deviation: -330,
      clockStatus: 0,
    });
  });

  it("knows what is unspecified, and keeps the special months and days", () => {
    expect(readDateTime(parseHex("FFFFFDFEFFFFFFFFFF8000FF"), 0)).toEqual({
      year: null,
      month: 0xfd,
      dayOfMonth: 0xfe,
      dayOfWeek: null,
      hour: null,
      minute: null,
      second: null,
      hundredths: null,
      deviation: null,
      clockStatus: null,
    });
    expect(readDate(parseHex("07EA0718FF"), 0)).toMatchObject({ year: 2026, dayOfMonth: 24, hour: null });
    expect(readTime(parseHex("0A0F1E00"), 0)).toMatchObject({
      year: null,
      hour: 10,
      second: 30,
      hundredths: 0,
    });
    expect(() => readDateTime(parseHex("07EA0718FF0A0F1E00FEB6"), 0)).toThrow("12 octets needed");
  });

  it.each(["07EA0718FF0A0F1E00FEB600", "FFFFFDFEFFFFFFFFFF8000FF", "07e6030607173b3b63ffc480"])(
    "%s is written as it came",
    (hex) => {
      expect(toHex(writeDateTime(readDateTime(parseHex(hex), 0)))).toBe(hex.toLowerCase());
    },
  );

  it("adds the deviation to local time to get UTC", () => {
    expect(epoch("07EA0718FF0A0F1E00FEB600", INDIA)).toBe("2026-07-24T04:45:30.000Z");
    // UTC+1: −60
    expect(epoch("07EA0118040A0F1E32FFC400", INDIA)).toBe("2026-01-24T09:15:30.500Z");
  });

  it("subtracts it where the meter sends local time minus UTC", () => {
    expect(epoch("07EA0718FF0A0F1E00014A00", REVERSED)).toBe("2026-07-24T04:45:30.000Z");
  });

  it("asks the zone where the deviation is unspecified or impossible", () => {
    expect(epoch("07EA0718FF0A0F1E00800000", INDIA)).toBe("2026-07-24T04:45:30.000Z");
    expect(epoch("07EA0718FF0A0F1E007FFF00", INDIA)).toBe("2026-07-24T04:45:30.000Z");
  });

  it("never looks at weekday and hundredths, and takes missing seconds for zero", () => {
    expect(epoch("07EA0718FF0A0FFFFFFEB6FF", INDIA)).toBe("2026-07-24T04:45:00.000Z");
    expect(epoch("07EA0718090A0F1E77FEB600", INDIA)).toBe("2026-07-24T04:45:30.000Z");
  });

  it.each([
    ["year unspecified", "FFFF0718FF0A0F1E00FEB600"],
    ["month unspecified", "07EAFF18FF0A0F1E00FEB600"],
    ["daylight saving month", "07EAFD18FF0A0F1E00FEB600"],
    ["last day", "07EA07FEFF0A0F1E00FEB600"],
    ["hour unspecified", "07EA0718FFFF0F1E00FEB600"],
    ["30 February", "07EA021EFF0A0F1E00FEB600"],
    ["29 February 2026", "07EA021DFF0A0F1E00FEB600"],
    ["31 April", "07EA041FFF0A0F1E00FEB600"],
    ["hour 24", "07EA0718FF180F1E00FEB600"],
    ["minute 60", "07EA0718FF0A3C1E00FEB600"],
    ["twelve zero octets", "000000000000000000000000"],
  ])("%s is no time", (_, hex) => {
    expect(epoch(hex, INDIA)).toBeNull();
  });

  it("knows leap years", () => {
    expect(epoch("07E8021DFF000000000000 00".replaceAll(" ", ""), INDIA)).toBe("2024-02-29T00:00:00.000Z");
  });

  it("is made from an instant", () => {
    const at = Date.UTC(2026, 6, 24, 4, 45, 30);
    expect(toHex(writeDateTime(dateTimeAt(at, -330, 330)))).toBe("07ea0718050a0f1e00feb600");
  });
});
