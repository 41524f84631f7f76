import { afterEach, describe, expect, it, vi } from "vitest";
import { acceleratedClock } from "../../simulator/clock.ts";
import { DueQueue } from "../../simulator/due-queue.ts";
import { Fleet } from "../../simulator/fleet.ts";
import type { FleetOptions } from "../../simulator/fleet-options.ts";
import type { ByteConnection } from "../../src/transports/connection.ts";
import { TcpListener } from "../../src/transports/tcp-listener.ts";

/** 2026-10-31 23:58 in India: two minutes later a day and a month end. */
const START = Date.UTC(2026, 9, 31, 18, 28);
const HALF_HOUR = 1_800_000;

interface Received {
  readonly systemTitle: string;
  readonly control: number;
  readonly counter: number;
  readonly framing: "wrapper" | "hdlc";
}

/** Cuts what a connection brought into APDUs and reads the clear part of general-glo-ciphering, by hand. */
function cut(octets: Buffer): Received[] {
  const received: Received[] = [];
  for (let at = 0; at < octets.length; ) {
    const hdlc = octets[at] === 0x7e;
    // HDLC: flag, format 2, addresses 2, control 1, HCS 2, LLC 3. Wrapper: version, ports and length, 2 each.
    const end = hdlc ? at + 2 + (octets.readUInt16BE(at + 1) & 0x7ff) : at + 8 + octets.readUInt16BE(at + 6);
    const first = hdlc ? at + 11 : at + 8;
    // DB, 08, system title, length (82 xx xx, 81 xx or xx), security control, invocation counter.
    if (octets[first] === 0xdb) {
      const length = octets[first + 10]!;
      const content = first + 11 + (length === 0x82 ? 2 : length === 0x81 ? 1 : 0);
      received.push({
        systemTitle: octets.toString("hex", first + 2, first + 10),
        control: octets[content]!,
        counter: octets.readUInt32BE(content + 1),
        framing: hdlc ? "hdlc" : "wrapper",
      });
    }
    at = end;
  }
  return received;
}

const open: TcpListener[] = [];
afterEach(() => Promise.all(open.splice(0).map((listener) => listener.close())));

async function listen(onConnection: (connection: ByteConnection, number: number) => boolean) {
  const streams: Buffer[][] = [];
  let gone = 0;
  let changed = () => {};
  const listener = await TcpListener.listen({
    address: { host: "127.0.0.1", port: 0 },
    connections: { open: 0, max: 1_000 },
    onError: () => {},
    onConnection: (connection) => {
      const chunks: Buffer[] = [];
      streams.push(chunks);
      if (onConnection(connection, streams.length)) connection.onData((chunk) => chunks.push(chunk));
      connection.onClose(() => {
        gone++;
        changed();
      });
    },
  });
  open.push(listener);
  /** All that came, once `connections` connections have been closed: a meter's end closes before ours has read. */
  const received = async (connections: number) => {
    while (gone < connections)
      await new Promise<void>((resolve) => {
        changed = resolve;
      });
    return streams.flatMap((chunks) => cut(Buffer.concat(chunks)));
  };
  return { target: { host: "127.0.0.1", port: listener.address.port }, received, streams };
}

function fleetOf(target: FleetOptions["target"], more: Partial<FleetOptions> = {}) {
  const clock = {
    nowMs: START,
    start: () => {},
    now: () => clock.nowMs,
    realMsUntil: (instantMs: number) => instantMs - clock.nowMs,
  };
  const schedule = { history: false, instantSeconds: 600, incidentsPerDay: 100, ...more.schedule };
  const fleet = new Fleet({ meters: 12, seed: 3, target, clock, record: true, ...more, schedule });
  const live = (untilMs: number) => {
    clock.nowMs = untilMs;
    for (let i = 0; i < 50; i++) fleet.advance();
  };
  return { fleet, live };
}

