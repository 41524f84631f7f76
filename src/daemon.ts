import { liveInUtc } from "./config.ts";
import type { ConfiguredDatabase } from "./configured-database.ts";
import { type ConfiguredLog, openConfiguredLog } from "./configured-log.ts";
import { type DaemonDatabase, openDaemonDatabase } from "./daemon-database.ts";
import { awaitDatabase } from "./database-arrival.ts";
import { watchDatabase } from "./database-watch.ts";
import { DatabaseWork } from "./database-work.ts";
import { type LogObserver, WARN_SHARE } from "./durable-log/durable-log.ts";
import { Health } from "./http/health.ts";
import { Metrics } from "./http/metrics.ts";
import type { HttpServer } from "./http/server.ts";
import { type Journal, openJournal } from "./journal.ts";
import { type Listeners, openListeners, socketAddress } from "./listeners.ts";
import type { Log } from "./log.ts";
import { openPipeline, type Pipeline } from "./pipeline.ts";
import { type Duty, startHeartbeat } from "./schedule/heartbeat.ts";
import type { Config } from "./settings.ts";
import { writePromptly } from "./snapshot/prompt-writer.ts";
import { refreshDailyLoadProfile } from "./storage/daily-load-profile.ts";
import { measureTimescale } from "./storage/measure-timescale.ts";
import { StorageError } from "./storage/storage-error.ts";
import { keepUp } from "./storage/upkeep.ts";
import { VERSION } from "./version.ts";

export interface Daemon {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  /** URL of health and metrics; null where http.listen is empty. */
  readonly httpAddress: string | null;
  readonly database: ConfiguredDatabase;
  /** Reads scalers, codes and lists again now. */
  reload(): Promise<void>;
  /** Does what is done every minute now: days that changed, last sightings. */
  upkeep(): Promise<void>;
  /** Ends polls, and what is lent to commands; what is under way is broken off and given back. Pushes go on. */
  endPolls(): Promise<void>;
  /** Stops accepting, ends polls, finishes and stores what was read, closes everything in reverse order. */
  stop(): Promise<void>;
}

const MINUTE_MS = 60_000;

/**
 * What starts, in which order: database, migrations, keys and configuration, the line from octets to rows, listeners, HTTP.
 * What fails on the way closes what was started before it.
 */
