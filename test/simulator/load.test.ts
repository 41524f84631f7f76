import { afterEach, describe, expect, it } from "vitest";
import { type Load, prepareLoad, sendLoad } from "../../simulator/load.ts";
import { dialTarget } from "../../simulator/uplink.ts";
import { TcpListener } from "../../src/transports/tcp-listener.ts";

const START = Date.UTC(2026, 9, 1);
const OPTIONS = {
  meters: 5,
  pushesPerMeter: 40,
  kind: "block",
  model: "D1",
  seed: 1,
  startMs: START,
} as const;

const open: TcpListener[] = [];
afterEach(() => Promise.all(open.splice(0).map((listener) => listener.close())));

/** Listens until `octets` octets have come. */
async function sink(octets: number) {
  const streams: Buffer[][] = [];
  let left = octets;
  let full = () => {};
  const done = new Promise<void>((resolve) => {
    full = resolve;
  });
  const listener = await TcpListener.listen({
    address: { host: "127.0.0.1", port: 0 },
    connections: { open: 0, max: 1_000 },
    onError: () => {},
    onConnection: (connection) => {
      const chunks: Buffer[] = [];
      streams.push(chunks);
      connection.onData((chunk) => {
        chunks.push(chunk);
        left -= chunk.length;
        if (left <= 0) full();
      });
    },
  });
  open.push(listener);
  return { target: { host: "127.0.0.1", port: listener.address.port }, streams, done };
}

/** Counters of the APDUs in a stream of wrapper PDUs, by system title. */
function counters(load: Load, streams: readonly Buffer[]): Map<string, number[]> {
  const found = new Map(load.plans.map(({ systemTitle }) => [systemTitle.toString("hex"), [] as number[]]));
  for (const octets of streams) {
    for (let at = 0; at < octets.length; at += 8 + octets.readUInt16BE(at + 6)) {
      // Wrapper header 8, DB 08, system title 8, length (81 xx or xx), 30, invocation counter 4.
      expect(octets[at + 8]).toBe(0xdb);
      const content = at + 18 + (octets[at + 18] === 0x81 ? 2 : 1);
      expect(octets[content]).toBe(0x30);
      found.get(octets.toString("hex", at + 10, at + 18))!.push(octets.readUInt32BE(content + 1));
    }
  }
  return found;
}

describe("the load", () => {
  const load = prepareLoad({ ...OPTIONS, firstCounter: 7 });
  const rising = OPTIONS.pushesPerMeter;
  const expected = Array.from({ length: rising }, (_, index) => 7 + index);

  it("is made beforehand: so many pushes of so many meters, none like another", () => {
    expect(load.pushes.map(({ length }) => length)).toEqual([40, 40, 40, 40, 40]);
    expect(new Set(load.pushes.flat().map((push) => push.toString("hex"))).size).toBe(200);
    expect(load.importCsv.trim().split("\n").length).toBe(6);
    expect(load.octets).toBe(load.pushes.flat().reduce((sum, { length }) => sum + length, 0));
  });

  it("goes out on one connection a meter, in the order of counters", async () => {
    const { target, streams, done } = await sink(load.octets);
    const result = await sendLoad(load, { target, connection: "standing", ratePerSecond: null });
    await done;
    expect(result).toMatchObject({ sent: 200, connections: 5, failures: 0 });
    for (const own of counters(
      load,
      streams.map((s) => Buffer.concat(s)),
    ).values())
      expect(own).toEqual(expected);
  });

  it("goes out on a connection for each push", async () => {
    const { target, streams, done } = await sink(load.octets);
    const result = await sendLoad(load, { target, connection: "per-push", ratePerSecond: null });
    await done;
    expect(result).toMatchObject({ sent: 200, connections: 200, failures: 0 });
    expect(streams.length).toBe(200);
    for (const own of counters(
      load,
      streams.map((s) => Buffer.concat(s)),
    ).values())
      expect(own.sort((a, b) => a - b)).toEqual(expected);
  });

  it("sends nothing over standing connections before it is told to", async () => {
    const { target, streams, done } = await sink(load.octets);
    let before = -1;
    const dialled = async (connections: number) => {
      expect(connections).toBe(5);
      // What had been written would arrive while as many new connections are made.
      const more = await Promise.all(Array.from({ length: 5 }, () => dialTarget(target)));
      before = streams.flat().length;
      for (const uplink of more) uplink.close();
    };
    await sendLoad(load, { target, connection: "standing", ratePerSecond: null, dialled });
    await done;
    expect(before).toBe(0);
  });

  it("keeps to a rate", async () => {
    const { target, done } = await sink(load.octets);
    const result = await sendLoad(load, { target, connection: "standing", ratePerSecond: 1_000 });
    await done;
    expect(result.seconds).toBeGreaterThan(0.19);
  });

  it("counts what it could not send", async () => {
    const { target } = await sink(1);
    await open.pop()!.close();
    const result = await sendLoad(load, { target, connection: "standing", ratePerSecond: null });
    expect(result).toMatchObject({ sent: 0, connections: 0, failures: 5 });
    const each = await sendLoad(load, { target, connection: "per-push", ratePerSecond: null });
    expect(each).toMatchObject({ sent: 0, connections: 0, failures: 200 });
  });
});
