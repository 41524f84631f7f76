import { describe, expect, it } from "vitest";
import { CronTimes } from "../../src/schedule/cron-times.ts";
import { dueNow, type MissedRuns } from "../../src/schedule/due.ts";

const utc = (text: string) => Date.parse(`2026-07-24T${text}Z`);

function due(
  firedUntil: string,
  now: string,
  missedRuns: MissedRuns = "collapse",
  windowMs: number | null = null,
) {
  const times = new CronTimes("0 * * * *", "Asia/Kolkata");
  const { firings, firedUntilMs } = dueNow(
    { times, missedRuns, windowMs, firedUntilMs: utc(firedUntil) },
    utc(now),
  );
  const time = (ms: number) => new Date(ms).toISOString().slice(11, 16);
  return {
    firings: firings.map(({ dueAtMs, missed }) => `${time(dueAtMs)} +${missed}`),
    until: time(firedUntilMs),
  };
}

describe("what is due at this instant", () => {
  // Every full hour in India is half past by UTC.
  it("is the run since the last one, once", () => {
    expect(due("10:00", "10:29")).toEqual({ firings: [], until: "10:00" });
    expect(due("10:00", "10:30")).toEqual({ firings: ["10:30 +0"], until: "10:30" });
    expect(due("10:30", "10:31")).toEqual({ firings: [], until: "10:30" });
  });

  it("is the latest of missed runs, or each, or none", () => {
    expect(due("10:00", "14:00").firings).toEqual(["13:30 +3"]);
    expect(due("10:00", "14:00", "all").firings).toEqual(["10:30 +0", "11:30 +0", "12:30 +0", "13:30 +0"]);
    expect(due("10:00", "14:00", "skip").firings).toEqual([]);
    expect(due("10:00", "13:31", "skip").firings).toEqual(["13:30 +3"]);
    expect(due("10:00", "14:00", "skip", 3_600_000).firings).toEqual(["13:30 +3"]);
  });

  it("waits for a clock that lags a little, and follows one that was set back", () => {
    expect(due("10:30:30", "10:30:00")).toEqual({ firings: [], until: "10:30" });
    expect(due("13:30", "09:00")).toEqual({ firings: [], until: "09:00" });
  });
});
