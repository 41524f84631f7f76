import type { Occurrence } from "./alerts/evaluate.ts";
import type { Log } from "./log.ts";
import type { Database } from "./storage/database.ts";
import { recordSystemEvents, type SystemEvent } from "./storage/event-logs.ts";

const PENDING_MAX = 1_000;

/** The head-end's own events: into the log at once, and into `event_logs` when the database takes them. */
export interface Journal {
  record(level: "info" | "warn" | "error", component: string, message: string, data?: object): void;
  /** Writes what waits. Never rejects: what can't be written waits on, up to a bound. */
  flush(): Promise<void>;
}

/** @param observe told of each event as alert rules over `event_logs` look at it */
export function openJournal(
  database: Database,
  log: Log,
  now: () => number = Date.now,
  observe: (occurrence: Occurrence) => void = () => {},
): Journal {
  let pending: SystemEvent[] = [];
  return {
    record: (level, component, message, data) => {
      log[level]({ component, ...data }, message);
      observe(occurrence(level, component, message, now()));
      if (pending.length < PENDING_MAX)
        pending.push({ timeMs: now(), level, component, message, data: data ?? null });
    },
    flush: async () => {
      const events = pending;
      pending = [];
      try {
        await recordSystemEvents(database, events);
      } catch (error) {
        pending = [...events, ...pending].slice(0, PENDING_MAX);
        log.debug({ err: error }, "the journal can't be written yet");
      }
    },
  };
}

function occurrence(severity: string, log: string, name: string, timeMs: number): Occurrence {
  return {
    over: "event_logs",
    log,
    code: null,
    severity,
    meterId: null,
    subject: log,
    name,
    timeMs,
    begins: true,
  };
}
