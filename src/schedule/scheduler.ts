import type { Database } from "../storage/database.ts";
import {
  type Fired,
  fireSchedule,
  loadTimedSchedules,
  type ScheduleRecord,
} from "../storage/schedule-firings.ts";
import { CronError, CronTimes } from "./cron-times.ts";
import { dueNow } from "./due.ts";

export interface SchedulerObserver {
  /** From when a run was due to when it was fired. */
  lagSeconds(seconds: number): void;
  fired(schedule: ScheduleRecord, fired: Fired): void;
  /** A schedule whose expression or zone is none. */
  unusable(schedule: ScheduleRecord, error: CronError): void;
  /** The clock was set back by more than daemons' clocks differ. */
  setBack(schedule: ScheduleRecord, toMs: number): void;
}

/** Of schedules and entries that say nothing of their own. */
export interface ScheduleDefaults {
  readonly zone: string;
  readonly clientSap: number;
}

/**
 * Fires what is due, at a tick. It keeps nothing but parsed expressions: what was fired stands in the database, so that it doesn't matter how
 * many daemons there are, when they started, or which ticks were lost.
 */
export class Scheduler {
  private readonly database: Database;
  private readonly defaults: ScheduleDefaults;
  private readonly observer: SchedulerObserver;
  private readonly parsed = new Map<string, CronTimes | CronError>();
  /** By schedule: when its next run is due, after a mark. Nothing is looked for before. */
  private readonly waiting = new Map<number, Waiting>();

  constructor(database: Database, defaults: ScheduleDefaults, observer: SchedulerObserver) {
    this.database = database;
    this.defaults = defaults;
    this.observer = observer;
  }

  async tick(nowMs: number): Promise<void> {
    for (const schedule of await loadTimedSchedules(this.database)) {
      const times = this.timesOf(schedule);
      if (times instanceof CronError) this.observer.unusable(schedule, times);
      else await this.fire(schedule, times, nowMs);
    }
  }

  private async fire(schedule: ScheduleRecord, times: CronTimes, nowMs: number): Promise<void> {
    const { id, missedRuns, windowSeconds, firedUntilMs } = schedule;
    const known = this.waiting.get(id);
    const waits = known?.times === times && known.firedUntilMs === firedUntilMs ? known : null;
    if (waits !== null && nowMs >= firedUntilMs && nowMs < waits.nextMs) return;
    const windowMs = windowSeconds === null ? null : windowSeconds * 1_000;
    const due = dueNow({ times, missedRuns, windowMs, firedUntilMs }, nowMs);
    if (due.firedUntilMs === firedUntilMs) {
      const nextMs = times.next(firedUntilMs) ?? Number.POSITIVE_INFINITY;
      this.waiting.set(id, { times, firedUntilMs, nextMs });
      return;
    }
    if (due.firedUntilMs < firedUntilMs) this.observer.setBack(schedule, due.firedUntilMs);
    const order = { scheduleId: id, ...due };
    for (const fired of await fireSchedule(this.database, order, nowMs, this.defaults.clientSap)) {
      this.observer.lagSeconds((nowMs - fired.dueAtMs) / 1_000);
      this.observer.fired(schedule, fired);
    }
  }

  private timesOf({ cron, timeZone }: ScheduleRecord): CronTimes | CronError {
    const zone = timeZone ?? this.defaults.zone;
    const key = `${zone} ${cron}`;
    let times = this.parsed.get(key);
    if (times === undefined) {
      times = parse(cron, zone);
      // Expressions come and go; few of them are ever there.
      if (this.parsed.size >= PARSED_MAX) this.parsed.clear();
      this.parsed.set(key, times);
    }
    return times;
  }
}

interface Waiting {
  readonly times: CronTimes;
  readonly firedUntilMs: number;
  readonly nextMs: number;
}

const PARSED_MAX = 10_000;

function parse(cron: string, zone: string): CronTimes | CronError {
  try {
    return new CronTimes(cron, zone);
  } catch (error) {
    if (error instanceof CronError) return error;
    throw error;
  }
}
