import { liveInUtc } from "./config.ts";
import type { ConfiguredDatabase } from "./configured-database.ts";
import { isKekMissing, kekExposure, kekMissing, openKeyRing } from "./configured-keys.ts";
import { openConfiguredLog } from "./configured-log.ts";
import { openDaemonDatabase } from "./daemon-database.ts";
import type { DaemonDuties } from "./daemon-duties.ts";
import { awaitDatabase } from "./database-arrival.ts";
import { watchPresence } from "./database-presence.ts";
import type { LogObserver } from "./durable-log/durable-log.ts";
import type { UserError } from "./exit.ts";
import { Health } from "./http/health.ts";
import { Metrics } from "./http/metrics.ts";
import type { HttpServer } from "./http/server.ts";
import { type Journal, openJournal } from "./journal.ts";
import { type Listeners, openListeners, socketAddress } from "./listeners.ts";
import type { Log } from "./log.ts";
import { openPipeline, type Pipeline } from "./pipeline.ts";
import type { Config } from "./settings.ts";
import { writePromptly } from "./snapshot/prompt-writer.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
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

/**
 * What starts, in which order: database, migrations, keys and configuration, the line from octets to rows, listeners; then, when meters are heard and
 * acknowledged already, what takes the processor for longer: duties, polls, HTTP, and the draining of what the durable log holds. What fails on the way
 * closes what was started before it.
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
  metrics.limitsAre(config.limits);
  health.set("database", "starting");
  let look = () => {};
  const base = await openDaemonDatabase(config, log, () => look());
  started.push(() => base.close());
  const { database, housekeeping } = base;

  // Events from before there is a pipeline raise no alerts; they stand in event_logs all the same.
  let line: Pipeline | null = null;
  const journal = openJournal(housekeeping, log, Date.now, (event) => line?.ingest.observe(event));
  const presence = watchPresence(base, { health, metrics, journal });
  look = presence.look;
  started.push(() => presence.close());

  const spooled = await openConfiguredLog(config, logObserver(health, metrics, journal));
  started.push(() => spooled.release());
  if (base.away !== null) await requireSnapshot(config, spooled.snapshot, base.away);
  metrics.durableLog = () => spooled.durableLog.state();
  metrics.snapshotMeters = () => spooled.snapshot.metersKnown;
  const ring = openKeyRing(config);
  const pipeline = await openPipeline(config, database, ring, metrics.observer(), log, Date.now, spooled);
  line = pipeline;
  started.push(() => pipeline.close());
  const { snapshot, counterLog } = spooled;
  const prompt = writePromptly(snapshot, () => snapshot.write(housekeeping, counterLog, Date.now()));
  started.push(async () => prompt.close());
  let duties: DaemonDuties | null = null;
  started.push(async () => {
    await duties?.close();
    await journal.flush();
  });

  const listeners = await openListeners(config, pipeline.ingest, log);
  started.push(() => listeners.close());
  const { DaemonDuties: Duties } = await import("./daemon-duties.ts");
  const begun = new Duties({ config, base, pipeline, spooled, health, metrics, journal, log });
  duties = begun;
  if (base.away === null) await begun.beginPolls(scheduleClock);
  // While meters are connected still: what is cut off is no failure of theirs.
  started.push(() => begun.endPolls());
  const http = await openHttp(config, health, metrics);
  if (http) started.push(() => http.close());

  if (base.away !== null) {
    const bring = async () => {
      await base.bring();
      presence.arrived();
      await begun.beginPolls(scheduleClock);
    };
    const arrival = awaitDatabase(bring, (error) => {
      health.set("database", error.message);
      journal.record("error", "storage", "the database is there and can't be used", { err: error });
    });
    started.push(() => arrival.close());
  }
  pipeline.ingest.beginDraining();
  health.started();
  const exposure = kekExposure(config);
  if (exposure !== null) journal.record("warn", "security", exposure);
  journal.record("info", "daemon", "started", { version: VERSION, listening: listeners.addresses });
  return {
    health,
    metrics,
    listeners,
    httpAddress: http?.address ?? null,
    database: base.opened,
    reload: pipeline.reload,
    upkeep: () => begun.perform(),
    endPolls: () => begun.breakOffPolls(),
    stop: async () => {
      health.stopping();
      listeners.stopAccepting();
      journal.record("info", "daemon", "stopping: finishing what was read");
      await stopAll();
      log.info({}, "stopped");
    },
  };
}

/** What a daemon must have to serve while the database is away. @throws UserError: `away` where there is no snapshot */
async function requireSnapshot(config: Config, snapshot: Snapshot, away: UserError): Promise<void> {
  if (!(await snapshot.isUsable())) throw away;
  // Where nothing is known to be sealed, the database says later whether anything is; until then none is made.
  if (isKekMissing(config) && (await snapshot.meters.haveKeys())) {
    throw kekMissing(config, "keys of meters in the snapshot beside the spool are sealed with it");
  }
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

/** Loaded only when meters are heard: a third of the daemon's modules, which no push needs. */
async function openHttp(config: Config, health: Health, metrics: Metrics): Promise<HttpServer | null> {
  if (config.http.listen === "") return null;
  const { startHttp } = await import("./http/server.ts");
  return startHttp(socketAddress("http.listen", config.http.listen), health, metrics);
}
