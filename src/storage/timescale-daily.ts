import { setTimeout as sleep } from "node:timers/promises";
import { firstWritableDay } from "./daily-load-floor.ts";
import type { Client } from "./database.ts";
import { DAILY_AGGREGATE_NAMES, type DailyAggregate, POLICY_DAYS } from "./timescale-daily-definition.ts";

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

/** Days that ended so long ago are not left to the policies. */
const LEFT_TO_POLICIES_DAYS = 2;

/**
 * Refreshes the aggregates for the days that were taken, so that rows below the watermark are seen, and for all between the watermark and the
 * days that the policies refresh: once a policy has moved the watermark over them they would not be seen any more. Younger days need
 * nothing: real-time aggregation shows them. Days whose raw rows retention may have dropped are left alone: a refresh would erase their history.
 * Answers how many days of meters were taken.
 */
export async function refreshTakenDays(client: Client, timeZone: string): Promise<number> {
  const watermarks = await watermarksOf(client);
  const { rows } = await client.query(
    `SELECT DISTINCT day::timestamp AT TIME ZONE $1 AS first, (day + 1)::timestamp AT TIME ZONE $1 AS last
       FROM daily_load_taken WHERE (day >= ${firstWritableDay("$1")}) IS NOT FALSE ORDER BY 1`,
    [timeZone],
  );
  const { rows: taken } = await client.query("SELECT FROM daily_load_taken LIMIT 1");
  if (taken.length > 0) await raiseWatermarks(client, timeZone);
  // A window counts only whole buckets, which begin a microsecond after midnight.
  for (const [name, watermark] of watermarks) {
    for (const { first, last } of rows.filter((row) => row.first < watermark)) {
      await refreshAggregate(client, name, first, last + 1);
    }
  }
  const { rowCount } = await client.query("DELETE FROM daily_load_taken");
  return rowCount ?? 0;
}

/** Every aggregate from its watermark on, or from its first chunk where nothing was refreshed yet. */
async function raiseWatermarks(client: Client, timeZone: string): Promise<void> {
  const { rows } = await client.query(
    `SELECT a.view_name AS name, extract(epoch FROM w.until)::float8 * 1000 AS until,
            extract(epoch FROM date_trunc('day', greatest(w.watermark, f.first - interval '2 days', w.floor), $1))::float8 * 1000 AS begin
       FROM timescaledb_information.continuous_aggregates a
       JOIN _timescaledb_catalog.hypertable h
         ON h.schema_name = a.materialization_hypertable_schema AND h.table_name = a.materialization_hypertable_name
       CROSS JOIN LATERAL (SELECT min(c.range_start) AS first FROM timescaledb_information.chunks c
         WHERE c.hypertable_schema = a.hypertable_schema AND c.hypertable_name = a.hypertable_name) f
       CROSS JOIN LATERAL (SELECT _timescaledb_functions.to_timestamp(_timescaledb_functions.cagg_watermark(h.id)) AS watermark,
         date_trunc('day', now() - interval '${LEFT_TO_POLICIES_DAYS} days', $1) AS until,
         ${firstWritableDay("$1")}::timestamp AT TIME ZONE $1 AS floor) w
      WHERE a.view_name = ANY($2) AND a.view_schema = current_schema() AND f.first IS NOT NULL`,
    [timeZone, DAILY_AGGREGATE_NAMES],
  );
  for (const { name, begin, until } of rows) {
    for (let from = begin; from + DAY_MS <= until; from += STRETCH_DAYS * DAY_MS) {
      // Only whole buckets count: the one across the end of a stretch must lie inside.
      const to = from + (STRETCH_DAYS + 2) * DAY_MS;
      await refreshAggregate(client, name, from, Math.min(to, until + 1));
    }
  }
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

/** What an aggregate is made of. */
const RAW_ROWS: Readonly<Record<DailyAggregate, string>> = {
  daily_energy: "energy_measurements WHERE source IN ('block', 'daily') AND",
  daily_voltage: "voltage_measurements WHERE",
};

/**
 * The aggregates that days are still to be made in before the last ones, which policies refresh: until then these days are made of raw rows
 * whenever somebody asks, and a policy that ran would hide them.
 */
export async function unmadeAggregates(client: Client): Promise<ReadonlySet<DailyAggregate>> {
  const unmade = new Set<DailyAggregate>();
  for (const [name, watermark] of await watermarksOf(client)) {
    const { rows } = await client.query(
      `SELECT w.from < w.until AND EXISTS (SELECT FROM ${RAW_ROWS[name]} time >= w.from AND time < w.until) AS unmade
         FROM (SELECT now() - interval '${POLICY_DAYS} days' AS until, greatest(to_timestamp($1 / 1000.0),
           (SELECT max(dropped_before) + interval '3 days' FROM storage_policies
             WHERE table_name IN ('energy_measurements', 'voltage_measurements'))) AS "from") AS w`,
      [watermark],
    );
    if (rows[0]!.unmade) unmade.add(name);
  }
  return unmade;
}

async function refreshWindow(client: Client, from: number, to: number): Promise<void> {
  for (const name of DAILY_AGGREGATE_NAMES) await refreshAggregate(client, name, from, to);
}

/** From and to in milliseconds since 1970. */
function refreshAggregate(client: Client, name: string, from: number, to: number): Promise<void> {
  const window = [from, to].map((ms) => `'${new Date(ms).toISOString()}'::timestamptz`).join(", ");
  return refreshWhenFree(client, `CALL refresh_continuous_aggregate('${name}', ${window})`);
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

/** By aggregate: rows from this instant on are aggregated when they are asked for. Milliseconds since 1970. */
async function watermarksOf(client: Client): Promise<ReadonlyMap<DailyAggregate, number>> {
  const { rows } = await client.query(
    `SELECT a.view_name AS name,
            extract(epoch FROM _timescaledb_functions.to_timestamp(_timescaledb_functions.cagg_watermark(h.id)))::float8 * 1000 AS watermark
       FROM timescaledb_information.continuous_aggregates a
       JOIN _timescaledb_catalog.hypertable h
         ON h.schema_name = a.materialization_hypertable_schema AND h.table_name = a.materialization_hypertable_name
      WHERE a.view_name = ANY($1) AND a.view_schema = current_schema()`,
    [DAILY_AGGREGATE_NAMES],
  );
  return new Map(rows.map(({ name, watermark }) => [name as DailyAggregate, watermark as number]));
}
