import { chmodSync, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "../../../simulator/fleet.ts";
import { catalogueFolder } from "../../catalogue/catalogue-folder.ts";
import { loadConfig } from "../../config.ts";
import { openKeyRing } from "../../configured-keys.ts";
import { type Daemon, startDaemon } from "../../daemon.ts";
import { createLog, type Log } from "../../log.ts";
import type { Config } from "../../settings.ts";
import type { Database } from "../../storage/database.ts";
import { importKeys } from "../../storage/key-import.ts";
import { importMeters } from "../../storage/meter-import.ts";
import { lastCapture, loadOverview, type Overview } from "../../storage/overview.ts";
import { importScalers } from "../../storage/scaler-import.ts";
import { addSchedule, listSchedules, removeSchedule } from "../../storage/schedules.ts";
import { demoFleet } from "./demo-fleet.ts";
import { openScreen } from "./demo-screen.ts";
import { type DemoResult, grownBy } from "./demo-verdict.ts";
import type { DemoSnapshot } from "./demo-view.ts";

export interface DemoOptions {
  /** Where the database lies; null: in a temporary directory that is removed at the end. */
  readonly dataDir: string | null;
  readonly meters: number;
  readonly speed: number;
  /** Milliseconds; null: until `ended` resolves. */
  readonly forMs: number | null;
  readonly ended: Promise<unknown>;
  readonly output: NodeJS.WriteStream;
  print(text: string): void;
}

const REDRAW_MS = 500;
/** How long what is on its way at the end may take. */
const SETTLE_MS = 60_000;

/** The whole main job on one machine: database, daemon, a simulated fleet that pushes, a table of what arrives. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const folder = options.dataDir ?? temporaryFolder();
  await mkdir(folder, { recursive: true });
  const { config } = loadConfig(undefined, {
    HES_DATA_DIR: folder,
    HES_LISTEN__TCP: "127.0.0.1:0",
    HES_HTTP__LISTEN: "127.0.0.1:0",
    HES_LOG__LEVEL: "warn",
    // Of the meters' time, which runs fast.
    HES_POLLING__GAP_GRACE_MINUTES: "120",
  });
  // On a terminal the table has the screen, and the log a file.
  const logFile = options.output.isTTY ? createWriteStream(join(folder, "demo.log"), { flags: "a" }) : null;
  const log = logFile ? createLog({ level: "info", format: "json" }, logFile) : createLog(config.log);
  options.print("Starting PostgreSQL and the daemon …");
  try {
    return await withDaemon(config, log, options);
  } finally {
    logFile?.end();
    if (options.dataDir === null) rmSync(folder, { recursive: true, force: true });
  }
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "dlms-hes-demo-"));
  // Run by root, PostgreSQL is another user, who must get in.
  chmodSync(folder, 0o711);
  return folder;
}

async function withDaemon(config: Config, log: Log, options: DemoOptions): Promise<DemoResult> {
  // Schedules are fired, and captures missed, by the time of the meters.
  const meterTime = { now: Date.now };
  const daemon = await startDaemon(config, log, () => meterTime.now());
  const database = daemon.database.open(2, "keys");
  try {
    const before = await loadOverview(database, 0);
    const { fleet, clock } = demoFleet({
      meters: options.meters,
      speed: options.speed,
      target: daemon.listeners.tcp[0]!,
      capturedUntil: await lastCapture(database),
      now: Date.now(),
    });
    meterTime.now = clock.now;
    await importFleet(database, config, fleet);
    await scheduleBlocks(database, clock.now());
    // The first push must not come before the scalers are known.
    await daemon.reload();
    return await push(daemon, database, fleet, before, options);
  } finally {
    await database.close();
    await daemon.stop();
  }
}

/** The same files that a utility gets from its meters' maker, imported in the same way. */
async function importFleet(database: Database, config: Config, fleet: Fleet): Promise<void> {
  const ring = openKeyRing(config);
  await importMeters(database, ring, fleet.importCsv());
  await importKeys(database, ring, fleet.keysCsv());
  const scalers = join(catalogueFolder(), "example-scalers", "simulated.csv");
  await importScalers(database, await readFile(scalers, "utf8"));
}

const SCHEDULE = "block load";

// As `hes schedules add "block load" --cron "45 */2 * * *" --reads block`: every two hours of the meters' time.
async function scheduleBlocks(database: Database, owedAfterMs: number): Promise<void> {
  // Of an earlier demonstration, whose meters lived at another time.
  const known = await listSchedules(database);
  if (known.some(({ name }) => name === SCHEDULE)) await removeSchedule(database, SCHEDULE);
  await addSchedule(database, {
    name: SCHEDULE,
    kind: "poll",
    cron: "45 */2 * * *",
    timeZone: null,
    windowSeconds: null,
    spreadSeconds: 900,
    missedRuns: "collapse",
    overdueAfterSeconds: null,
    scope: { meterNumber: null, group: null, meterType: null },
    content: { profile: "block" },
    clientSap: null,
    priority: 0,
    retryMax: 3,
    retryDelaySeconds: 60,
    owedAfterMs,
  });
}

async function push(
  daemon: Daemon,
  database: Database,
  fleet: Fleet,
  before: Overview,
  options: DemoOptions,
): Promise<DemoResult> {
  const startedAt = performance.now();
  const elapsedSeconds = () => (performance.now() - startedAt) / 1_000;
  const screen = openScreen(options.output);
  let last: DemoSnapshot | null = null;
  const draw = async () => {
    await daemon.upkeep();
    const overview = await loadOverview(database).catch(() => last?.overview ?? before);
    last = await snapshot(daemon, fleet, overview, elapsedSeconds(), last);
    screen.show(last);
  };
  const stopped = new AbortController();
  const drawing = repeat(draw, REDRAW_MS, stopped.signal);
  fleet.start();
  try {
    const timer = new AbortController();
    const time =
      options.forMs === null ? [] : [delay(options.forMs, null, { signal: timer.signal }).catch(() => null)];
    await Promise.race([options.ended, ...time]);
    timer.abort();
    // Meters that have gone can't be asked any more.
    await daemon.endPolls();
    await fleet.stop();
    await settle(database, fleet, before);
    await daemon.upkeep();
  } finally {
    stopped.abort();
    await drawing;
    screen.close();
  }
  const { pushes, rows, holes } = fleet.statistics;
  return {
    sent: onlyPositive(pushes),
    overview: grownBy(await loadOverview(database), before),
    expectedRows: { instant_profile: rows.instant, billing_profile: rows.billing },
    blocks: { pushed: rows.block, keptBack: holes },
    elapsedSeconds: elapsedSeconds(),
  };
}

/** Waits until everything that was sent has a row in push_history, or for a while. */
async function settle(database: Database, fleet: Fleet, before: Overview): Promise<void> {
  const sent = total(fleet.statistics.pushes);
  const deadline = performance.now() + SETTLE_MS;
  while (performance.now() < deadline) {
    const overview = await loadOverview(database, 0).catch(() => before);
    if (total(overview.verdicts) - total(before.verdicts) >= sent) return;
    await delay(100);
  }
}

async function repeat(work: () => Promise<void>, everyMs: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await work();
    await delay(everyMs, null, { signal }).catch(() => null);
  }
}

