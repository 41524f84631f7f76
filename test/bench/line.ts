import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionHabit } from "../../simulator/line-job.ts";
import type { ModelName } from "../../simulator/model.ts";
import { loadConfig } from "../../src/config.ts";
import { bringUpToDate, openConfiguredDatabase } from "../../src/configured-database.ts";
import { openKeyRing } from "../../src/configured-keys.ts";
import { type Daemon, startDaemon } from "../../src/daemon.ts";
import { createLog, type Log } from "../../src/log.ts";
import type { Config } from "../../src/settings.ts";
import type { Database } from "../../src/storage/database.ts";
import { importKeys } from "../../src/storage/key-import.ts";
import { importMeters } from "../../src/storage/meter-import.ts";
import { packageDirectory } from "../../src/storage/migrate.ts";
import { importScalers } from "../../src/storage/scaler-import.ts";
import { bareAcceptCpuSeconds } from "./bare-accept.ts";
import { bareCopy, copyOut, emptyTables, forgetMeters, type Stored, storedOctets } from "./bare-copy.ts";
import { compressedOctets } from "./compressed.ts";
import { Generator } from "./generator.ts";
import { reportLine } from "./line-report.ts";
import { halfOfAimOf, halfRateOf, middleOf, type Round, ratioOf } from "./round.ts";
import { type Measured, sendLoad } from "./send-load.ts";
import { type WriteWay, writeWays } from "./write-ways.ts";

/*
 * The whole line: octets in at a socket, rows committed, on this machine's cores shared by generator, daemon and PostgreSQL. Beside it
 * bare COPYs of the same rows into the same tables.
 */

export interface LineOptions {
  readonly meters: number;
  readonly pushesPerMeter: number;
  readonly habits: readonly ConnectionHabit[];
  readonly kind: "instant" | "block";
  readonly model: ModelName;
  /** Empty: the embedded PostgreSQL. A database on this machine, which is emptied. */
  readonly databaseUrl: string;
  /** Width of partitions and chunks. */
  readonly partitionDays: number;
}

/** All that is measured of one habit. */
export interface LineResult {
  /** Of which the one with the ratio in the middle counts. */
  readonly rounds: readonly Round[];
  /** At half the rate that that one had. The one with the 99th percentile in the middle counts. */
  readonly halves: readonly Measured[];
  /** At half the rate that is aimed at, which is a share of its COPY's. */
  readonly halvesOfAim: readonly Measured[];
  readonly ways: readonly WriteWay[];
  /** CPU seconds of accepting and closing alone; null for standing connections. */
  readonly bareAccept: number | null;
}

/** A shared machine's pace changes by half within a minute, so loads and COPYs take turns. */
const ROUNDS = 3;

const SEED = 7;
/**
 * Pushes of a meter before the clock starts, as fast as they are taken, and then at half of that rate: caches are filled and code is compiled
 * then, as in a daemon that runs for months. With ten at full speed only, V8 went on compiling throughout the measurement, for an eighth of
 * Node's processor time.
 */
const WARM_UP_PUSHES = 40;
const WARM_UP_PUSHES_PACED = 20;
export const WARM_UP_PUSHES_IN_ALL = WARM_UP_PUSHES + WARM_UP_PUSHES_PACED;
const MINUTE_MS = 60_000;

export function benchLine(options: LineOptions): Promise<void> {
  return withDaemon(options, async (running) => {
    for (const habit of options.habits) {
      reportLine(habit, options, await measureHabit({ ...running, options, habit }));
    }
  });
}

