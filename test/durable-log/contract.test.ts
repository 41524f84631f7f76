import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { SYSTEM_CLOCK } from "../../src/clock.ts";
import type { AppendOutcome, DurableLog, LogEntry } from "../../src/durable-log/durable-log.ts";
import { openJetStreamLog } from "../../src/durable-log/jetstream/jetstream-log.ts";
import { openSpool } from "../../src/durable-log/spool/spool.ts";
import { FaultyDisk } from "../support/faulty-files.ts";
import { hasNatsServer, NatsServers } from "../support/nats-servers.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/* What every durable log must do, whatever it is made of. */

interface Place {
  /** Opens the same log again, as the next run of a daemon does. */
  open(bytesMax?: number): Promise<DurableLog>;
}

interface Kind {
  readonly name: string;
  readonly isThere: boolean;
  before(): Promise<void>;
  after(): Promise<void>;
  place(): Place;
}

const observer = { problem: () => undefined, synced: () => undefined };

const spool: Kind = {
  name: "spool",
  isThere: true,
  before: async () => undefined,
  after: async () => undefined,
  place: () => {
    const disk = new FaultyDisk();
    let nonces = 1;
    const nonce = () => nonces++;
    return {
      open: (bytesMax = 1 << 30) =>
        openSpool({ files: disk.access, clock: SYSTEM_CLOCK, observer, nonce, bytesMax }),
    };
  },
};

let servers: NatsServers | null = null;
const timing = { renewMs: 50, holdMs: 1_000, takeMs: 1_500, settleMs: 200 };
const jetStream: Kind = {
  name: "JetStream",
  isThere: hasNatsServer(),
  before: async () => {
    servers = await NatsServers.start(1);
  },
  after: async () => servers?.stop(),
  place: () => {
    const prefix = `T${randomUUID().slice(0, 8)}`;
    const access = {
      ...{ servers: servers!.urls, credentialsFile: "", user: "", password: "" },
      ...{ tlsCaFile: "", tlsCertFile: "", tlsKeyFile: "" },
    };
    return {
      open: (bytesMax = 1 << 24) =>
        openJetStreamLog({
          ...{ access, layout: { prefix, partitions: 3, replicas: 1, bytesMax }, timing, appendMs: 5_000 },
          ...{ daemon: randomUUID(), clock: SYSTEM_CLOCK, observer },
        }),
    };
  },
};

const append = (log: DurableLog, text: string, meterId = "meter") =>
  new Promise<AppendOutcome>((resolve) => log.append(Buffer.from(text), meterId, resolve));

async function read(log: DurableLog, count: number): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  while (entries.length < count) entries.push(...(await log.read(10)));
  return entries;
}

const texts = (entries: readonly LogEntry[]) => entries.map(({ payload }) => payload.toString());
const positions = (entries: readonly LogEntry[]) => entries.map(({ position }) => position);

describe.each([spool, jetStream])("the durable log as $name", (kind) => {
  // Where nats-server is not there, which hasNatsServer says aloud, JetStream has nothing to run on.
  const maybe = kind.isThere ? it : it.skip;
  beforeAll(() => (kind.isThere ? kind.before() : undefined));
  afterAll(() => (kind.isThere ? kind.after() : undefined));

  maybe("gives back what was appended, octet for octet, a meter's records in their order", async () => {
    const log = await kind.place().open();
    const meters = ["a", "b", "c", "d", "e"];
    const outcomes = await Promise.all(
      Array.from({ length: 500 }, (_, n) => append(log, `${meters[n % 5]} ${n} \0\xff`, meters[n % 5])),
    );
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(["durable"]));
    const entries = await read(log, 500);
    expect(new Set(positions(entries)).size).toBe(500);
    for (const [at, meter] of meters.entries()) {
      expect(texts(entries).filter((text) => text.startsWith(meter))).toEqual(
        Array.from({ length: 100 }, (_, n) => `${meter} ${n * 5 + at} \0\xff`),
      );
    }
    log.trim(positions(entries));
    await log.close();
  });

  maybe("keeps what was not trimmed for the next run, and says that it may be applied already", async () => {
    const place = kind.place();
    const first = await place.open();
    for (let n = 0; n < 20; n++) await append(first, `push ${n}`);
    const entries = await read(first, 20);
    first.trim(positions(entries).slice(0, 12));
    await first.close();

    const second = await place.open();
    const left = await read(second, 8);
    expect(texts(left)).toEqual(Array.from({ length: 8 }, (_, n) => `push ${n + 12}`));
    expect(left.every(({ again }) => again)).toBe(true);
    await append(second, "after the restart");
    const [fresh] = await read(second, 1);
    expect(fresh).toMatchObject({ again: false });
    expect(fresh!.payload.toString()).toBe("after the restart");
    second.trim(positions([...left, fresh!]));
    await second.close();

    const third = await place.open();
    await append(third, "the last");
    expect(texts(await read(third, 1))).toEqual(["the last"]);
    await third.close();
  });

  maybe("does not lose what stands behind a record that is not trimmed", async () => {
    const place = kind.place();
    const first = await place.open();
    for (let n = 0; n < 6; n++) await append(first, `push ${n}`);
    const entries = await read(first, 6);
    first.trim(positions(entries).filter((_, n) => n !== 2));
    await first.close();
    const second = await place.open();
    expect(texts(await read(second, 1))[0]).toBe("push 2");
    await second.close();
  });

  maybe("refuses what is more than its bound, and keeps the rest", async () => {
    const log = await kind.place().open(64 << 10);
    const outcomes: AppendOutcome[] = [];
    for (let n = 0; n < 100; n++) outcomes.push(await append(log, `${n} ${"x".repeat(1_000)}`));
    const refused = outcomes.filter(({ kind }) => kind === "refused");
    expect(refused.length).toBeGreaterThan(20);
    expect(new Set(refused.map((outcome) => outcome.kind === "refused" && outcome.reason))).toEqual(
      new Set(["full"]),
    );
    const safe = outcomes.length - refused.length;
    expect(safe).toBeGreaterThan(10);
    expect((await read(log, safe)).length).toBe(safe);
    await log.close();
  });

  maybe("counts what it holds", async () => {
    const log = await kind.place().open();
    for (let n = 0; n < 30; n++) await append(log, `push ${n}`);
    await expect.poll(() => log.state().records, { timeout: 20_000 }).toBe(30);
    expect(log.state().bytes).toBeGreaterThan(30 * 7);
    expect(log.state().condition).toBe("ok");
    log.trim(positions(await read(log, 30)));
    await expect.poll(() => log.state().records, { timeout: 20_000 }).toBe(0);
    await log.close();
  });

  maybe("takes nothing in and gives nothing out once it is closed", async () => {
    const log = await kind.place().open();
    const waiting = log.read(10);
    await log.close();
    expect(await waiting).toEqual([]);
    expect(await append(log, "late")).toMatchObject({ kind: "refused", reason: "closed" });
    expect(await log.read(10)).toEqual([]);
  });
});
