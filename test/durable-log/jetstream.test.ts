import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { SYSTEM_CLOCK } from "../../src/clock.ts";
import type { AppendOutcome, DurableLog, LogEntry } from "../../src/durable-log/durable-log.ts";
import { openJetStreamLog } from "../../src/durable-log/jetstream/jetstream-log.ts";
import { hasNatsServer, NatsServers } from "../support/nats-servers.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

/* Several daemons on one log in JetStream, on a cluster of three of which one fails. */

const timing = { renewMs: 100, holdMs: 1_500, takeMs: 2_500, settleMs: 500 };
const PARTITIONS = 4;

const append = (log: DurableLog, text: string, meterId: string) =>
  new Promise<AppendOutcome>((resolve) => log.append(Buffer.from(text), meterId, resolve));

/** Reads, remembers and trims, until the log is closed. */
function follow(log: DurableLog) {
  const entries: LogEntry[] = [];
  const ended = (async () => {
    for (;;) {
      const read = await log.read(50);
      if (read.length === 0) return;
      entries.push(...read);
      log.trim(read.map(({ position }) => position));
    }
  })();
  return { entries, ended, texts: () => entries.map(({ payload }) => payload.toString()) };
}

const meterIds = Array.from({ length: 20 }, (_, n) => `meter ${n}`);

describe.skipIf(!hasNatsServer())("several daemons on one log in JetStream", () => {
  let servers: NatsServers;
  const problems: string[] = [];
  beforeAll(async () => {
    servers = await NatsServers.start(3);
  });
  afterAll(() => servers.stop());

  const open = (prefix: string, partitions = PARTITIONS, urls = servers.urls) =>
    openJetStreamLog({
      access: {
        ...{ servers: urls, credentialsFile: "", user: "", password: "" },
        ...{ tlsCaFile: "", tlsCertFile: "", tlsKeyFile: "" },
      },
      layout: { prefix, partitions, replicas: 3, bytesMax: 1 << 26 },
      ...{ daemon: randomUUID(), clock: SYSTEM_CLOCK, timing, appendMs: 5_000 },
      observer: { problem: (text: string) => void problems.push(text), synced: () => undefined },
    });

  it("shares the reading, every record once and a meter's in order, and hands it over when one ends", async () => {
    const prefix = `T${randomUUID().slice(0, 8)}`;
    const logs = [await open(prefix), await open(prefix)];
    const readers = logs.map(follow);
    const texts = () => readers.flatMap((reader) => reader.texts());
    const sendRound = async (round: number) => {
      for (const [n, meter] of meterIds.entries()) {
        const outcome = await append(logs[n % 2]!, `${meter}: ${round}`, meter);
        expect(outcome.kind).toBe("durable");
      }
    };
    // Until both have partitions.
    let rounds = 0;
    while (readers.some(({ entries }) => entries.length === 0)) await sendRound(rounds++);
    const first = logs.shift()!;
    await first.close();
    logs.push(logs[0]!);
    const until = rounds + 5;
    while (rounds < until) await sendRound(rounds++);
    await expect.poll(() => new Set(texts()).size, { timeout: 60_000 }).toBe(rounds * meterIds.length);
    expect(texts().length).toBe(rounds * meterIds.length);
    for (const reader of readers) {
      for (const meter of meterIds) {
        const own = reader.texts().filter((text) => text.startsWith(`${meter}:`));
        expect(own).toEqual([...own].sort((a, b) => Number(a.split(": ")[1]) - Number(b.split(": ")[1])));
      }
    }
    await logs[0]!.close();
    await Promise.all(readers.map(({ ended }) => ended));
  });

  it("is not opened with another number of partitions", async () => {
    const prefix = `T${randomUUID().slice(0, 8)}`;
    const log = await open(prefix);
    await expect(open(prefix, PARTITIONS + 1)).rejects.toThrow(
      /partition \d of 4.*Set jetstream\.partitions to what it says/,
    );
    await log.close();
  });

  it("loses nothing that it said is safe when one broker's disk is destroyed under load", async () => {
    const prefix = `T${randomUUID().slice(0, 8)}`;
    // Connected to the broker that goes: of the others it learns from that one.
    const log = await open(prefix, PARTITIONS, servers.urls.slice(0, 1));
    const safe = new Set<string>();
    const appendMany = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        const text = `push ${n}`;
        const outcome = await append(log, text, meterIds[n % meterIds.length]!);
        if (outcome.kind === "durable") safe.add(text);
      }
    };
    await appendMany(0, 300);
    const going = appendMany(300, 900);
    await servers.destroy(0);
    await going;
    // What could not be appended while a leader was missing was refused, and not lost silently; now it goes on.
    await expect
      .poll(() => append(log, "the last", "meter 0"), { timeout: 60_000 })
      .toMatchObject({ kind: "durable" });
    safe.add("the last");
    const reader = follow(log);
    await expect
      .poll(() => [...safe].filter((text) => !reader.texts().includes(text)), { timeout: 30_000 })
      .toEqual([]);
    expect(safe.size).toBeGreaterThan(300);
    expect(problems).not.toEqual([]);
    servers.begin(0);
    await servers.healthy(0);
    await log.close();
    await reader.ended;
  });
});
