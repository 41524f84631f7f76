import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MAIN } from "../support/daemon.ts";

vi.setConfig({ testTimeout: 300_000 });

/* The same seed gives the same octets, in another process and at another time: what a listener of octets records of two runs. */

const open: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(open.splice(0).map((close) => close())));

/** Records streams, whoever they are of: bare sockets, so that nothing of ours has a say in it. */
async function recordTcp() {
  const streams: Buffer[][] = [];
  const server = createServer((socket) => {
    const chunks: Buffer[] = [];
    streams.push(chunks);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => {});
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(async () => server.close());
  const { port } = server.address() as { port: number };
  return { port, streams: () => streams.map((chunks) => Buffer.concat(chunks)) };
}

async function recordUdp() {
  const senders = new Map<number, Buffer[]>();
  const socket = createSocket("udp4");
  socket.on("message", (message, { port }) => senders.set(port, [...(senders.get(port) ?? []), message]));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  open.push(async () => socket.close());
  const { port } = socket.address();
  return { port, streams: () => [...senders.values()].map((chunks) => Buffer.concat(chunks)) };
}

const TITLE = /53494d00[0-9a-f]{8}/;

/** The streams of each meter in their order, by the first system title in its first: `SIM`, 0 and its number. */
function byMeter(streams: readonly Buffer[]): Map<string, string[]> {
  const meters = new Map<string, string[]>();
  for (const stream of streams) {
    const text = stream.toString("hex");
    const title = TITLE.exec(text)?.[0] ?? "none";
    meters.set(title, [...(meters.get(title) ?? []), text]);
  }
  return meters;
}

async function run(port: number, ...more: string[]): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      ...[MAIN!, "simulate", "--to", `127.0.0.1:${port}`, "--meters", "12", "--for", "2s", "--json"],
      ...["--model", "d1,d2,ht,idis", "--speed", "3600", "--incidents", "40", "--first-counter", "1"],
      ...["--start", "2026-10-24T22:00:00Z", ...more],
    ],
    { stdio: "ignore" },
  );
  expect(await once(child, "exit")).toEqual([0, null]);
}

/** What breaks a connection in its middle leaves it to chance what of it is read, and what comes once more. */
const FAULTS =
  "split,merge,flip,bad-check-sequence,duplicate,repeat,old-counter,counter-reset,wrong-key,wrong-title,clock-drift=30%,clock-jump=30%,daylight-saving=30%";

describe("two processes of hes simulate", () => {
  it.each([
    ["wrapper PDUs", recordTcp, ["--framing", "wrapper", "--faults", FAULTS]],
    ["HDLC frames", recordTcp, ["--framing", "hdlc", "--faults", FAULTS]],
    [
      "every quirk and a power cut",
      recordTcp,
      ["--meters", "40", "--quirks", "all", "--power-cut", "1s", "--dark", "200ms", "--back-within", "200ms"],
    ],
    // So few that a socket holds them all, should nobody read for a while.
    ["datagrams", recordUdp, ["--transport", "udp", "--speed", "900"]],
  ] as const)(
    "send the same octets from the same seed, in %s, and others from another",
    async (_, record, options) => {
      const [one, two, other] = [await record(), await record(), await record()];
      const runs = [[one, "7"] as const, [two, "7"] as const, [other, "8"] as const];
      await Promise.all(runs.map(([{ port }, seed]) => run(port, "--seed", seed, ...options)));
      const [first, second, third] = [one, two, other].map((recorded) => byMeter(recorded.streams()));
      expect([...second!.keys()].sort()).toEqual([...first!.keys()].sort());
      expect(first!.size).toBeGreaterThanOrEqual(12);
      let compared = 0;
      for (const [title, streams] of first!) {
        const again = second!.get(title)!;
        streams.slice(0, again.length).forEach((stream, at) => {
          // One process may have been stopped a little later than the other.
          const octets = Math.min(stream.length, again[at]!.length) / 2;
          compared += octets;
          const same = (other: string) => other.slice(0, 2 * octets) === stream.slice(0, 2 * octets);
          expect(same(again[at]!), `stream ${at} of ${title}`).toBe(true);
          if (octets > 500) expect(same(third!.get(title)?.[at] ?? "")).toBe(false);
        });
      }
      expect(compared).toBeGreaterThan(4_000);
    },
  );
});
