import { beforeEach, describe, expect, it } from "vitest";
import { Breaker } from "../../src/durable-log/jetstream/breaker.ts";

describe("a partition that takes nothing", () => {
  let now = 0;
  let breaker: Breaker;
  beforeEach(() => {
    now = 0;
    breaker = new Breaker({ monotonic: () => now });
    breaker.failed("no leader");
  });

  it("refuses at once while it rests, and is then tried with one record alone", () => {
    now = 499;
    expect(breaker.refusal()).toBe("no leader");
    now = 500;
    expect(breaker.isOpen).toBe(false);
    expect(breaker.refusal()).toBeNull();
    expect([breaker.refusal(), breaker.refusal()]).toEqual(["no leader", "no leader"]);
    expect(breaker.isOpen).toBe(true);
  });

  it("rests again when that fails, and takes everything when it succeeds", () => {
    now = 500;
    breaker.refusal();
    breaker.failed("timeout");
    now = 999;
    expect(breaker.refusal()).toBe("timeout");
    now = 1_000;
    expect(breaker.refusal()).toBeNull();
    breaker.succeeded();
    expect([breaker.refusal(), breaker.refusal()]).toEqual([null, null]);
  });

  it("takes everything as soon as a record that was under way has come through", () => {
    breaker.succeeded();
    expect([breaker.refusal(), breaker.refusal(), breaker.isOpen]).toEqual([null, null, false]);
  });
});
