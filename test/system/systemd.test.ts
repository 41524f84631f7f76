import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { serviceManager } from "../../src/systemd.ts";

describe("the service manager", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("hears of readiness, then of life at half the watchdog's time, then of the end", () => {
    const said: string[] = [];
    const manager = serviceManager(
      { NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "60000000" },
      () => {},
      (args) => said.push(args.join(" ")),
    );
    vi.advanceTimersByTime(60_000);
    expect(said).toEqual([]);
    manager.ready("listening");
    vi.advanceTimersByTime(61_000);
    manager.stopping();
    manager.close();
    vi.advanceTimersByTime(120_000);
    expect(said).toEqual([
      "--ready --status=listening",
      "WATCHDOG=1",
      "WATCHDOG=1",
      "STOPPING=1 --status=finishing what was read",
    ]);
  });

  it("is left alone where there is none", () => {
    const notify = vi.fn();
    const manager = serviceManager({ WATCHDOG_USEC: "60000000" }, () => {}, notify);
    manager.ready("listening");
    vi.advanceTimersByTime(120_000);
    manager.stopping();
    expect(notify).not.toHaveBeenCalled();
  });
});
