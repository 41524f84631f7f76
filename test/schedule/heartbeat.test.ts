import { describe, expect, it, vi } from "vitest";
import { type Duty, startHeartbeat } from "../../src/schedule/heartbeat.ts";

const MINUTE = 60_000;

function duty(everyMs: number, run: () => Promise<void> = async () => {}) {
  const runs: number[] = [];
  const made: Duty = {
    name: "test",
    everyMs,
    run: (now) => {
      runs.push(now);
      return run();
    },
  };
  return { made, runs };
}

describe("the heartbeat", () => {
  it("runs a duty when its time has passed, whatever ticks were lost or doubled", async () => {
    const { made, runs } = duty(10 * MINUTE);
    const heart = startHeartbeat([made], { error: () => {} });
    for (const minute of [0, 0, 5, 9, 10, 10, 47]) await heart.beat(minute * MINUTE);
    expect(runs).toEqual([0, 10 * MINUTE, 47 * MINUTE]);
    await heart.stop();
  });

  it("goes on after the clock was set back", async () => {
    const { made, runs } = duty(10 * MINUTE);
    const heart = startHeartbeat([made], { error: () => {} });
    await heart.beat(1_000 * MINUTE);
    await heart.beat(2 * MINUTE);
    await heart.beat(3 * MINUTE);
    expect(runs).toEqual([1_000 * MINUTE, 2 * MINUTE]);
    await heart.stop();
  });

  it.each([
    ["on by five months", 150 * 24 * 60 * MINUTE],
    ["on by two hundred years", 73_000 * 24 * 60 * MINUTE],
    ["back by an hour", -60 * MINUTE],
  ])("ticks within ten seconds after the clock was put %s", async (_, stepMs) => {
    vi.useFakeTimers({ now: Date.UTC(2026, 9, 25, 0, 59, 57, 300) });
    try {
      const { made, runs } = duty(1_000);
      const heart = startHeartbeat([made], { error: () => {} });
      await vi.advanceTimersByTimeAsync(12_000);
      expect(runs).toHaveLength(1);
      vi.setSystemTime(Date.now() + stepMs);
      const steppedAt = Date.now();
      await vi.advanceTimersByTimeAsync(10_000);
      expect(runs).toHaveLength(2);
      expect(runs[1]! - steppedAt).toBeLessThanOrEqual(10_000);
      await heart.stop();
    } finally {
      vi.useRealTimers();
    }
  });

  it("doesn't start what still runs, and waits for it when it stops", async () => {
    let finish = () => {};
    const { made, runs } = duty(
      MINUTE,
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    );
    const heart = startHeartbeat([made], { error: () => {} });
    const first = heart.beat(0);
    await heart.beat(5 * MINUTE);
    expect(runs).toEqual([0]);
    let stopped = false;
    const stop = heart.stop().then(() => {
      stopped = true;
    });
    await Promise.resolve();
    expect(stopped).toBe(false);
    finish();
    await Promise.all([first, stop]);
  });

  it("survives a duty that fails, and says so", async () => {
    const error = vi.fn();
    const { made, runs } = duty(MINUTE, () => Promise.reject(new Error("no space")));
    const heart = startHeartbeat([made], { error });
    await heart.beat(0);
    await heart.beat(MINUTE);
    expect(runs).toHaveLength(2);
    expect(error).toHaveBeenCalledTimes(2);
    expect(error.mock.calls[0]![0]).toMatchObject({ duty: "test" });
    await heart.stop();
  });
});
