import { evaluate, type Occurrence } from "../alerts/evaluate.ts";
import type { Alert, AlertRule } from "../alerts/rule.ts";
import { type Cell, METER_EVENTS, type Row } from "../mapping/rows.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { Log } from "./dependencies.ts";

/** Where rules stand and alerts go. */
export interface Alerting {
  rules(): Promise<readonly AlertRule[]>;
  raise(alerts: readonly Alert[]): Promise<unknown>;
}

export type MeterName = Pick<MeterRecord, "id" | "meterNumber">;

/** Occurrences that wait for the database; more than that are dropped, the events themselves are stored. */
const WAITING_MAX = 10_000;

const at = (name: string) => METER_EVENTS.position.get(name)!;
const LOG = at("log");
const CODE = at("code");
const TIME = at("time");
const NAME = at("name");
const SEVERITY = at("severity");
const ACTIVE = at("active");

/** Events that were stored, on their way through the rules. */
export class AlertFeed {
  private readonly alerting: Alerting | null;
  private readonly log: Log;
  private waiting: Occurrence[] = [];

  constructor(alerting: Alerting | null, log: Log) {
    this.alerting = alerting;
    this.log = log;
  }

  /** Rows that a push or a poll has stored, and nobody before. */
  add(meter: MeterName, rows: readonly Row[]): void {
    if (this.alerting === null) return;
    for (const { table, cells } of rows) {
      if (table === METER_EVENTS && this.waiting.length < WAITING_MAX)
        this.waiting.push(occurrence(meter, cells));
    }
  }

  /** An event of the system itself. */
  addOccurrence(occurrence: Occurrence): void {
    if (this.alerting !== null && this.waiting.length < WAITING_MAX) this.waiting.push(occurrence);
  }

  /** Evaluates what has come together. Where the database is away it is tried again the next time. */
  async flush(): Promise<void> {
    if (this.alerting === null || this.waiting.length === 0) return;
    const occurrences = this.waiting;
    this.waiting = [];
    try {
      const alerts = evaluate(await this.alerting.rules(), occurrences);
      if (alerts.length > 0) await this.alerting.raise(alerts);
    } catch (error) {
      this.waiting = [...occurrences, ...this.waiting].slice(0, WAITING_MAX);
      this.log.debug({ err: error }, "alerts could not be raised yet");
    }
  }
}

function occurrence(meter: MeterName, cells: readonly Cell[]): Occurrence {
  return {
    over: "meter_events",
    log: String(cells[LOG]),
    code: Number(cells[CODE]),
    severity: String(cells[SEVERITY]),
    meterId: meter.id,
    subject: meter.meterNumber,
    name: String(cells[NAME]),
    timeMs: Number(cells[TIME]),
    begins: cells[ACTIVE] !== false,
  };
}
