import { expect, it } from "vitest";
import { RetentionClock } from "../src/retention-clock.ts";

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 10, 26);

/** A machine whose clock can be set, and which has run for a while when the daemon starts. */
function machine(databaseAheadMs = 0) {
  let elapsed = 12_345;
  let setOn = 0;
  const clocks = { wall: () => START + setOn + elapsed, monotonic: () => elapsed };
  return {
    clock: new RetentionClock(async () => START + elapsed + databaseAheadMs, clocks),
    passes: (ms: number) => {
      elapsed += ms;
    },
    isSet: (byMs: number) => {
      setOn += byMs;
    },
  };
}

it("goes with the time that passes", async () => {
  const { clock, passes } = machine();
  const before = await clock.now();
  passes(400 * DAY_MS);
  expect((await clock.now()) - before).toBe(400 * DAY_MS);
});

it("doesn't follow a clock that is set on, whatever the database's says, and follows one that is set back", async () => {
  for (const databaseAheadMs of [0, 3_650 * DAY_MS]) {
    const { clock, isSet } = machine(databaseAheadMs);
    const before = await clock.now();
    isSet(3_650 * DAY_MS);
    expect(await clock.now()).toBe(before);
    isSet(-3_660 * DAY_MS);
    expect(await clock.now()).toBe(before - 10 * DAY_MS);
  }
});

it("holds to the database's clock where this machine's is ahead from the beginning", async () => {
  const { clock } = machine(-5 * DAY_MS);
  expect(await clock.now()).toBe(START + 12_345 - 5 * DAY_MS);
});

it("believes a clock that was set on once it has stood there for a day: the daemon began before its machine had the time", async () => {
  const { clock, passes, isSet } = machine(3_650 * DAY_MS);
  isSet(3_650 * DAY_MS);
  const behind = await clock.now();
  passes(DAY_MS - 1);
  expect(await clock.now()).toBe(behind + DAY_MS - 1);
  passes(1);
  expect(await clock.now()).toBe(behind + 3_651 * DAY_MS);
});

it("doesn't believe one that is set on again, or back, within the day", async () => {
  for (const byMs of [3_650 * DAY_MS, -3_650 * DAY_MS]) {
    const { clock, passes, isSet } = machine(7_300 * DAY_MS);
    isSet(3_650 * DAY_MS);
    const before = await clock.now();
    passes(DAY_MS / 2);
    isSet(byMs);
    await clock.now();
    passes(DAY_MS / 2);
    expect(await clock.now()).toBe(before + DAY_MS);
  }
});

it("goes on with the steps that clocks are kept right by, and adds none of them up", async () => {
  const { clock, passes, isSet } = machine(DAY_MS);
  const before = await clock.now();
  for (let day = 0; day < 400; day++) {
    passes(DAY_MS);
    isSet(100);
    await clock.now();
  }
  expect((await clock.now()) - before).toBe(400 * DAY_MS);
});
