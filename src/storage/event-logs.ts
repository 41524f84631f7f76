import type { Database, QueryRow } from "./database.ts";

/** An event of the head-end itself: started, a limit reached, the database away, a partition dropped. */
export interface SystemEvent {
  readonly timeMs: number;
  readonly level: "debug" | "info" | "warn" | "error";
  /** Part of the daemon: `ingest`, `storage`, `scheduler`, … */
  readonly component: string;
  readonly message: string;
  readonly meterId?: string | null;
  /** JSON-serialisable; no keys, no Buffers. */
  readonly data?: object | null;
}

export async function recordSystemEvents(database: Database, events: readonly SystemEvent[]): Promise<void> {
  if (events.length === 0) return;
  await database.query(
    `INSERT INTO event_logs (time, level, component, message, meter_id, data)
     SELECT to_timestamp(at / 1000.0), level, component, message, meter_id, data
       FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::jsonb[])
         AS x(at, level, component, message, meter_id, data)`,
    [
      events.map((e) => e.timeMs),
      events.map((e) => e.level),
      events.map((e) => e.component),
      events.map((e) => e.message),
      events.map((e) => e.meterId ?? null),
      events.map((e) => (e.data ? JSON.stringify(e.data) : null)),
    ],
  );
}

/** The newest first. */
export async function listSystemEvents(database: Database, limit = 100): Promise<QueryRow[]> {
  return database.query("SELECT * FROM event_logs ORDER BY time DESC, id DESC LIMIT $1", [limit]);
}
