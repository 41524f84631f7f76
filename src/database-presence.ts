import type { DaemonDatabase } from "./daemon-database.ts";
import { watchDatabase } from "./database-watch.ts";
import type { Health } from "./http/health.ts";
import type { Metrics } from "./http/metrics.ts";
import type { Journal } from "./journal.ts";

/** Who is told whether the database is there. */
export interface PresenceReport {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly journal: Journal;
}

export interface DatabasePresence {
  /** Looks at once, because something says that the database went away. */
  look(): void;
  /** A database that was away at the start is there, and its structure is current. */
  arrived(): void;
  close(): Promise<void>;
}

/** Watches a daemon's database: its gate is shut while it is away, and /healthz, metrics and journal say so. */
export function watchPresence(base: DaemonDatabase, report: PresenceReport): DatabasePresence {
  const { gate } = base;
  let isThere = base.away === null;
  if (base.away === null) {
    report.health.set("database", "ok");
    report.metrics.databaseUp.set(1);
  } else tell({ away: base.away.message }, report);
  const note = (condition: "ok" | { away: string }) => {
    gate.set(condition === "ok" ? null : condition.away);
    // Its structure is looked at before it counts as there.
    if (condition === "ok" && (isThere || !gate.isOpen)) return;
    // The reason may change, as from "connection refused" to "only reads"; the journal has the first one.
    if (condition !== "ok" && !isThere) return report.health.set("database", condition.away);
    isThere = condition === "ok";
    tell(condition, report);
  };
  const watch = watchDatabase(base.pings, note);
  return { look: watch.look, arrived: () => note("ok"), close: () => watch.close() };
}

function tell(condition: "ok" | { away: string }, { health, metrics, journal }: PresenceReport): void {
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