/** A daemon of the bench's own, with its data in a directory that is removed afterwards. */
export async function withDaemon(
  { databaseUrl, partitionDays }: LineOptions,
  work: (running: Pick<Bench, "daemon" | "database" | "config">) => Promise<void>,
): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "dlms-hes-bench-"));
  const { config } = loadConfig(undefined, {
    HES_DATA_DIR: dataDir,
    HES_LISTEN__TCP: "127.0.0.1:0",
    HES_HTTP__LISTEN: "127.0.0.1:0",
    HES_LOG__LEVEL: "error",
    HES_DATABASE__PARTITION_DAYS: String(partitionDays),
    ...(databaseUrl === "" ? {} : { HES_DATABASE__URL: databaseUrl }),
  });
  const log = createLog(config.log);
  if (databaseUrl !== "") await forgetEarlierRun(config, log);
  const daemon = await startDaemon(config, log);
  const database = daemon.database.open(4, "keys");
  try {
    await work({ daemon, database, config });
  } finally {
    await database.close();
    await daemon.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** In a database that was given. A daemon doesn't start where keys are sealed with a key-encryption key that is gone. */
async function forgetEarlierRun(config: Config, log: Log): Promise<void> {
  const opened = await openConfiguredDatabase(config, { log, use: "keys", poolMax: 1 });
  try {
    await bringUpToDate(config, opened);
    await forgetMeters(opened.database);
  } finally {
    await opened.close();
  }
}

interface Bench {
  readonly daemon: Daemon;
  readonly database: Database;
  readonly config: Config;
  readonly options: LineOptions;
  readonly habit: ConnectionHabit;
}

async function measureHabit(bench: Bench): Promise<LineResult> {
  const { database, options, habit } = bench;
  const generator = new Generator();
  try {
    const loads = new Loads(
      bench,
      generator,
      WARM_UP_PUSHES_IN_ALL + (3 * ROUNDS + 1) * options.pushesPerMeter,
    );
    // The first COPY makes V8 compile anew what daemon and bench share on the way to the database, in the load behind it.
    await measureRound(bench, loads);
    await loads.warmUp();
    const rounds: Round[] = [];
    let rows: Stored = new Map();
    while (rounds.length < ROUNDS) {
      const round = await measureRound(bench, loads);
      rounds.push(round);
      rows = round.rows;
    }
    const middle = middleOf(rounds, ratioOf);
    const halves: Measured[] = [];
    const halvesOfAim: Measured[] = [];
    const paced = async (into: Measured[], ratePerSecond: number) => {
      into.push((await loads.send(options.pushesPerMeter, ratePerSecond)).measured);
      await emptyTables(database);
    };
    while (halves.length < ROUNDS) {
      await paced(halves, halfRateOf(middle));
      await paced(halvesOfAim, halfOfAimOf(middle));
    }
    const ways = await writeWays(database, rows);
    await emptyTables(database);
    const bareAccept = habit === "per-push" ? await bareAcceptCpuSeconds(generator) : null;
    return { rounds, halves, halvesOfAim, ways, bareAccept };
  } finally {
    generator.end();
  }
}

/** Leaves the tables empty. */
async function measureRound({ database, options }: Bench, loads: Loads): Promise<Round & { rows: Stored }> {
  await emptyTables(database);
  const { measured: full, octets: lineOctets } = await loads.send(options.pushesPerMeter, null);
  const sizes = await storedOctets(database);
  const rows = await copyOut(database);
  const compressed = await compressedOctets(database);
  await emptyTables(database);
  const copy = await bareCopy(database, rows, 1);
  await emptyTables(database);
  const copyByTwo = await bareCopy(database, rows, 2);
  await emptyTables(database);
  return { full, copy, copyByTwo, sizes, lineOctets, compressedOctets: compressed, rows };
}

/** Loads of one fleet, one after another: later captures and higher counters each time. */
export class Loads {
  private readonly bench: Bench;
  private readonly generator: Generator;
  private readonly pushesInAll: number;
  private sent = 0;

  /** `pushesInAll`: of a meter, in all loads that will be sent. */
  constructor(bench: Bench, generator: Generator, pushesInAll: number) {
    this.bench = bench;
    this.generator = generator;
    this.pushesInAll = pushesInAll;
  }

  async warmUp(): Promise<void> {
    const { measured } = await this.send(WARM_UP_PUSHES, null);
    await this.send(WARM_UP_PUSHES_PACED, measured.pushes / measured.seconds / 2);
  }

  async send(
    pushesPerMeter: number,
    ratePerSecond: number | null,
  ): Promise<{ measured: Measured; octets: number }> {
    const { daemon, database, config, options, habit } = this.bench;
    // Far enough back that the last capture of the last load lies in the past.
    const ahead = this.pushesInAll + 1 - this.sent;
    const prepared = await this.generator.prepare({
      ...options,
      pushesPerMeter,
      seed: habit === "standing" ? SEED : SEED + 1,
      startMs: Math.floor(Date.now() / MINUTE_MS - ahead * stepMinutes(options)) * MINUTE_MS,
      firstCounter: this.sent + 1,
    });
    if (this.sent === 0) {
      await importFleet(database, config, prepared.importCsv, prepared.keysCsv);
      // The first push must not come before the scalers are known.
      await daemon.reload();
    }
    this.sent += pushesPerMeter;
    const load = { pushes: prepared.pushes, send: { connection: habit, ratePerSecond } };
    const measured = await sendLoad(daemon, database, this.generator, load);
    return { measured, octets: prepared.octets };
  }
}

/** Minutes between two captures of a meter. */
const stepMinutes = ({ kind }: LineOptions) => (kind === "block" ? 30 : 1);

async function importFleet(database: Database, config: Config, meters: string, keys: string): Promise<void> {
  const ring = openKeyRing(config);
  await importMeters(database, ring, meters);
  await importKeys(database, ring, keys);
  const scalers = join(packageDirectory("obis"), "example-scalers", "simulated.csv");
  await importScalers(database, readFileSync(scalers, "utf8"));
}
