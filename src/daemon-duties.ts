import type { ConfiguredLog } from "./configured-log.ts";
import type { DaemonDatabase } from "./daemon-database.ts";
import { DatabaseWork } from "./database-work.ts";
import { WARN_SHARE } from "./durable-log/durable-log.ts";
import type { Health } from "./http/health.ts";
import type { Metrics } from "./http/metrics.ts";
import type { Journal } from "./journal.ts";
import type { Log } from "./log.ts";
import type { Pipeline } from "./pipeline.ts";
import { RetentionClock } from "./retention-clock.ts";
import { type Duty, type Heartbeat, startHeartbeat } from "./schedule/heartbeat.ts";
import type { Config } from "./settings.ts";
import { refreshDailyLoadProfile } from "./storage/daily-load-profile.ts";
import { measureTimescale } from "./storage/measure-timescale.ts";
import { StorageError } from "./storage/storage-error.ts";
import { databaseNow, keepUp } from "./storage/upkeep.ts";

const MINUTE_MS = 60_000;

/** What duties are about. */
export interface DutySurroundings {
  readonly config: Config;
  readonly base: DaemonDatabase;
  readonly pipeline: Pipeline;
  readonly spooled: ConfiguredLog;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly journal: Journal;
  readonly log: Log;
}

/**
 * What the daemon does besides hearing meters: now and then, and, while the database is there, polls. No push needs any of it, so it is loaded
 * and begun when meters are heard.
 */
export class DaemonDuties {
  private readonly heart: Heartbeat;
  private readonly work: DatabaseWork;

  constructor(around: DutySurroundings) {
    this.heart = startHeartbeat(duties(around), around.log);
    this.work = new DatabaseWork(around.config, around.base, around.pipeline, around.spooled, around);
  }

  /** Once the database is there; again after an attempt that failed. `now`: the clock that schedules are fired by. */
  async beginPolls(now: () => number): Promise<void> {
    this.heart.add((await this.work.begin(now)).map(patient));
  }

  /** Does everything now, due or not. */
  perform(): Promise<void> {
    return this.heart.perform();
  }

  /** No more polls, and nothing more is lent; what is under way is broken off and given back. */
  async endPolls(): Promise<void> {
    await this.heart.stop();
    await this.breakOffPolls();
  }

  /** The same, and the rest goes on. */
  breakOffPolls(): Promise<void> {
    return this.work.endPolls();
  }

  async close(): Promise<void> {
    await this.heart.stop();
    await this.work.close();
  }
}

function duties({ config, base, pipeline, spooled, health, metrics, journal }: DutySurroundings): Duty[] {
  const { housekeeping, upkeep } = base;
  const { snapshot, counterLog } = spooled;
  const retention = new RetentionClock(() => databaseNow(upkeep));
  const duty = (name: string, everyMs: number, work: (now: number) => Promise<unknown>): Duty =>
    patient({ name, everyMs, run: async (now) => void (await work(now)) });
  return [
    duty("durable log", 1_000, async () => watchLog(spooled, health)),
    duty("snapshot", 1_000, (now) => snapshot.write(housekeeping, counterLog, now)),
    duty("last seen", 10_000, () => pipeline.flush()),
    duty("journal", 10_000, () => journal.flush()),
    duty("daily load profile", MINUTE_MS, () =>
      refreshDailyLoadProfile(upkeep, { timeZone: config.time.zone }),
    ),
    duty("partitions and retention", 60 * MINUTE_MS, async (now) => {
      const report = await keepUp(upkeep, pipeline.partitions, now, await retention.now());
      if (report.partitionsDropped.length > 0 || Object.keys(report.rowsDeleted).length > 0) {
        journal.record("info", "storage", "what was past its retention was dropped", { ...report });
      }
    }),
    // What TimescaleDB says of itself, for /metrics.
    duty("metrics of TimescaleDB", MINUTE_MS, async () =>
      metrics.timescale.set(await measureTimescale(upkeep)),
    ),
  ];
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

/** Filling up is told before it stops anything. */
function watchLog({ durableLog }: ConfiguredLog, health: Health): void {
  const { bytes, bytesMax, condition } = durableLog.state();
  const isFilling = condition === "ok" && bytes > bytesMax * WARN_SHARE;
  health.set("durable log", isFilling ? `${Math.round((bytes / bytesMax) * 100)} % full` : condition);
}
