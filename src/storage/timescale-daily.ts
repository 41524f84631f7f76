import { setTimeout as sleep } from "node:timers/promises";
import { firstWritableDay } from "./daily-load-floor.ts";
import type { Client } from "./database.ts";
import { DAILY_AGGREGATE_NAMES } from "./timescale-daily-definition.ts";

const DAY_MS = 86_400_000;
/** What is refreshed in one statement when everything is: its raw rows are read in one go. */
const STRETCH_DAYS = 30;
const LOCK_NOT_AVAILABLE = "55P03";
/** A policy's refresh of the last days takes seconds; after a minute the caller tries again later. */
const ATTEMPTS_MAX = 60;
const ATTEMPT_PAUSE_MS = 1_000;

/** Whether `daily_load_profile` is a view over continuous aggregates in this database. */
export async function hasDailyAggregate(client: Client): Promise<boolean> {
  const { rows } = await client.query(
    "SELECT relkind = 'v' AS view FROM pg_class WHERE oid = 'daily_load_profile'::regclass",
  );
  return rows[0]?.view === true;
}

/**
 * Refreshes the aggregates for the days that were taken, so that rows below the watermark are seen. Younger days need nothing: real-time
 * aggregation shows them. Days whose raw rows retention may have dropped are left alone: a refresh would erase their history.
 * Answers how many days of meters were taken.
 */
export async function refreshTakenDays(client: Client, timeZone: string): Promise<number> {
  const watermark = await lowestWatermark(client);
  const { rows } = await client.query(
    `SELECT DISTINCT day::timestamp AT TIME ZONE $1 AS first, (day + 1)::timestamp AT TIME ZONE $1 AS last
       FROM daily_load_taken WHERE (day >= ${firstWritableDay("$1")}) IS NOT FALSE ORDER BY 1`,
    [timeZone],
  );
  // A window counts only whole buckets, which begin a microsecond after midnight.
  for (const { first, last } of rows.filter((row) => row.first < watermark)) {
    await refreshWindow(client, first, last + 1);
  }
  const { rowCount } = await client.query("DELETE FROM daily_load_taken");
  return rowCount ?? 0;
}

/** Makes all days anew whose raw rows are there; `onStretch` is told how far it is, in milliseconds since 1970. */
export async function refreshAllDays(
  client: Client,
  timeZone: string,
  onStretch: (done: { from: number; to: number; until: number }) => void = () => {},
): Promise<void> {
  const { rows } = await client.query(
    `SELECT greatest(first::date, ${firstWritableDay("$1")})::timestamp AT TIME ZONE $1 AS begin, now() AS until
       FROM (SELECT (least((SELECT min(time) FROM energy_measurements), (SELECT min(time) FROM voltage_measurements))
              - interval '1 microsecond') AT TIME ZONE $1 AS first) AS raw WHERE first IS NOT NULL`,
    [timeZone],
  );
  if (rows.length === 0) return;
  const { begin, until } = rows[0] as { begin: number; until: number };
  for (let from = begin; from < until; from += STRETCH_DAYS * DAY_MS) {
    const to = Math.min(from + STRETCH_DAYS * DAY_MS, until);
    // Only whole buckets count: the one across the end of a stretch must lie inside.
    await refreshWindow(client, from, to + 2 * DAY_MS);
    onStretch({ from, to, until });
  }
}

async function refreshWindow(client: Client, from: number, to: number): Promise<void> {
  const window = [from, to].map((ms) => `'${new Date(ms).toISOString()}'::timestamptz`).join(", ");
  for (const name of DAILY_AGGREGATE_NAMES) {
    await refreshWhenFree(client, `CALL refresh_continuous_aggregate('${name}', ${window})`);
  }
}

/** The extension's own policy may be refreshing the same days just now: TimescaleDB refuses a second one instead of waiting. */
async function refreshWhenFree(client: Client, sql: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.query(sql);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE || attempt === ATTEMPTS_MAX) throw error;
      await sleep(ATTEMPT_PAUSE_MS);
    }
  }
}

/** Rows from this instant on are aggregated when they are asked for. Milliseconds since 1970; -∞ where nothing was refreshed yet. */
async function lowestWatermark(client: Client): Promise<number> {
  const { rows } = await client.query(
    `SELECT min(extract(epoch FROM _timescaledb_functions.to_timestamp(_timescaledb_functions.cagg_watermark(h.id))))::float8 * 1000 AS watermark
       FROM timescaledb_information.continuous_aggregates a
       JOIN _timescaledb_catalog.hypertable h
         ON h.schema_name = a.materialization_hypertable_schema AND h.table_name = a.materialization_hypertable_name
      WHERE a.view_name = ANY($1) AND a.view_schema = current_schema()`,
    [DAILY_AGGREGATE_NAMES],
  );
  return rows[0]?.watermark ?? Number.NEGATIVE_INFINITY;
}