export async function startDaemon(
  config: Config,
  log: Log,
  /** What schedules are fired by, in milliseconds since 1970 UTC; a demonstration has a clock that runs fast. */
  scheduleClock: () => number = Date.now,
): Promise<Daemon> {
  liveInUtc();
  const started: (() => Promise<void>)[] = [];
  const stopAll = async () => {
    for (const stop of started.reverse()) await stop();
  };
  try {
    return await start(config, log, scheduleClock, started, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function start(
  config: Config,
  log: Log,
  scheduleClock: () => number,
  started: (() => Promise<void>)[],
  stopAll: () => Promise<void>,
): Promise<Daemon> {
  const health = new Health();
  const metrics = new Metrics();
  health.set("database", "starting");
  let look = () => {};
  const base = await openDaemonDatabase(config, log, () => look());
  started.push(() => base.close());
  const { gate, housekeeping } = base;
  health.set("database", base.away?.message ?? "ok");
  metrics.databaseUp.set(base.away === null ? 1 : 0);

  // Events from before there is a pipeline raise no alerts; they stand in event_logs all the same.
  let line: Pipeline | null = null;
  const journal = openJournal(housekeeping, log, Date.now, (event) => line?.ingest.observe(event));
  let isThere = base.away === null;
  const note = (condition: "ok" | { away: string }) => {
    gate.set(condition === "ok" ? null : condition.away);
    // Its structure is looked at before it counts as there.
    if (condition === "ok" && (isThere || !gate.isOpen)) return;
    isThere = condition === "ok";
    noteDatabase(condition, health, metrics, journal);
  };
  const watch = watchDatabase(base.pings, note);
  look = watch.look;
  started.push(() => watch.close());

  const spooled = await openConfiguredLog(config, logObserver(health, metrics, journal));
  started.push(() => spooled.release());
  if (base.away !== null && !(await spooled.snapshot.isUsable())) throw base.away;
  metrics.durableLog = () => spooled.durableLog.state();
  metrics.snapshotMeters = () => spooled.snapshot.metersKnown;
  const pipeline = await openPipeline(config, base.database, metrics.observer(), log, Date.now, spooled);
  line = pipeline;
  started.push(() => pipeline.close());
  const { snapshot, counterLog } = spooled;
  const prompt = writePromptly(snapshot, () => snapshot.write(housekeeping, counterLog, Date.now()));
  started.push(async () => prompt.close());
  const duty = duties(config, base, pipeline, journal, spooled, () => watchLog(spooled, health));
  const heart = startHeartbeat([...duty, patient(measuring(base, metrics))], log);
  const work = new DatabaseWork(config, base, pipeline, spooled, { metrics, journal, log });
  started.push(() => work.close());
  started.push(() => heart.stop().then(() => journal.flush()));
  if (base.away === null) heart.add((await work.begin(scheduleClock)).map(patient));

  const listeners = await openListeners(config, pipeline.ingest, log);
  started.push(() => listeners.close());
  // While meters are connected still: what is cut off is no failure of theirs.
  started.push(() => heart.stop().then(() => work.endPolls()));
  const http = await openHttp(config, health, metrics);
  if (http) started.push(() => http.close());

  if (base.away !== null) {
    const bring = async () => {
      await base.bring();
      note("ok");
      heart.add((await work.begin(scheduleClock)).map(patient));
    };
    const arrival = awaitDatabase(bring, (error) => {
      health.set("database", error.message);
      journal.record("error", "storage", "the database is there and can't be used", { err: error });
    });
    started.push(() => arrival.close());
  }
  health.started();
  journal.record("info", "daemon", "started", { version: VERSION, listening: listeners.addresses });
  return {
    health,
    metrics,
    listeners,
    httpAddress: http?.address ?? null,
    database: base.opened,
    reload: pipeline.reload,
    upkeep: () => heart.perform(),
    endPolls: () => work.endPolls(),
    stop: async () => {
      health.stopping();
      listeners.stopAccepting();
      journal.record("info", "daemon", "stopping: finishing what was read");
      await stopAll();
      log.info({}, "stopped");
    },
  };
}

function noteDatabase(
  condition: "ok" | { away: string },
  health: Health,
  metrics: Metrics,
  journal: Journal,
): void {
  if (condition === "ok") {
    health.set("database", "ok");
    metrics.databaseUp.set(1);
    journal.record("info", "storage", "the database is back");
    return;
  }
  health.set("database", condition.away);
  metrics.databaseUp.set(0);
  journal.record("warn", "storage", "the database is away; pushes wait in the durable log", {
    text: condition.away,
  });
}

/** What the durable log tells: into the journal, and its condition into /healthz. */
function logObserver(health: Health, metrics: Metrics, journal: Journal): LogObserver {
  health.set("durable log", "ok");
  return {
    problem: (text, error) => {
      health.set("durable log", text);
      journal.record("error", "durable log", text, { err: error });
    },
    synced: (_records, seconds) => {
      metrics.spoolSync.observe(seconds);
    },
  };
}

/** Filling up is told before it stops anything. */
function watchLog({ durableLog }: ConfiguredLog, health: Health): void {
  const { bytes, bytesMax, condition } = durableLog.state();
  const isFilling = condition === "ok" && bytes > bytesMax * WARN_SHARE;
  health.set("durable log", isFilling ? `${Math.round((bytes / bytesMax) * 100)} % full` : condition);
}

/** The watch has told that the database is away; what is due is done when it is back. */
function patient(duty: Duty): Duty {
  return {
    ...duty,
    run: async (now) => {
      try {
        await duty.run(now);
      } catch (error) {
        if (!(error instanceof StorageError && error.retryable)) throw error;
      }
    },
  };
}

function duties(
  config: Config,
  { housekeeping, upkeep }: DaemonDatabase,
  pipeline: Pipeline,
  journal: Journal,
  { snapshot, counterLog }: ConfiguredLog,
  watchLog: () => void,
): Duty[] {
  const duty = (name: string, everyMs: number, work: (now: number) => Promise<unknown>): Duty =>
    patient({ name, everyMs, run: async (now) => void (await work(now)) });
  return [
    duty("durable log", 1_000, async () => watchLog()),
    duty("snapshot", 1_000, (now) => snapshot.write(housekeeping, counterLog, now)),
    duty("last seen", 10_000, () => pipeline.flush()),
    duty("journal", 10_000, () => journal.flush()),
    duty("daily load profile", MINUTE_MS, () =>
      refreshDailyLoadProfile(upkeep, { timeZone: config.time.zone }),
    ),
    duty("partitions and retention", 60 * MINUTE_MS, async (now) => {
      const report = await keepUp(upkeep, pipeline.partitions, now);
      if (report.partitionsDropped.length > 0 || Object.keys(report.rowsDeleted).length > 0) {
        journal.record("info", "storage", "what was past its retention was dropped", { ...report });
      }
    }),
  ];
}

/** What TimescaleDB says of itself, for /metrics. */
function measuring({ upkeep }: DaemonDatabase, { timescale }: Metrics): Duty {
  const run = async () => timescale.set(await measureTimescale(upkeep));
  return { name: "metrics of TimescaleDB", everyMs: MINUTE_MS, run };
}

/** Loaded only when meters are heard: a third of the daemon's modules, which no push needs. */
async function openHttp(config: Config, health: Health, metrics: Metrics): Promise<HttpServer | null> {
  if (config.http.listen === "") return null;
  const { startHttp } = await import("./http/server.ts");
  return startHttp(socketAddress("http.listen", config.http.listen), health, metrics);
}
