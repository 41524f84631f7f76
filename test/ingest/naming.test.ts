import { afterEach, expect, it, vi } from "vitest";
import type { IngestDependencies } from "../../src/ingest/dependencies.ts";
import { MeterFinder } from "../../src/ingest/identify-meter.ts";
import { run } from "../../src/ingest/steps.ts";
import { stopController } from "../../src/stop.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import { meterOf, vectorOf } from "./surroundings.ts";

afterEach(() => void vi.restoreAllMocks());

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
const one = meterOf(vector, { id: "one", meterNumber: "M1" });
const other = meterOf(vector, { id: "other", meterNumber: "M2", logicalDeviceName: "LDN2" });

/** A finder, and what its directory says at the moment. */
function finderWith(bearers: Map<string, MeterRecord>) {
  const directory = { peekByIdentifier: (name: string) => bearers.get(name) ?? null };
  const clock = { now: () => 0, monotonic: () => 0, after: () => () => undefined, soon: () => undefined };
  const finder = new MeterFinder({ directory } as unknown as IngestDependencies, {
    stop: stopController().signal,
    clock,
  });
  const naming = (names: string[], meter: MeterRecord) => {
    let said: unknown;
    const told = (value: unknown) => {
      said = value;
    };
    const peeked = finder.peekNaming(names, meter);
    if (peeked !== undefined) return peeked;
    run(
      () => finder.naming(names, meter),
      told,
      (error) => told((error as { reason: string }).reason),
    );
    return said;
  };
  return naming;
}

it("tells a meter's own names, those of nobody and those of others, in whatever order they stand", () => {
  const naming = finderWith(
    new Map([
      ["M2", other],
      ["LDN2", other],
      ["old name", one],
    ]),
  );
  for (let time = 0; time < 2; time++) {
    expect(naming([], one)).toBe("unnamed");
    expect(naming(["M1"], one)).toBe("named");
    expect(naming(["old name"], one)).toBe("named");
    expect(naming(["nobody's"], one)).toBe("unfamiliar");
    expect(naming(["nobody's", "M1"], one)).toBe("named");
    expect(naming(["M1", "nobody's"], one)).toBe("named");
    expect(naming(["M1", "LDN2"], one)).toBe("identity_mismatch");
    expect(naming(["nobody's", "M2"], one)).toBe("identity_mismatch");
    expect(naming(["LDN2"], other)).toBe("named");
    // What is known of one meter says nothing of another.
    expect(naming(["old name"], other)).toBe("identity_mismatch");
  }
});

it("believes for a minute whose a name is, however often it is borne", async () => {
  let now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => now);
  /** The cache reads the clock once a millisecond, and a timer tells it that one is over. */
  const pass = async (ms: number) => {
    now += ms;
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const bearers = new Map<string, MeterRecord>();
  const naming = finderWith(bearers);
  expect(naming(["moved"], one)).toBe("unfamiliar");
  bearers.set("moved", other);
  expect(naming(["moved"], other)).not.toBe("identity_mismatch");
  for (let second = 10; second < 60; second += 10) {
    await pass(10_000);
    expect(naming(["moved"], one)).toBe("unfamiliar");
  }
  await pass(11_000);
  expect(naming(["moved"], one)).toBe("identity_mismatch");
  expect(naming(["moved"], other)).toBe("named");
});
