import { expect, it } from "vitest";
import { ENERGY_MEASUREMENTS, type Row, VOLTAGE_MEASUREMENTS } from "../../src/mapping/rows.ts";
import { changedDaysStatement } from "../../src/storage/daily-load-changes.ts";
import { row } from "../support/pushes.ts";

const METER = "00000000-0000-4000-8000-00000000000a";
const TIME = Date.UTC(2026, 2, 1, 6, 30);
const noted = (made: Row) => changedDaysStatement([{ rows: [made] }], "UTC");

// The meter is taken from one position in the rows of both tables: where it differs, one of them fails.
it.each([
  ["a block", row(ENERGY_MEASUREMENTS, { time: TIME, meter_id: METER, source: "block" })],
  ["a daily reading", row(ENERGY_MEASUREMENTS, { time: TIME, meter_id: METER, source: "daily" })],
  ["a voltage", row(VOLTAGE_MEASUREMENTS, { time: TIME, meter_id: METER, source: "instant" })],
])("%s changes the day of its meter, by the quarter of an hour before it", (_, made) => {
  expect(noted(made)).toContain(`'{${METER}}', '{${(TIME - 900_000) / 1_000}}', 'UTC'`);
});

it("changes no day where it is an instantaneous reading of energy", () => {
  expect(noted(row(ENERGY_MEASUREMENTS, { time: TIME, meter_id: METER, source: "instant" }))).toBeNull();
});