async function snapshot(
  daemon: Daemon,
  fleet: Fleet,
  overview: Overview,
  elapsedSeconds: number,
  last: DemoSnapshot | null,
): Promise<DemoSnapshot> {
  const { metrics, listeners, database, httpAddress, health } = daemon;
  const counted = await metrics.pushes.counter.get();
  const open = await metrics.connectionsOpen.get();
  const models = fleet.plans.map(({ identity }) => identity.category);
  const names = [...new Set(models)];
  return {
    now: Date.now(),
    elapsedSeconds,
    fleet: names.map((name) => `${models.filter((model) => model === name).length} ${name}`).join(", "),
    listenAddress: listeners.addresses[0] ?? "",
    httpAddress: httpAddress ?? "off",
    readiness: health.report().status,
    embeddedPid: database.embeddedPid(),
    sent: onlyPositive(fleet.statistics.pushes),
    verdicts: Object.fromEntries(
      counted.values.map(({ labels, value }) => [String(labels["verdict"]), value]),
    ),
    connectionsOpen: open.values[0]?.value ?? 0,
    keptBack: fleet.statistics.holes,
    overview,
    before: last && { now: last.now, rows: last.overview.rows },
  };
}

const total = (numbers: Readonly<Record<string, number>>): number =>
  Object.values(numbers).reduce((sum, n) => sum + n, 0);

const onlyPositive = (numbers: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(numbers).filter(([, n]) => n > 0));
