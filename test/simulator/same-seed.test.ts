import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { FAULT_NAMES } from "../../simulator/faults.ts";
import { Fleet } from "../../simulator/fleet.ts";
import { FLEET_MODEL_NAMES } from "../../simulator/fleet-options.ts";
import { QUIRK_NAMES } from "../../simulator/habits.ts";
import type { Uplink } from "../../simulator/uplink.ts";

/** 2026-10-24 23:00 UTC: two hours before Central Europe's clocks go back. */
const START = Date.UTC(2026, 9, 24, 23);
const HOUR = 3_600_000;
/** Each happens to so many of the pushes. */
const SHARE = 0.02;
/** It takes seconds of the world, and octets are what is asked about. */
const UNHURRIED = FAULT_NAMES.filter((name) => name !== "reboot" && name !== "slow");

/** Digests of what each connection carried, of four hours of a fleet that meets with everything. */
async function lifeOf(seed: number): Promise<{ digests: string[]; octets: number }> {
  const connections: Buffer[][] = [];
  const clock = { nowMs: START, start: () => {}, now: () => clock.nowMs, realMsUntil: () => 0 };
  const fleet = new Fleet({
    meters: 40,
    models: FLEET_MODEL_NAMES,
    seed,
    target: { host: "127.0.0.1", port: 9 },
    clock,
    listSeconds: 600,
    schedule: { instantSeconds: 900, blockPushSeconds: null, incidentsPerDay: 40, history: false },
    choices: { quirks: QUIRK_NAMES },
    faults: Object.fromEntries(UNHURRIED.map((name) => [name, SHARE])),
    clockErrors: { drift: 0.3, jump: 0.3 },
    powerCut: { afterMs: 2 * HOUR, darkMs: HOUR / 4, backWithinMs: HOUR / 4 },
    dial: async () => uplinkInto(connections),
  });
  for (; clock.nowMs <= START + 4 * HOUR; clock.nowMs += 30_000) fleet.advance();
  await fleet.stop();
  const digests = connections.map((chunks) =>
    createHash("sha256").update(Buffer.concat(chunks)).digest("hex"),
  );
  return { digests: digests.sort(), octets: connections.flat().reduce((sum, { length }) => sum + length, 0) };
}

function uplinkInto(connections: Buffer[][]): Uplink {
  const chunks: Buffer[] = [];
  connections.push(chunks);
  const listeners: ((error: null) => void)[] = [];
  const end = () => {
    uplink.closed = true;
    queueMicrotask(() => {
      for (const listener of listeners.splice(0)) listener(null);
    });
  };
  const uplink = {
    closed: false,
    write: (octets: Buffer) => chunks.push(octets) > 0,
    ...{ end, close: end, destroy: end },
    onClose: (listener: (error: null) => void) => void listeners.push(listener),
    onDrain: () => {},
  };
  return uplink;
}

describe("a fleet of every model, with every quirk, faults, wrong clocks and a power cut", () => {
  it("sends the same octets again from the same seed, and others from another", async () => {
    const once = await lifeOf(7);
    expect(once.octets).toBeGreaterThan(300_000);
    expect(await lifeOf(7)).toEqual(once);
    expect((await lifeOf(8)).digests).not.toEqual(once.digests);
  }, 60_000);
});
