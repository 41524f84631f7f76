/** A row of `alert_rules`: which events raise an alert. Null means any. */
export interface AlertRule {
  readonly id: number;
  readonly name: string;
  /** What it looks at: events of meters or the system's own log. */
  readonly over: "meter_events" | "event_logs";
  /** `meter_events.log` or `event_logs.component`. */
  readonly log: string | null;
  readonly code: number | null;
  /** Only events of this severity or a higher one. */
  readonly severity: "info" | "warning" | "critical" | null;
  /** One alert of this rule and meter within so many seconds; more raise its count. */
  readonly holdSeconds: number;
}

/** An alert to be stored and notified. `key` is what makes two of them the same alert. */
export interface Alert {
  readonly ruleId: number;
  readonly key: string;
  readonly meterId: string | null;
  readonly severity: string;
  readonly text: string;
  readonly raisedAtMs: number;
  /** Events that it stands for. */
  readonly count: number;
}
