import type { Alert, AlertRule } from "../alerts/rule.ts";
import type { Database } from "./database.ts";

export interface AlertStore {
  /** Enabled rules. */
  rules(): Promise<AlertRule[]>;
  /**
   * Stores alerts, and notifies `hes_alerts` (id, meter, severity, message as JSON) of each new one. Within its rule's hold time an alert
   * of the same key only counts up the one that is there.
   */
  raise(alerts: readonly Alert[]): Promise<{ raised: number; counted: number }>;
}

/** Raising is serialised: it is rare, and two daemons must not both find no earlier alert. */
const ADVISORY_LOCK = 0x616c7274;

export function openAlertStore(database: Database): AlertStore {
  return {
    rules: async () => {
      const rows = await database.query(
        "SELECT id, name, source, log, code, severity, hold_seconds FROM alert_rules WHERE enabled ORDER BY id",
      );
      return rows.map((row) => ({
        id: row["id"],
        name: row["name"],
        over: row["source"],
        log: row["log"],
        code: row["code"],
        severity: row["severity"],
        holdSeconds: row["hold_seconds"],
      }));
    },
    raise: (alerts) =>
      alerts.length === 0 ? Promise.resolve({ raised: 0, counted: 0 }) : raise(database, alerts),
  };
}

function raise(database: Database, alerts: readonly Alert[]): Promise<{ raised: number; counted: number }> {
  return database.transaction(async (client) => {
    await client.query("SELECT pg_advisory_xact_lock($1)", [ADVISORY_LOCK]);
    let counted = 0;
    for (const alert of alerts) {
      const { rowCount } = await client.query(
        `UPDATE alerts a SET occurrences = a.occurrences + $3, last_at = greatest(a.last_at, to_timestamp($2 / 1000.0))
          WHERE a.id = (SELECT x.id FROM alerts x JOIN alert_rules r ON r.id = x.alert_rule_id
             WHERE x.dedup_key = $1 AND x.state <> 'closed'
               AND abs(extract(epoch FROM x.first_at) - $2 / 1000.0) < r.hold_seconds ORDER BY x.id DESC LIMIT 1)`,
        [alert.key, alert.raisedAtMs, alert.count],
      );
      counted += rowCount ?? 0;
      if (rowCount) continue;
      await client.query(
        `INSERT INTO alerts (alert_rule_id, dedup_key, meter_id, severity, message, occurrences, first_at, last_at)
         VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7 / 1000.0), to_timestamp($7 / 1000.0))`,
        [alert.ruleId, alert.key, alert.meterId, alert.severity, alert.text, alert.count, alert.raisedAtMs],
      );
    }
    return { raised: alerts.length - counted, counted };
  });
}