describe("a fleet", () => {
  it("sends each push once, with counters of its own for each meter", async () => {
    const { target, received } = await listen(() => true);
    const { fleet, live } = fleetOf(target, { firstCounter: 100 });
    live(START + HALF_HOUR);
    await fleet.stop();
    const { pushes, rows, waiting, connections } = fleet.statistics;
    const total = Object.values(pushes).reduce((a, b) => a + b, 0);
    expect({ waiting, connections }).toEqual({ waiting: 0, connections: 12 });
    expect(pushes).toMatchObject({ daily: 12, billing: 12, "name-plate": 12, instant: 36 });
    // D1 and D2 have blocks of 30 min, D3 of 15: up to 23:58 + 30 min that is one or two each.
    expect([pushes.block, rows.block]).toEqual([8 * 1 + 4 * 2, 8 * 1 + 4 * 2]);
    expect(pushes.event).toBeGreaterThan(0);
    expect(fleet.sent.length).toBe(total);
    const arrived = await received(12);
    expect(arrived.length).toBe(total);
    const titles = new Set(arrived.map(({ systemTitle }) => systemTitle));
    expect(titles.size).toBe(12);
    for (const title of titles) {
      const counters = arrived
        .filter(({ systemTitle }) => systemTitle === title)
        .map(({ counter }) => counter);
      expect(counters).toEqual(counters.map((_, index) => 100 + index));
    }
    expect(new Set(arrived.map(({ control }) => control))).toEqual(new Set([0x20, 0x30]));
    expect(new Set(arrived.map(({ framing }) => framing))).toEqual(new Set(["wrapper", "hdlc"]));
  });

  it("makes a connection for each push where that is its habit", async () => {
    const { target, received, streams } = await listen(() => true);
    const { fleet, live } = fleetOf(target, { connection: "per-push", meters: 3 });
    live(START + 300_000);
    await fleet.stop();
    expect(fleet.sent.length).toBeGreaterThan(9);
    expect((await received(fleet.sent.length)).length).toBe(fleet.sent.length);
    expect(streams.length).toBe(fleet.sent.length);
  });

  it("dials again and repeats what may be lost, with the same octets", async () => {
    const { target, received } = await listen((connection, number) => {
      if (number === 1) connection.destroy();
      return number !== 1;
    });
    const { fleet, live } = fleetOf(target, { meters: 1 });
    live(START + 300_000);
    // What breaks while it hangs up it would only call doubtful.
    await vi.waitFor(() => expect(fleet.statistics.failures).toBe(1), { timeout: 20_000 });
    await fleet.stop();
    const counters = (await received(2)).map(({ counter }) => counter);
    expect(fleet.statistics.failures).toBe(1);
    expect(new Set(counters)).toEqual(new Set(fleet.sent.map(({ counter }) => counter)));
  });

  it("runs by itself on a clock that is faster than time", async () => {
    let seen = 0;
    let enough = () => {};
    const done = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const { target } = await listen((connection) => {
      connection.onData(() => {
        seen++;
        if (seen === 20) enough();
      });
      return false;
    });
    const clock = acceleratedClock(START, 3_600, Date.now);
    const fleet = new Fleet({ meters: 3, seed: 3, target, clock, schedule: { history: false } });
    fleet.start();
    await done;
    await fleet.stop();
    expect(fleet.statistics.pushes.billing).toBe(3);
  });

  it("captures and keeps back what it is told to, as holes", async () => {
    const { target, received } = await listen(() => true);
    const { fleet, live } = fleetOf(target, { meters: 3, holes: 1 });
    live(START + HALF_HOUR);
    await fleet.stop();
    // D1 and D2 one block, D3 two; daily and billing rows go out all the same.
    expect(fleet.statistics).toMatchObject({ holes: 4, pushes: { block: 0, daily: 3, billing: 3 } });
    expect((await received(3)).length).toBe(fleet.sent.length);
  });

  it("writes files for hes meters import and hes keys import", () => {
    const { fleet } = fleetOf({ host: "127.0.0.1", port: 9 }, { meters: 5 });
    const [header, first, , , , last] = fleet.importCsv().split("\n");
    expect(header).toBe(
      "meter_number,meter_type,manufacturer,model,logical_device_name,system_title,required_protection,security_suite,guek,gak,master_key,framing,mode,deviation_sign,time_zone,group",
    );
    expect(first).toMatch(
      /^SIM10000001,SIM-D1,Simulated Meters,D1,SIM0000010000001,53494d0000989681,authenticated\+encrypted,0,[0-9a-f]{32},[0-9a-f]{32},[0-9a-f]{32},wrapper,listen,standard,Asia\/Kolkata,simulated$/,
    );
    expect(last).toMatch(/^SIM10000005,SIM-D2,.*,listen,reversed,/);
    const keys = fleet.keysCsv().split("\n");
    expect(keys.slice(0, 2)).toEqual([
      "meter_number,client_sap,mechanism,secret,context",
      "SIM10000001,16,none,,auto",
    ]);
    expect(keys[4]).toBe("SIM10000001,64,none,,auto");
    expect(keys[3]).toMatch(/^SIM10000001,48,hls2,text:[0-9a-f]{16},[a-z-]+$/);
  });
});

describe("the queue of who is due", () => {
  it("gives the earliest first, and of equals the one with the lower number", () => {
    const queue = new DueQueue();
    const instants = [50, 10, 40, 10, 30, 20, 20, 60, 5];
    instants.forEach((instant, number) => {
      queue.add(instant, number);
    });
    const order = [];
    while (queue.size > 0) order.push(queue.take());
    expect(order).toEqual([8, 1, 3, 5, 6, 4, 2, 0, 7]);
    expect(queue.nextMs).toBe(Number.POSITIVE_INFINITY);
    expect(() => queue.take()).toThrow(RangeError);
  });
});
