import { refreshDailyLoadProfile } from "./daily-load-profile.ts";
import type { Database } from "./database.ts";
import type { Partitions } from "./partitions.ts";

export interface UpkeepReport {
  /** Partitions that were older than their table's retention. */
  readonly partitionsDropped: readonly string[];
  /** Security events that were older than theirs. */
  readonly securityEventsDropped: number;
}

/** Aggregated refusals and taken quarantine rows are kept this long. */
const SECURITY_EVENT_DAYS = 400;

/** What the database needs once an hour or so: partitions ahead, retention. Safe on several daemons at once. */
export async function keepUp(database: Database, partitions: Partitions, now: number): Promise<UpkeepReport> {
  await partitions.refresh();
  await partitions.ensureAround(now);
  const partitionsDropped = [
    ...(await partitions.dropExpired(now)),
    ...(await dropExpiredChunks(database, now)),
  ];
  const dropped = await database.query(
    `DELETE FROM security_events WHERE minute < to_timestamp($1 / 1000.0) - interval '${SECURITY_EVENT_DAYS} days' RETURNING 1`,
    [now],
  );
  return { partitionsDropped, securityEventsDropped: dropped.length };
}

/** What partitions are on plain PostgreSQL, chunks are of hypertables. */
async function dropExpiredChunks(database: Database, now: number): Promise<string[]> {
  const [extension] = await database.query(
    "SELECT 1 AS found FROM pg_extension WHERE extname = 'timescaledb'",
  );
  if (!extension) return [];
  const rows = await database.query(
    `SELECT drop_chunks(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass,
              older_than => to_timestamp($1 / 1000.0) - make_interval(days => p.retention_days)) AS chunk
       FROM timescaledb_information.hypertables h JOIN storage_policies p ON p.table_name = h.hypertable_name
      WHERE h.hypertable_schema IN ('public', $2) AND p.retention_days IS NOT NULL`,
    [now, database.schema],
  );
  return rows.map((row) => row["chunk"] as string);
}

export interface DailyKeeper {
  /** Ends after a refresh that is under way. */
  close(): Promise<void>;
}

/** Refreshes the daily load profile again and again, `pauseMs` after the last time; errors wait for the next time. */
export function keepDailyLoadProfile(
  database: Database,
  options: {
    readonly timeZone: string;
    readonly pauseMs: number;
    readonly onError: (error: unknown) => void;
  },
): DailyKeeper {
  let closed = false;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> = Promise.resolve();
  const next = () => {
    if (closed) return;
    timer = setTimeout(() => {
      running = refreshDailyLoadProfile(database, options).then(next, (error: unknown) => {
        options.onError(error);
        next();
      });
    }, options.pauseMs).unref();
  };
  next();
  return {
    close: async () => {
      closed = true;
      if (timer) clearTimeout(timer);
      await running;
    },
  };
}
