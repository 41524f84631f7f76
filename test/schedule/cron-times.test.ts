import { describe, expect, it } from "vitest";
import { CronError, CronTimes } from "../../src/schedule/cron-times.ts";
import { dueMinutes, oracleExpression } from "../support/cron-oracle.ts";

const utc = (text: string) => Date.parse(text);
const iso = (times: readonly number[]) => times.map((at) => new Date(at).toISOString().slice(0, 16));

const ZONES = [
  "Asia/Kolkata",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Santiago",
];
const EXPRESSIONS = [
  "*/15 * * * *",
  "5 */6 * * *",
  "0 0 * * *",
  "30 2 * * *",
  "*/20 0-3 * * *",
  "15 1 * * 0",
  "0 0 1 * *",
  "45 23 28-31 * *",
  "10 2 1 3,10,11 1",
];

/** All changes of the year lie in them; HES_LONG_TESTS=1 looks at the whole of two years. */
const SPANS = process.env["HES_LONG_TESTS"]
  ? [["2026-01-01", "2028-01-01"]]
  : [
      ["2026-03-05", "2026-04-08"],
      ["2026-09-03", "2026-09-09"],
      ["2026-10-02", "2026-11-04"],
    ];

describe("what the clock shows", () => {
  it("is due once a day, also where its time is skipped or comes twice", () => {
    const berlin = new CronTimes("30 2 * * *", "Europe/Berlin");
    // 2026-03-29: 02:00 becomes 03:00. Due when that happens, at 01:00 UTC.
    expect(iso(berlin.between(utc("2026-03-28T00:00Z"), utc("2026-03-30T12:00Z")))).toEqual([
      "2026-03-28T01:30",
      "2026-03-29T01:00",
      "2026-03-30T00:30",
    ]);
    // 2026-10-25: 03:00 becomes 02:00. Due the first time that it is 02:30.
    expect(iso(berlin.between(utc("2026-10-24T12:00Z"), utc("2026-10-26T12:00Z")))).toEqual([
      "2026-10-25T00:30",
      "2026-10-26T01:30",
    ]);
  });

  it("is due every quarter of an hour whatever the clock is put to", () => {
    const quarters = new CronTimes("*/15 * * * *", "Europe/Berlin");
    for (const day of ["2026-03-29", "2026-10-25"]) {
      const times = quarters.between(utc(`${day}T00:00Z`), utc(`${day}T06:00Z`));
      expect(times.map((at, i) => at - (times[i - 1] ?? utc(`${day}T00:00Z`)))).toEqual(
        Array.from({ length: 24 }, () => 15 * 60_000),
      );
    }
  });

  it("does not depend on where one begins to look", () => {
    const berlin = new CronTimes("30 2 * * *", "Europe/Berlin");
    // In the second pass of the hour: the run was due in the first.
    expect(iso(berlin.between(utc("2026-10-25T01:10Z"), utc("2026-10-25T02:00Z")))).toEqual([]);
    expect(berlin.next(utc("2026-10-25T01:10Z"))).toBe(utc("2026-10-26T01:30Z"));
    expect(berlin.next(utc("2026-03-29T00:59:59.999Z"))).toBe(utc("2026-03-29T01:00Z"));
    expect(berlin.next(utc("2026-03-29T01:00Z"))).toBe(utc("2026-03-30T00:30Z"));
  });

  it("says so where a run never comes, and what is wrong with an expression or a zone", () => {
    expect(new CronTimes("0 0 31 2 *", "Asia/Kolkata").next(0)).toBeNull();
    expect(() => new CronTimes("61 * * * *", "Asia/Kolkata")).toThrow(CronError);
    expect(() => new CronTimes("0 * * * *", "Asia/Calcuta")).toThrow(/no time zone "Asia\/Calcuta"/);
  });

  it.each(ZONES)(
    "is what every single minute says by Intl in %s",
    (zone) => {
      for (const [first, last] of SPANS) {
        const from = utc(`${first}T00:00Z`);
        const until = utc(`${last}T00:00Z`);
        const expected = dueMinutes(EXPRESSIONS.map(oracleExpression), zone, from, until);
        EXPRESSIONS.forEach((text, index) => {
          const found = new CronTimes(text, zone).between(from - 1, until - 1);
          expect(iso(found), `${text} in ${zone}`).toEqual(iso(expected[index]!));
        });
      }
    },
    120_000,
  );
});
