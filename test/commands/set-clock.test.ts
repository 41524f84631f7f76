import { describe, expect, it } from "vitest";
import { clockData, compareClock } from "../../src/commands/clock-reading.ts";
import { type ClockTask, keepClock } from "../../src/commands/set-clock.ts";
import { zoneRule } from "../../src/mapping/zone.ts";
import { PollError } from "../../src/polling/meter-association.ts";
import { dataOf, FakeAssociation, hexOf, MemoryLog } from "../support/fake-association.ts";

const TIME = "8/0.0.1.0.0.255/2";
/** 24 July 2026, 10:15:30 in India, with deviation −330. */
const AT = "090c 07ea0718ff0a0f1e00feb600";
const AT_MS = Date.UTC(2026, 6, 24, 4, 45, 30);
const INDIA = { timeZone: "Asia/Kolkata", rule: zoneRule("Asia/Kolkata", "standard") };

/** A task whose clock is ahead of the meter's by `seconds`; each service takes 200 ms, 100 there and 100 back. */
function task(meter: FakeAssociation, seconds: number, more: Partial<ClockTask> = {}) {
  let ms = AT_MS + seconds * 1000 - 100;
  const log = new MemoryLog();
  meter.onRequest = () => {
    ms += 200;
  };
  const limits = { toleranceSeconds: 5, stepMaxSeconds: 600 };
  return {
    log,
    task: { association: meter, zone: INDIA, limits, log, now: () => ms, force: false, ...more },
  };
}

describe("a meter's clock", () => {
  it("that is right is left alone", async () => {
    const meter = new FakeAssociation({ [TIME]: AT });
    const { task: one, log } = task(meter, 4);
    const { before, verdict, set } = await keepClock(one);
    expect([before.offsetMs, before.uncertaintyMs, verdict, set]).toEqual([-4000, 100, "in-order", null]);
    expect([meter.written, log.commands]).toEqual([[], []]);
  });

  it("that is off is set, and what it was before and after is kept", async () => {
    const meter = new FakeAssociation({ [TIME]: AT });
    const { task: one, log } = task(meter, 60);
    const { verdict, set } = await keepClock(one);
    expect([verdict, set?.state]).toEqual(["to-be-set", "verified"]);
    // 10:16:30 and a tenth that reading took, and a tenth until it arrives: the meter has hundredths.
    expect(meter.written[0]!.split(" = ")[1]).toBe("090c07ea0718ff0a101e14feb600");
    expect(log.commands).toMatchObject([
      {
        ...{ kind: "clock", clientSap: 48, state: "verified", reason: null },
        requested: { offset_seconds: -60, tolerance_seconds: 5, step_max_seconds: 600 },
        steps: [
          {
            ...{ classId: 8, logicalName: "0.0.1.0.0.255", attribute: 2, method: null, state: "verified" },
            before: { os: "07ea0718ff0a0f1e00feb600" },
            written: { os: "07ea0718ff0a101e14feb600" },
            after: { os: "07ea0718ff0a101e14feb600" },
          },
        ],
      },
    ]);
  });

  it("that is far off is set only when told to", async () => {
    const meter = new FakeAssociation({ [TIME]: AT });
    const { task: one } = task(meter, 3600);
    expect((await keepClock(one)).verdict).toBe("too-far");
    expect(meter.written).toEqual([]);
    const forced = await keepClock({ ...one, force: true });
    expect([forced.verdict, forced.set?.state]).toEqual(["too-far", "verified"]);
  });

  it("that was never set has no offset", async () => {
    const meter = new FakeAssociation({ [TIME]: "090c ffffffffffffffffff8000ff" });
    const { task: one } = task(meter, 0);
    const { before, verdict, set } = await keepClock(one);
    expect([before.offsetMs, verdict, set]).toEqual([null, "unspecified", null]);
    expect((await keepClock({ ...one, force: true })).set?.state).toBe("verified");
  });

  it("whose setting is refused, or comes to something else, is told so", async () => {
    const denied = new FakeAssociation({ [TIME]: AT });
    denied.refuse(TIME, "read-write-denied");
    const refused = task(denied, 60);
    expect((await keepClock(refused.task)).set).toMatchObject({
      state: "refused",
      reason: "read-write-denied",
    });
    expect(refused.log.commands[0]).toMatchObject({ state: "refused", reason: "read-write-denied" });

    const stubborn = new FakeAssociation({ [TIME]: AT });
    stubborn.keep = () => AT.replaceAll(" ", "");
    const kept = task(stubborn, 60);
    expect((await keepClock(kept.task)).set?.state).toBe("differs");
    expect(kept.log.commands[0]!.steps[0]).toMatchObject({
      state: "differs",
      after: { os: "07ea0718ff0a0f1e00feb600" },
    });
  });

  it("whose line breaks off in the middle leaves a failed step behind", async () => {
    const meter = new FakeAssociation({ [TIME]: AT });
    const { task: one, log } = task(meter, 60);
    const delay = meter.onRequest;
    meter.onRequest = (kind) => {
      delay(kind);
      if (kind === "write") throw new PollError("connection-lost", "the connection broke");
    };
    await expect(keepClock(one)).rejects.toThrow("the connection broke");
    expect(log.commands[0]).toMatchObject({
      state: "failed",
      steps: [{ state: "failed", reason: "the connection broke" }],
    });
  });
});

describe("the time that is written", () => {
  const reading = (hex: string, zone = INDIA) => compareClock(dataOf(hex), zone, AT_MS, AT_MS);

  it.each([
    [
      "no deviation where the meter gives none",
      "090c 07ea0718050a0f1eff8000ff",
      INDIA,
      "090c07ea0718050a0f1eff8000ff",
    ],
    ["in its own type", "19 07ea0718ff0a0f1e00feb600", INDIA, "1907ea0718ff0a0f1e00feb600"],
    [
      "with the sign reversed",
      "090c 07ea0718ff0a0f1e00014a00",
      { ...INDIA, rule: zoneRule("Asia/Kolkata", "reversed") },
      "090c07ea0718ff0a0f1e00014a00",
    ],
    [
      "in summer, with its status",
      "090c 07ea0718ff062d1e00ff8880",
      { timeZone: "Europe/Vienna", rule: zoneRule("Europe/Vienna", "standard") },
      "090c07ea0718ff062d1e00ff8880",
    ],
  ])("is as the meter gives it: %s", (_what, hex, zone, written) => {
    expect(reading(hex, zone).offsetMs).toBe(0);
    expect(hexOf(clockData(AT_MS, zone, reading(hex, zone)))).toBe(written);
  });

  it("is rounded to the second where the meter has no hundredths", () => {
    const like = reading("090c 07ea0718050a0f1eff8000ff");
    expect(hexOf(clockData(AT_MS + 501, INDIA, like))).toBe("090c07ea0718050a0f1fff8000ff");
    expect(hexOf(clockData(AT_MS + 499, INDIA, like))).toBe("090c07ea0718050a0f1eff8000ff");
  });

  it("is winter's in winter", () => {
    const vienna = { timeZone: "Europe/Vienna", rule: zoneRule("Europe/Vienna", "standard") };
    const like = reading("090c 07ea0718ff062d1e00ff8880", vienna);
    // 25 December 2026, 12:00 UTC is 13:00 with deviation −60.
    expect(hexOf(clockData(Date.UTC(2026, 11, 25, 12), vienna, like))).toBe("090c07ea0c19ff0d000000ffc400");
  });
});
