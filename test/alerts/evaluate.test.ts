import { describe, expect, it } from "vitest";
import { evaluate, type Occurrence } from "../../src/alerts/evaluate.ts";
import type { AlertRule } from "../../src/alerts/rule.ts";

const rule = (changes: Partial<AlertRule> = {}): AlertRule => ({
  ...{ id: 1, name: "any", over: "meter_events", log: null, code: null, severity: null, holdSeconds: 3600 },
  ...changes,
});
const event = (changes: Partial<Occurrence> = {}): Occurrence => ({
  ...{ over: "meter_events", log: "voltage", code: 7, severity: "warning", meterId: "m1", subject: "GIN1" },
  ...{ name: "over-voltage", timeMs: 1_000_000, begins: true },
  ...changes,
});

describe("alert rules", () => {
  it("match by log, code and severity; what is null matches everything", () => {
    const counts = (changes: Partial<AlertRule>) => evaluate([rule(changes)], [event()]).length;
    expect(counts({})).toBe(1);
    expect(counts({ log: "voltage", code: 7 })).toBe(1);
    expect(counts({ log: "current" })).toBe(0);
    expect(counts({ code: 8 })).toBe(0);
    expect(counts({ severity: "info" })).toBe(1);
    expect(counts({ severity: "critical" })).toBe(0);
    expect(counts({ over: "event_logs" })).toBe(0);
  });

  it("look at the system's own log too", () => {
    const rules = [rule({ over: "event_logs", log: "database", severity: "warning" })];
    const own = event({
      over: "event_logs",
      log: "database",
      code: null,
      severity: "error",
      meterId: null,
      subject: "",
    });
    expect(evaluate(rules, [own])).toMatchObject([
      { meterId: null, text: "over-voltage", severity: "error" },
    ]);
  });

  it("raise nothing for an event that ends another", () => {
    expect(evaluate([rule()], [event({ begins: false })])).toEqual([]);
  });

  it("count what comes again within the hold time, a meter and a code for themselves", () => {
    const alerts = evaluate(
      [rule({ holdSeconds: 60 })],
      [
        event(),
        event({ timeMs: 1_030_000 }),
        event({ timeMs: 1_061_000 }),
        event({ meterId: "m2" }),
        event({ code: 9 }),
      ],
    );
    expect(alerts.map(({ meterId, count, raisedAtMs }) => [meterId, count, raisedAtMs])).toEqual([
      ["m1", 2, 1_000_000],
      ["m1", 1, 1_061_000],
      ["m2", 1, 1_000_000],
      ["m1", 1, 1_000_000],
    ]);
    expect(alerts[0]!.key).toBe(alerts[1]!.key);
    expect(new Set(alerts.map(({ key }) => key)).size).toBe(3);
  });
});
