import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionHabit } from "../../simulator/line.ts";
import type { ModelName } from "../../simulator/model.ts";
import { loadConfig } from "../../src/config.ts";
import { openKeyRing } from "../../src/configured-keys.ts";
import { type Daemon, startDaemon } from "../../src/daemon.ts";
import { createLog } from "../../src/log.ts";
import type { Config } from "../../src/settings.ts";
import type { Database } from "../../src/storage/database.ts";
import { importKeys } from "../../src/storage/key-import.ts";
import { importMeters } from "../../src/storage/meter-import.ts";
import { packageDirectory } from "../../src/storage/migrate.ts";
import { importScalers } from "../../src/storage/scaler-import.ts";
import { bareAcceptCpuSeconds } from "./bare-accept.ts";
import { bareCopySeconds, copyOut, emptyTables, storedOctets } from "./bare-copy.ts";
import { ownCpuSeconds, serverCpuSeconds } from "./cpu.ts";
import { Generator } from "./generator.ts";
import { table } from "./report.ts";

/*
 * The whole line: octets in at a socket, rows committed, on this machine's cores shared by generator, daemon and PostgreSQL. Beside it
 * a bare COPY of the same rows into the same tables.
 */

export interface LineOptions {
  readonly meters: number;
  readonly pushesPerMeter: number;
  readonly habits: readonly ConnectionHabit[];
  readonly kind: "instant" | "block";
  readonly model: ModelName;
}

interface Measured {
  readonly pushes: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly nodeCpuSeconds: number;
  readonly postgresCpuSeconds: number;
  readonly generatorCpuSeconds: number;
}

const SEED = 7;
const AIM_PER_SECOND = 5_000;

export async function benchLine(options: LineOptions): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "dlms-hes-bench-"));
  const { config } = loadConfig(undefined, {
    HES_DATA_DIR: dataDir,
    HES_LISTEN__TCP: "127.0.0.1:0",
    HES_HTTP__LISTEN: "127.0.0.1:0",
    HES_LOG__LEVEL: "error",
  });
  const daemon = await startDaemon(config, createLog(config.log));
  const database = daemon.database.open(4);
  try {
    for (const habit of options.habits) await measureHabit(daemon, database, config, options, habit);
  } finally {
    await database.close();
    await daemon.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function measureHabit(
  daemon: Daemon,
  database: Database,
  config: Config,
  options: LineOptions,
  habit: ConnectionHabit,
): Promise<void> {
  const generator = new Generator();
  try {
    const seed = habit === "standing" ? SEED : SEED + 1;
    // The last capture is a minute ago, so that no row lies in the future.
    const startMs = Math.floor(Date.now() / 60_000 - options.pushesPerMeter - 1) * 60_000;
    const prepared = await generator.prepare({ ...options, seed, startMs });
    await importFleet(database, config, prepared.importCsv, prepared.keysCsv);
    // The first push must not come before the scalers are known.
    await daemon.reload();
    const measured = await send(daemon, database, generator, habit, prepared.pushes);
    const sizes = await storedOctets(database);
    const rows = await copyOut(database);
    await emptyTables(database);
    const copySeconds = await bareCopySeconds(database, rows);
    await emptyTables(database);
    const bareAccept = habit === "per-push" ? await bareAcceptCpuSeconds(generator) : null;
    report(habit, options, measured, { copySeconds, bareAccept }, sizes);
  } finally {
    generator.end();
  }
}

async function importFleet(database: Database, config: Config, meters: string, keys: string): Promise<void> {
  const ring = openKeyRing(config);
  await importMeters(database, ring, meters);
  await importKeys(database, ring, keys);
  const scalers = join(packageDirectory("obis"), "example-scalers", "simulated.csv");
  await importScalers(database, readFileSync(scalers, "utf8"));
}

async function send(
  daemon: Daemon,
  database: Database,
  generator: Generator,
  habit: ConnectionHabit,
  pushes: number,
): Promise<Measured> {
  const { durable } = daemon.metrics;
  const latencies: number[] = [];
  const observe = durable.observe.bind(durable);
  durable.observe = ((seconds: number) => {
    latencies.push(seconds);
    observe(seconds);
  }) as typeof durable.observe;
  const postmaster = daemon.database.embeddedPid()!;
  const before = { node: ownCpuSeconds(), postgres: serverCpuSeconds(postmaster) };
  const start = performance.now();
  const { host, port } = daemon.listeners.tcp[0]!;
  const sent = await generator.send({ target: { host, port }, connection: habit, ratePerSecond: null });
  while (latencies.length < pushes && performance.now() - start < 600_000) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const seconds = (performance.now() - start) / 1_000;
  durable.observe = observe as typeof durable.observe;
  const after = { node: ownCpuSeconds(), postgres: serverCpuSeconds(postmaster) };
  const [stored] = await database.query(
    "SELECT count(*)::int AS n FROM push_history WHERE verdict = 'applied'",
  );
  if (stored!["n"] !== pushes) throw new Error(`${pushes} pushes were sent, ${stored!["n"]} were applied`);
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))]! * 1_000;
  return {
    pushes,
    seconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    nodeCpuSeconds: after.node - before.node,
    postgresCpuSeconds: after.postgres - before.postgres,
    generatorCpuSeconds: sent.cpuSeconds,
  };
}

function report(
  habit: ConnectionHabit,
  options: LineOptions,
  measured: Measured,
  { copySeconds, bareAccept }: { readonly copySeconds: number; readonly bareAccept: number | null },
  sizes: readonly { table: string; octets: number; rows: number }[],
): void {
  const { pushes, seconds } = measured;
  const rate = pushes / seconds;
  const perPush = (cpuSeconds: number) => `${((cpuSeconds / pushes) * 1e6).toFixed(0)} µs`;
  const rows = sizes.reduce((sum, size) => sum + size.rows, 0);
  const octets = sizes.reduce((sum, size) => sum + size.octets, 0);
  const how = habit === "standing" ? "standing connections" : "a connection for each push";
  console.log(
    `\nSocket to committed rows: ${pushes} ${options.kind} pushes of ${options.meters} meters (${options.model}), ${how}\n`,
  );
  console.log(
    table(
      ["", "value"],
      [
        [
          "pushes a second",
          `${rate.toFixed(0)} (aim ${AIM_PER_SECOND}) ${rate >= AIM_PER_SECOND ? "✓" : "✗"}`,
        ],
        ["rows a second", (rows / seconds).toFixed(0)],
        ["bare COPY of the same rows, pushes a second", (pushes / copySeconds).toFixed(0)],
        ["ratio to bare COPY", (copySeconds / seconds).toFixed(2)],
        [
          "last octet read to committed, 50 % / 99 %",
          `${measured.p50Ms.toFixed(1)} / ${measured.p99Ms.toFixed(1)} ms`,
        ],
        ["CPU of Node a push", perPush(measured.nodeCpuSeconds)],
        ...(bareAccept === null
          ? []
          : [["  of it accept, read and close alone", perPush(bareAccept)] as const]),
        ["CPU of PostgreSQL a push", perPush(measured.postgresCpuSeconds)],
        ["CPU of the generator a push", perPush(measured.generatorCpuSeconds)],
        ["rows a push", (rows / pushes).toFixed(2)],
        ["octets on disk a push, indexes included", (octets / pushes).toFixed(0)],
      ],
    ),
  );
  console.log(
    `\n${table(
      ["table", "rows", "octets a push"],
      sizes.map((size) => [size.table, size.rows, (size.octets / pushes).toFixed(0)]),
    )}`,
  );
}
