import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Metrics } from "./http/metrics.ts";
import type { Journal } from "./journal.ts";
import type { Log } from "./log.ts";
import type { Pipeline } from "./pipeline.ts";
import { ConnectionAnnouncer, type MeterConnections } from "./polling/connection-announcer.ts";
import { type MeterRoads, PollError } from "./polling/meter-association.ts";
import { ModelKnowledge } from "./polling/model-knowledge.ts";
import { openLender } from "./polling/open-lender.ts";
import { PolledRows } from "./polling/polled-rows.ts";
import { Poller, type PollObserver } from "./polling/poller.ts";
import type { Duty } from "./schedule/heartbeat.ts";
import { Scheduler, type SchedulerObserver } from "./schedule/scheduler.ts";
import type { Config } from "./settings.ts";
import { settleGap, tendGaps } from "./storage/capture-gaps.ts";
import type { Database } from "./storage/database.ts";
import { openModelProfiles } from "./storage/model-profiles.ts";
import { newestCapture } from "./storage/newest-capture.ts";
import { openPollTasks } from "./storage/poll-tasks.ts";
import { forgetOldFirings } from "./storage/schedule-firings.ts";
import { writeSiteZone } from "./storage/site.ts";

/** Schedules, the polls that they queue, the gaps that are looked for, and the associations that are lent to commands. */
export interface Polls {
  readonly duties: readonly Duty[];
  /** Breaks off what is being polled and what is lent, and gives it back. */
  close(): Promise<void>;
}

export interface PollsOptions {
  /** null: no road leads to any meter, and nothing is polled. */
  readonly roads: MeterRoads | null;
  /** Meters whose own connection ends at this daemon. */
  readonly connections: MeterConnections;
  /** Milliseconds since 1970 UTC: the clock that schedules are fired by. */
  readonly now: () => number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export async function openPolls(
  config: Config,
  database: Database,
  pipeline: Pipeline,
  report: { readonly metrics: Metrics; readonly journal: Journal; readonly log: Log },
  options: PollsOptions,
): Promise<Polls> {
  const { metrics, journal } = report;
  const { now } = options;
  const { clientSap, gapGraceMinutes, memoryDays, fillGaps } = config.polling;
  const pollsMax = options.roads === null ? 0 : config.polling.pollsMax;
  await writeSiteZone(database, config.time.zone);
  const daemon = { id: randomUUID(), name: hostname() };
  const { connections } = options;
  const announcer = new ConnectionAnnouncer({ database, daemon, connections, now });
  // Commands look who lives.
  await announcer.announce();
  const scheduler = new Scheduler(
    database,
    { zone: config.time.zone, clientSap },
    schedulerObserver(metrics, journal),
  );
  const poller = new Poller({
    tasks: openPollTasks(database, pipeline.partitions, daemon.id),
    around: surroundings(config, database, pipeline, metrics, options),
    observer: pollObserver(metrics, journal, report.log),
    pollsMax,
    clientSap,
    onGap: (poll, _result, error) => settleGap(database, poll.gapId!, error, now()),
    random: Math.random,
  });
  const listener = await database.listen(
    "hes_polls",
    () => poller.wake(),
    () => poller.wake(),
  );
  const lender = await openLender({
    ...{ database, daemonId: daemon.id, roads: options.roads ?? NO_ROADS, limits: config.limits },
    isConnected: (meterId) => connections.connectionOf(meterId) !== null,
    onError: (error) => report.log.warn({ err: error }, "an association can't be lent now"),
  });
  announcer.begin(() => {
    poller.wake();
    lender.wake(null);
  });
  const gaps = async () => {
    const graceMs = gapGraceMinutes * MINUTE_MS;
    const fill = fillGaps && pollsMax > 0;
    const found = await tendGaps(database, {
      nowMs: now(),
      graceMs,
      memoryMs: memoryDays * DAY_MS,
      fill,
      clientSap,
    });
    if (found === null) return;
    metrics.gapsOpen.set(found.open);
    if (found.givenUp > 0) journal.record("warn", "polling", "gaps were given up", { gaps: found.givenUp });
  };
  return {
    duties: [
      {
        name: "schedules",
        everyMs: 0,
        run: async () => {
          await announcer.announce();
          await lender.tick();
          await scheduler.tick(now());
          await poller.tick(now());
        },
      },
      { name: "gaps", everyMs: MINUTE_MS, run: gaps },
      { name: "old firings", everyMs: DAY_MS, run: () => forgetOldFirings(database, now()) },
    ],
    close: async () => {
      await listener.close();
      await Promise.all([poller.stop(), lender.stop()]);
      await announcer
        .stop()
        .catch((error: unknown) =>
          report.log.debug({ err: error }, "what this daemon held is free when its row has aged"),
        );
    },
  };
}

function surroundings(
  { polling, time }: Config,
  database: Database,
  pipeline: Pipeline,
  metrics: Metrics,
  { roads, now }: PollsOptions,
) {
  const observer = metrics.observer();
  const rows = new PolledRows({
    configuration: pipeline.configuration,
    codes: pipeline.codes,
    zone: time.zone,
    commit: async (meter, mapped) => {
      const unit = {
        rows: mapped,
        history: null,
        frame: null,
        counter: null,
        quarantine: null,
        again: false,
      };
      const outcome = (await pipeline.store.commit([{ meterId: meter.id, ...unit }]))[0]!;
      for (const { table } of outcome.rowsNew) observer.rowsStored(table.name, 1);
      pipeline.ingest.observeRows(meter, outcome.rowsNew);
      return outcome;
    },
  });
  return {
    roads: roads ?? NO_ROADS,
    knowledge: new ModelKnowledge(openModelProfiles(database)),
    newest: (meterId: string, kind: "block" | "daily") => newestCapture(database, meterId, kind),
    rows,
    now,
    zone: time.zone,
    stepRowsMax: polling.stepRows,
    firstReadMs: polling.firstReadDays * DAY_MS,
  };
}

const NO_ROADS: MeterRoads = {
  open: () => Promise.reject(new PollError("not-configured", "no road leads to meters")),
};

function schedulerObserver(metrics: Metrics, journal: Journal): SchedulerObserver {
  /** Complained about once, and again when it says something else. */
  const complained = new Map<number, string>();
  return {
    lagSeconds: (seconds) => metrics.scheduleLag.observe(Math.max(0, seconds)),
    fired: () => {},
    unusable: ({ id, name }, error) => {
      if (complained.get(id) === error.message) return;
      complained.set(id, error.message);
      journal.record("error", "schedule", `schedule ${name} can't be fired: ${error.message}`);
    },
    setBack: ({ name }, toMs) =>
      journal.record("warn", "schedule", "the clock was set back", {
        schedule: name,
        to: new Date(toMs).toISOString(),
      }),
  };
}

function pollObserver(metrics: Metrics, journal: Journal, log: Log): PollObserver {
  return {
    done: (poll, result, seconds) => {
      metrics.polls.inc({ result });
      metrics.pollTime.observe(seconds);
      log.debug({ meter: poll.meter.meterNumber, list: poll.list.name, result, seconds }, "a poll ended");
    },
    givenUp: (poll, result, error) =>
      journal.record("warn", "polling", "a poll failed for good", {
        meter: poll.meter.meterNumber,
        list: poll.list.name,
        attempts: poll.attempt,
        result,
        error,
      }),
    failed: (error) => log.warn({ err: error }, "polls can't be worked on now; they are tried again"),
  };
}
