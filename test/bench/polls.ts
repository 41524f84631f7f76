import { fork } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import type { CounterStore } from "../../src/polling/counter-leases.ts";
import { Dialler } from "../../src/polling/dialler.ts";
import { Roads } from "../../src/polling/roads.ts";
import type { MeterAccess } from "../../src/storage/meter-access.ts";
import { AK, CLIENT_TITLE, EK } from "../support/associations.ts";
import { ACCESS } from "../support/road-ends.ts";

/** Columns of an instantaneous profile of D1. */
const COLUMNS = 21;
const PROFILE = { classId: 7, instanceId: parseObis("1.0.94.91.0.255"), attributeId: 2 };
const AT_ONCE = 64;

/**
 * Meters polled once each for their instantaneous profile: a call, HLS 5 in a ciphered context (four passes), a ciphered GET, release. The
 * meters are another process, so that both ends have a core of their own.
 */
export async function benchPolls(meters: number): Promise<void> {
  const child = fork(fileURLToPath(new URL("./polled-meters.js", import.meta.url)), [String(COLUMNS)]);
  try {
    const [port] = (await once(child, "message")) as [number];
    const roads = roadsTo(port);
    await pollAll(roads, Math.min(200, meters));
    const before = process.cpuUsage();
    const started = performance.now();
    const ms = await pollAll(roads, meters);
    const seconds = (performance.now() - started) / 1_000;
    const { user, system } = process.cpuUsage(before);
    const [theirs] = (await askUsage(child)) as [number];
    const own = (user + system) / 1_000;
    ms.sort((a, b) => a - b);
    const per = (total: number) => `${(total / meters).toFixed(2)} ms`;
    console.info(
      `polls: ${meters} meters, ${AT_ONCE} at once, ${COLUMNS} values each, HLS 5, suite 0, ${cpus().length} cores`,
    );
    console.info(
      `  ${Math.round(meters / seconds)} a second; half within ${ms[meters >> 1]!.toFixed(0)} ms, all within ${ms.at(-1)!.toFixed(0)} ms`,
    );
    console.info(
      `  CPU a poll: head-end ${per(own)} (user ${per(user / 1_000)}, system ${per(system / 1_000)}), meters ${per(theirs)}`,
    );
    console.info(`  a core of the head-end polls ${Math.round((meters / own) * 1_000)} a second`);
  } finally {
    child.kill();
  }
}

function askUsage(child: ReturnType<typeof fork>): Promise<unknown[]> {
  const answer = once(child, "message");
  child.send("usage");
  return answer;
}

/** Milliseconds of each poll. */
async function pollAll(roads: Roads, meters: number): Promise<number[]> {
  const ms: number[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < meters; at = next++) {
      const started = performance.now();
      const association = await roads.open(String(at), { clientSap: 48, purpose: "scheduled" });
      const [outcome] = await association.read([{ attribute: PROFILE }]);
      if (outcome?.kind !== "data") throw new Error(`poll ${at}: ${JSON.stringify(outcome)}`);
      await association.release();
      ms.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return ms;
}

function roadsTo(port: number): Roads {
  const counters = new Map<number, number>();
  const store: CounterStore = {
    reserve: (keyId, count, above) => {
      const after = Math.max(counters.get(keyId) ?? 0, above);
      counters.set(keyId, after + count);
      return Promise.resolve({ after, until: after + count });
    },
    isKnown: () => Promise.resolve(true),
    received: () => Promise.resolve(-1),
    noteReceived: () => Promise.resolve(),
  };
  return new Roads({
    load: (id) => Promise.resolve(meterAt(port, Number(id))),
    learn: () => Promise.resolve(),
    counters: store,
    dialler: new Dialler(null, [], 30_000),
    settings: {
      systemTitle: CLIENT_TITLE,
      associationsMax: 10_000,
      perHostMax: 10_000,
      perNetworkMax: 10_000,
      perHostIntervalMs: 0,
      responseMs: 60_000,
      retries: 0,
      hdlcWindow: 1,
      maxReceivePduSize: 1_024,
      counterBlock: 500,
      counterJumpMax: 2 ** 24,
      limits: DEFAULT_LIMITS,
    },
  });
}

/** Each with a counter of its own: keys are the same octets, and other rows. */
function meterAt(port: number, at: number): MeterAccess {
  const key = { clientSap: null, state: "ACTIVE" } as const;
  return {
    ...ACCESS,
    id: String(at),
    meterNumber: `BENCH${at}`,
    port,
    keys: [
      { ...key, keyId: at * 2 + 1, kind: "guek", key: EK },
      { ...key, keyId: at * 2 + 2, kind: "gak", key: AK },
    ],
    association: { mechanism: "hls5", context: "ciphered", secret: null, preEstablished: null },
  };
}
