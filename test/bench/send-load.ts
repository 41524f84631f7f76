import type { SendOptions } from "../../simulator/load.ts";
import type { Daemon } from "../../src/daemon.ts";
import type { Database } from "../../src/storage/database.ts";
import { ownCpuSeconds, postmasterOf, serverCpuSeconds } from "./cpu.ts";
import type { Generator } from "./generator.ts";

/** What came of a load that was sent to the daemon, up to its last COMMIT. */
export interface Measured {
  readonly pushes: number;
  readonly seconds: number;
  /** Last octet read to committed; pushes are committed in the order in which they come, by and large. */
  readonly p50Ms: number;
  readonly p99Ms: number;
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
}

const GIVE_UP_MS = 1_800_000;

/** Sends what the generator has prepared and waits until all of it is committed. */
export async function sendLoad(
  daemon: Daemon,
  database: Database,
  generator: Generator,
  load: { readonly pushes: number; readonly send: Pick<SendOptions, "connection" | "ratePerSecond"> },
): Promise<Measured> {
  const { pushes, send } = load;
  const durable = observed(daemon.metrics.durable);
  const received = counted(daemon.metrics.frames, () => true);
  const committed = counted(
    daemon.metrics.pushes,
    (labels) => "verdict" in labels && labels.verdict === "applied",
  );
  const writes = observed(daemon.metrics.databaseWrite);
  const postmaster = await postmasterOf(database);
  const appliedBefore = await applied(database);
  const { host, port } = daemon.listeners.tcp[0]!;
  await accepted(daemon, await generator.dial({ target: { host, port }, ...send }));
  const before = { node: ownCpuSeconds(), postgres: serverCpuSeconds(postmaster) };
  const start = performance.now();
  const sent = await generator.send();
  while (committed.at.length < pushes && performance.now() - start < GIVE_UP_MS) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const seconds = (performance.now() - start) / 1_000;
  const after = { node: ownCpuSeconds(), postgres: serverCpuSeconds(postmaster) };
  durable.end();
  received.end();
  committed.end();
  writes.end();
  const [open] = await database.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'dlms-hes' AND query LIKE 'COPY%'",
  );
  const stored = (await applied(database)) - appliedBefore;
  if (stored !== pushes) throw new Error(`${pushes} pushes were sent, ${stored} were applied`);
  const ages = committed.at.map((at, index) => at - received.at[index]!);
  return {
    pushes,
    seconds,
    p50Ms: quantile(ages, 0.5),
    p99Ms: quantile(ages, 0.99),
    durableP99Ms: quantile(durable.seconds, 0.99) * 1_000,
    batches: writes.seconds.length,
    batchMs: (writes.seconds.reduce((sum, each) => sum + each, 0) / writes.seconds.length) * 1_000,
    connections: sent.result.connections,
    databaseConnections: open!["n"],
    nodeCpuSeconds: after.node - before.node,
    postgresCpuSeconds: after.postgres - before.postgres,
    generatorCpuSeconds: sent.cpuSeconds,
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

/** Listens in on what a histogram is told, until `end`. */
function observed(histogram: { observe(value: number): void }): { seconds: number[]; end(): void } {
  const seconds: number[] = [];
  const observe = histogram.observe;
  histogram.observe = (value: number) => {
    seconds.push(value);
    observe.call(histogram, value);
  };
  return {
    seconds,
    end: () => {
      histogram.observe = observe;
    },
  };
}

interface Incremented {
  inc(labels: object, ...more: number[]): void;
}

/** When a counter was incremented under labels that count, until `end`. */
function counted(counter: Incremented, counts: (labels: object) => boolean): { at: number[]; end(): void } {
  const at: number[] = [];
  const tap = tapOf(counter);
  tap.told = (labels) => {
    if (counts(labels)) at.push(performance.now());
  };
  return {
    at,
    end: () => {
      tap.told = () => undefined;
    },
  };
}

const taps = new WeakMap<Incremented, { told: (labels: object) => void }>();

/** Put in once and for good: what counts under one label goes on calling the `inc` that it found when it was made. */
function tapOf(counter: Incremented): { told: (labels: object) => void } {
  const known = taps.get(counter);
  if (known !== undefined) return known;
  const tap = { told: (_: object): void => undefined };
  const inc = counter.inc;
  counter.inc = (labels, ...more) => {
    tap.told(labels);
    inc.call(counter, labels, ...more);
  };
  taps.set(counter, tap);
  return tap;
}

function quantile(values: number[], q: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(q * values.length))]!;
}
