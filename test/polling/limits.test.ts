import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CounterStore } from "../../src/polling/counter-leases.ts";
import type { Dialler } from "../../src/polling/dialler.ts";
import { PollError } from "../../src/polling/meter-association.ts";
import { type RoadSettings, Roads } from "../../src/polling/roads.ts";
import type { MeterAccess } from "../../src/storage/meter-access.ts";
import { SETTINGS } from "../support/road-ends.ts";

/*
 * How many meters are called at once, and how soon after each other. Nobody takes a call here: each lasts until the test ends it.
 */
const LIMITS: RoadSettings = { ...SETTINGS, perHostMax: 2, perNetworkMax: 3 };

const meter = (id: string, changes: Partial<MeterAccess>): MeterAccess => ({
  ...{ id, meterNumber: id, meterType: "D1", mode: "dial", transport: "tcp", framing: "wrapper", port: 4059 },
  ...{ host: null, serverSap: 1, physicalAddress: null, gateway: null, systemTitle: null, securitySuite: 0 },
  ...{ requiredProtection: 0, counterMayStandStill: false, keys: [], association: null, quirks: new Set() },
  ...changes,
});

/** Meters called in the order of the call, and who of them are on the line. */
class Calls {
  readonly made: { readonly id: string; readonly at: number }[] = [];
  readonly #ends = new Map<string, () => void>();

  /** What is given to Roads: the name of the connection that each meter has opened, if any. */
  dialler(connections: Readonly<Record<string, string>> = {}): Dialler {
    const dial = ({ id }: MeterAccess) => {
      this.made.push({ id, at: performance.now() });
      return new Promise((_, reject) => {
        this.#ends.set(id, () => reject(new PollError("unreachable", "nobody takes the call")));
      });
    };
    return { dial, connectionOf: (id: string) => connections[id] ?? null } as unknown as Dialler;
  }

  get onTheLine(): string[] {
    return [...this.#ends.keys()];
  }

  async end(id: string): Promise<void> {
    this.#ends.get(id)!();
    this.#ends.delete(id);
    await settled();
  }
}

/** All that follows at once has happened. */
const settled = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

async function call(
  meters: readonly MeterAccess[],
  settings: Partial<RoadSettings> = {},
  connections: Readonly<Record<string, string>> = {},
): Promise<Calls> {
  const calls = new Calls();
  const roads = new Roads({
    load: async (id) => meters.find((one) => one.id === id) ?? null,
    learn: async () => {},
    counters: {} as CounterStore,
    dialler: calls.dialler(connections),
    settings: { ...LIMITS, ...settings },
  });
  for (const { id } of meters) {
    // The public client needs no credentials.
    roads.open(id, { clientSap: 16, purpose: "scheduled" }).catch(() => undefined);
  }
  await settled();
  return calls;
}

const onHosts = (...hosts: string[]) => hosts.map((host, index) => meter(`m${index + 1}`, { host }));

describe("meters are called", () => {
  it("so many at once behind one host", async () => {
    const calls = await call(onHosts("192.0.2.1", "192.0.2.1", "192.0.2.1", "198.51.100.1"));
    expect(calls.onTheLine).toEqual(["m1", "m2", "m4"]);
    await calls.end("m1");
    expect(calls.onTheLine).toEqual(["m2", "m4", "m3"]);
  });

  it.each([
    [
      "an IPv4 network of 24 bits",
      ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.3.1"],
      ["m1", "m2", "m3", "m5"],
    ],
    [
      "an IPv6 network of 64 bits, however it is written",
      ["2001:db8::1", "2001:db8:0:0::2", "2001:0db8:0:0:1::3", "2001:db8::ffff", "2001:db8:0:1::1"],
      ["m1", "m2", "m3", "m5"],
    ],
  ])("so many at once in %s", async (_, hosts, expected) => {
    const calls = await call(onHosts(...hosts));
    expect(calls.onTheLine).toEqual(expected);
    await calls.end("m2");
    expect(calls.onTheLine).toContain("m4");
  });

  it("so many at once in all", async () => {
    const hosts = Array.from({ length: 6 }, (_, index) => `10.0.${index}.1`);
    const calls = await call(onHosts(...hosts), { associationsMax: 4 });
    expect(calls.onTheLine).toEqual(["m1", "m2", "m3", "m4"]);
  });

  it("one after the other on a serial line, and lines don't wait for each other", async () => {
    const on = (id: string, host: string) => meter(id, { host, transport: "serial", framing: "hdlc" });
    const calls = await call([on("a1", "/dev/ttyS0"), on("a2", "/dev/ttyS0"), on("b1", "/dev/ttyS1")]);
    expect(calls.onTheLine).toEqual(["a1", "b1"]);
    await calls.end("a1");
    expect(calls.onTheLine).toEqual(["b1", "a2"]);
  });

  it("one after the other over a connection that they share, whatever their hosts", async () => {
    const meters = ["c1", "c2", "d1"].map((id) => meter(id, { mode: "listen" }));
    const connections = { c1: "connection 7", c2: "connection 7", d1: "connection 8" };
    const calls = await call(meters, {}, connections);
    expect(calls.onTheLine).toEqual(["c1", "d1"]);
    await calls.end("c1");
    expect(calls.onTheLine).toEqual(["d1", "c2"]);
  });

  it.each(["tcp", "serial"] as const)(
    "no sooner after each other than the pace allows: %s",
    async (transport) => {
      const meters = ["p1", "p2", "p3"].map((id) => meter(id, { host: "192.0.2.9", transport }));
      const calls = await call(meters, { perHostIntervalMs: 500, perHostMax: 8 });
      for (let at = 0; at < 3; at++) {
        expect(calls.made.map(({ id }) => id)).toEqual(["p1", "p2", "p3"].slice(0, at + 1));
        // An end that comes early doesn't hurry the next.
        await calls.end(`p${at + 1}`);
        await vi.advanceTimersByTimeAsync(499);
        expect(calls.made).toHaveLength(at + 1);
        await vi.advanceTimersByTimeAsync(1);
      }
      const [first, second, third] = calls.made.map(({ at }) => at);
      expect([second! - first!, third! - second!]).toEqual([500, 500]);
    },
  );
});
