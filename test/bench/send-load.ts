import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import type { SendOptions } from "../../simulator/load.ts";
import type { Daemon } from "../../src/daemon.ts";
import type { IngestObserver } from "../../src/ingest/observer.ts";
import type { Database } from "../../src/storage/database.ts";
import { collector } from "./collector.ts";
import { machineCpuSeconds, ownCpuSeconds, postmasterOf, serverCpuSeconds } from "./cpu.ts";
import type { Generator } from "./generator.ts";

/** What came of a load that was sent to the daemon, up to its last COMMIT. */
export interface Measured {
  readonly pushes: number;
  readonly seconds: number;
  /** Last octet read to committed; pushes are committed in the order in which they come, by and large. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The same without what came in the first second, in which all meters have just called and V8 compiles for the new pace. */
  readonly laterP50Ms: number;
  readonly laterP99Ms: number;
  /** Last octet read to safe in the durable log, and so to the acknowledgement. */
  readonly durableP99Ms: number;
  readonly batches: number;
  /** From the first statement of a batch to the answer to its COMMIT, on average. */
  readonly batchMs: number;
  /** Connections of meters, and those to PostgreSQL that were busy at the end. */
  readonly connections: number;
  readonly databaseConnections: number;
  readonly nodeCpuSeconds: number;
  readonly postgresCpuSeconds: number;
  readonly generatorCpuSeconds: number;
  /** Of all processors meanwhile what none of these three took; interrupts are nobody's. 0 … 1. */
  readonly othersShare: number;
}

const GIVE_UP_MS = 1_800_000;
const FIRST_MS = 1_000;

/** Sends what the generator has prepared and waits until all of it is committed. */
export async function sendLoad(
  daemon: Daemon,
  database: Database,
  generator: Generator,
  load: { readonly pushes: number; readonly send: Pick<SendOptions, "connection" | "ratePerSecond"> },
): Promise<Measured> {
  const { pushes, send } = load;
  const heard = listenIn(daemon.metrics.observer());
  const postmaster = await postmasterOf(database);
  const appliedBefore = await applied(database);
  // What the bench itself has left behind, rows of the last load and their COPYs, is no daemon's to collect, and nothing that its syncs
  // should wait for, while the clock runs.
  collector()("major");
  await promisify(execFile)("sync");
  const { host, port } = daemon.listeners.tcp[0]!;
  await accepted(daemon, await generator.dial({ target: { host, port }, ...send }));
  const usedBy = () => ({
    node: ownCpuSeconds(),
    postgres: serverCpuSeconds(postmaster),
    all: machineCpuSeconds(),
  });
  const before = usedBy();
  const start = performance.now();
  const sent = await generator.send();
  while (heard.committedAt.length < pushes && performance.now() - start < GIVE_UP_MS) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const seconds = (performance.now() - start) / 1_000;
  const after = usedBy();
  heard.end();
  const [open] = await database.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'dlms-hes' AND query LIKE 'COPY%'",
  );
  const stored = (await applied(database)) - appliedBefore;
  if (stored !== pushes) throw new Error(`${pushes} pushes were sent, ${stored} were applied`);
  const ages = heard.committedAt.map((at, index) => at - heard.receivedAt[index]!);
  const laterFrom = heard.receivedAt.findIndex((at) => at > heard.receivedAt[0]! + FIRST_MS);
  const later = ages.slice(Math.max(0, laterFrom));
  const { durableSeconds, writeSeconds } = heard;
  const cpu = {
    nodeCpuSeconds: after.node - before.node,
    postgresCpuSeconds: after.postgres - before.postgres,
    generatorCpuSeconds: sent.cpuSeconds,
  };
  const ours = Object.values(cpu).reduce((sum, each) => sum + each, 0);
  return {
    pushes,
    seconds,
    p50Ms: quantile(ages, 0.5),
    p99Ms: quantile(ages, 0.99),
    laterP50Ms: quantile(later, 0.5),
    laterP99Ms: quantile(later, 0.99),
    durableP99Ms: quantile(durableSeconds, 0.99) * 1_000,
    batches: writeSeconds.length,
    batchMs: (writeSeconds.reduce((sum, each) => sum + each, 0) / writeSeconds.length) * 1_000,
    connections: sent.result.connections,
    databaseConnections: open!["n"],
    ...cpu,
    othersShare: Math.max(0, (after.all - before.all - ours) / (seconds * availableParallelism())),
  };
}

/** Resolves when the daemon has taken up so many connections: to the generator they stand when the system has. */
async function accepted(daemon: Daemon, connections: number): Promise<void> {
  const open = async () => (await daemon.metrics.connectionsOpen.get()).values[0]?.value ?? 0;
  while ((await open()) < connections) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function applied(database: Database): Promise<number> {
  const [row] = await database.query("SELECT count(*)::int AS n FROM push_history WHERE verdict = 'applied'");
  return row!["n"];
}

interface Heard {
  readonly receivedAt: number[];
  readonly committedAt: number[];
  readonly durableSeconds: number[];
  readonly writeSeconds: number[];
  end(): void;
}

/** Listens in on what the ingest reports, until `end`. */
function listenIn(observer: IngestObserver): Heard {
  const own = { ...observer };
  const heard: Heard = {
    ...{ receivedAt: [], committedAt: [], durableSeconds: [], writeSeconds: [] },
    end: () => void Object.assign(observer, own),
  };
  observer.frameReceived = (framing) => {
    heard.receivedAt.push(performance.now());
    own.frameReceived(framing);
  };
  observer.pushDone = (verdict) => {
    if (verdict === "applied") heard.committedAt.push(performance.now());
    own.pushDone(verdict);
  };
  observer.durableSeconds = (seconds) => {
    heard.durableSeconds.push(seconds);
    own.durableSeconds(seconds);
  };
  observer.dbWriteSeconds = (seconds) => {
    heard.writeSeconds.push(seconds);
    own.dbWriteSeconds(seconds);
  };
  return heard;
}

function quantile(values: number[], q: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(q * values.length))]!;
}
