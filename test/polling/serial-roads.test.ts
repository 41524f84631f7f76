import { afterEach, describe, expect, it } from "vitest";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import type { CounterStore } from "../../src/polling/counter-leases.ts";
import { Dialler } from "../../src/polling/dialler.ts";
import { type RoadSettings, Roads } from "../../src/polling/roads.ts";
import type { MeterAccess } from "../../src/storage/meter-access.ts";
import { ACCESS, Counters, KEYS, SETTINGS } from "../support/road-ends.ts";
import { mockLine, pseudoTerminalLine, type SerialLineOfMeters } from "../support/serial-meters.ts";

const NAME = { classId: 1, instanceId: parseObis("0.0.42.0.0.255"), attributeId: 2 };

const lines: SerialLineOfMeters[] = [];
afterEach(async () => {
  for (const line of lines.splice(0)) await line.close();
});

/** Every meter has keys of its own. */
const on = (line: SerialLineOfMeters, physicalAddress: number | null): MeterAccess => ({
  ...ACCESS,
  id: `on ${physicalAddress}`,
  meterNumber: `M${physicalAddress}`,
  transport: "serial",
  framing: "auto",
  host: line.path,
  port: null,
  physicalAddress,
  keys: KEYS.map((key) => ({ ...key, keyId: key.keyId + 10 * (physicalAddress ?? 0) })),
});

/** A row of counters for each key. */
function countersByKey(): CounterStore {
  const rows = new Map<number, Counters>();
  const of = (keyId: number) => {
    const row = rows.get(keyId) ?? new Counters();
    rows.set(keyId, row);
    return row;
  };
  return {
    reserve: (keyId, count, above) => of(keyId).reserve(keyId, count, above),
    isKnown: (keyId) => of(keyId).isKnown(),
    received: (keyId, sap) => of(keyId).received(keyId, sap),
    noteReceived: (keyId, sap, received) => of(keyId).noteReceived(keyId, sap, received),
  };
}

function roads(
  line: SerialLineOfMeters,
  physical: readonly (number | null)[],
  more: Partial<RoadSettings> = {},
): Roads {
  const meters = physical.map((address) => on(line, address));
  return new Roads({
    load: async (id, clientSap) => {
      const meter = meters.find((one) => one.id === id) ?? null;
      return meter !== null && clientSap === 16 ? { ...meter, association: null } : meter;
    },
    learn: async () => {},
    counters: countersByKey(),
    dialler: new Dialler(null, [], 5_000, line.openSerial),
    settings: { ...SETTINGS, ...more },
  });
}

async function nameOf(road: Roads, physicalAddress: number | null): Promise<string> {
  const association = await road.open(`on ${physicalAddress}`, { clientSap: 48, purpose: "on-demand" });
  try {
    const [outcome] = await association.read([{ attribute: NAME }]);
    return outcome?.kind === "data" ? String(outcome.value.value) : JSON.stringify(outcome);
  } finally {
    await association.release();
  }
}

describe.each([
  ["the mock binding", async (physical: readonly (number | null)[]) => mockLine(physical)],
  ["a pseudo-terminal pair", pseudoTerminalLine],
])("meters on a serial line, over %s", (_what, open) => {
  async function line(
    skip: (note: string) => void,
    physical: readonly (number | null)[],
  ): Promise<SerialLineOfMeters> {
    const opened = await open(physical);
    if (opened === null) skip("neither socat nor python3 makes a pseudo-terminal pair here");
    lines.push(opened!);
    return opened!;
  }

  it("three of them, each by its address, one at a time", async ({ skip }) => {
    const bus = await line(skip, [17, 18, 300]);
    const road = roads(bus, [17, 18, 300]);
    const names = await Promise.all([17, 18, 300, 17].map((address) => nameOf(road, address)));
    expect(names).toEqual(["METER 17", "METER 18", "METER 300", "METER 17"]);
    expect(bus.open).toMatchObject({ now: 0, most: 1 });
  });

  it("paced: so long between two that begin, however many wait", async ({ skip }) => {
    const bus = await line(skip, [17, 18]);
    const pauseMs = 200;
    const road = roads(bus, [17, 18], { perHostIntervalMs: pauseMs });
    // The first time also reads the meter's counter, within its turn.
    await nameOf(road, 17);
    await nameOf(road, 18);
    await Promise.all([17, 18, 17].map((address) => nameOf(road, address)));
    const begun = bus.open.at.slice(-3);
    expect(begun[1]! - begun[0]!).toBeGreaterThanOrEqual(pauseMs * 0.5);
    expect(begun[2]! - begun[1]!).toBeGreaterThanOrEqual(pauseMs * 0.5);
  });

  it("one that doesn't answer is given up, and the next has its turn", async ({ skip }) => {
    const bus = await line(skip, [17]);
    const road = roads(bus, [17, 99], { responseMs: 500, retries: 1 });
    const [absent, present] = await Promise.allSettled([nameOf(road, 99), nameOf(road, 17)]);
    expect(present).toEqual({ status: "fulfilled", value: "METER 17" });
    expect(absent).toMatchObject({ status: "rejected", reason: { failure: "timeout" } });
    expect(bus.open).toMatchObject({ now: 0, most: 1 });
  });

  it("a single one behind an optical head: HDLC from the first octet, addresses of one octet", async ({
    skip,
  }) => {
    const head = await line(skip, [null]);
    expect(await nameOf(roads(head, [null]), null)).toBe("METER null");
    // SNRM of client 16, which reads the counter first, as DLMS-FACTS 19.1 has it: no parameters, for they are the defaults.
    expect(head.meters.heard[0]).toBe("7ea0070321930f017e");
  });

  it("in windows of four frames", async ({ skip }) => {
    const bus = await line(skip, [17]);
    expect(await nameOf(roads(bus, [17], { hdlcWindow: 4 }), 17)).toBe("METER 17");
    expect(bus.meters.heard[0]).toContain("070400000004080400000004");
  });
});
