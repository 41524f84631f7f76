import type { Alert, AlertRule } from "./rule.ts";

/** An event of a meter or of the system, as rules look at it. */
export interface Occurrence {
  readonly over: AlertRule["over"];
  /** `meter_events.log` or `event_logs.component`. */
  readonly log: string;
  /** null for events of the system. */
  readonly code: number | null;
  readonly severity: string;
  readonly meterId: string | null;
  /** For people: the meter's number, or nothing. */
  readonly subject: string;
  readonly name: string;
  readonly timeMs: number;
  /** False for an event that ends another one: it raises no alert. */
  readonly begins: boolean;
}

const RANK: Record<string, number> = { info: 0, warning: 1, warn: 1, critical: 2, error: 2 };
const rank = (severity: string) => RANK[severity] ?? 0;

/**
 * The alerts that occurrences raise. What a rule sees several times of one meter within its hold time is one alert with a count; what was
 * raised earlier is found by its key when it is stored.
 */
export function evaluate(rules: readonly AlertRule[], occurrences: readonly Occurrence[]): Alert[] {
  const alerts = new Map<string, Alert>();
  for (const occurrence of occurrences) {
    if (!occurrence.begins) continue;
    for (const rule of rules) {
      if (!matches(rule, occurrence)) continue;
      const { meterId, log, code, timeMs, subject, name, severity } = occurrence;
      const key = `${rule.id}/${meterId ?? ""}/${log}/${code ?? name}`;
      const slot = nearest(alerts, key, timeMs, rule.holdSeconds * 1_000);
      const before = alerts.get(slot);
      if (before !== undefined) alerts.set(slot, { ...before, count: before.count + 1 });
      else {
        const text = subject === "" ? name : `${subject}: ${name}`;
        alerts.set(slot, { ruleId: rule.id, key, meterId, severity, text, raisedAtMs: timeMs, count: 1 });
      }
    }
  }
  return [...alerts.values()];
}

function matches(rule: AlertRule, occurrence: Occurrence): boolean {
  if (rule.over !== occurrence.over) return false;
  if (rule.log !== null && rule.log !== occurrence.log) return false;
  if (rule.code !== null && rule.code !== occurrence.code) return false;
  return rule.severity === null || rank(occurrence.severity) >= rank(rule.severity);
}

/** Where the alert of this key within the hold time stands, or the place of a new one. */
function nearest(alerts: ReadonlyMap<string, Alert>, key: string, timeMs: number, holdMs: number): string {
  for (let n = 0; ; n++) {
    const slot = `${key}#${n}`;
    const alert = alerts.get(slot);
    if (alert === undefined || Math.abs(alert.raisedAtMs - timeMs) < holdMs) return slot;
  }
}
