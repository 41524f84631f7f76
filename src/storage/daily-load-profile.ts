import { DAILY_LOAD_LOCK } from "./daily-load-changes.ts";
import { firstWritableDay } from "./daily-load-floor.ts";
import type { Client, Database } from "./database.ts";
import { hasDailyAggregate, refreshTakenDays } from "./timescale-daily.ts";

export interface DailyRefreshOptions {
  /** IANA name of the zone that days are cut in. */
  readonly timeZone: string;
  /** Days of meters that are written in one transaction. */
  readonly batchMax?: number;
}

/** Serialises refreshing among daemons. */
const REFRESH_LOCK = 0x64617972;
const BATCH_MAX = 2_000;
/** Days between the first and the last that are written in one transaction: their partitions are looked into, whatever days of meters they are. */
const BATCH_DAYS_MAX = 31;

/**
 * Brings `daily_load_profile` up to date for the days that changed since the last call. Answers how many days of meters were written.
 * Rows committed before the call are seen; those that are being written now are seen by the next one.
 */
export async function refreshDailyLoadProfile(
  database: Database,
  options: DailyRefreshOptions,
): Promise<number> {
  return database.withClient(async (client) => {
    const { rows } = await client.query("SELECT pg_try_advisory_lock($1) AS mine", [REFRESH_LOCK]);
    if (!rows[0]?.mine) return 0;
    try {
      await takeChanges(client);
      if (await hasDailyAggregate(client)) return await refreshTakenDays(client, options.timeZone);
      let written = 0;
      for (;;) {
        const days = await writeTaken(client, options);
        written += days;
        if (days === 0) return written;
      }
    } finally {
      await client.query("SELECT pg_advisory_unlock($1)", [REFRESH_LOCK]).catch(() => undefined);
    }
  });
}

async function takeChanges(client: Client): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query("SELECT pg_advisory_xact_lock($1)", [DAILY_LOAD_LOCK]);
    await client.query(
      `WITH changed AS (DELETE FROM daily_load_changes RETURNING meter_id, day)
       INSERT INTO daily_load_taken SELECT meter_id, day FROM changed ON CONFLICT DO NOTHING`,
    );
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

/*
 * A day is ]00:00, 24:00] in the zone. Its registers are those of the midnight capture that ends it and of the one that ends the
 * day before; a changed midnight register therefore also changes the day after, where that one is there.
 */
const lastRegister = (column: string) =>
  `(array_agg(${column} ORDER BY time DESC) FILTER (WHERE ${column} IS NOT NULL))[1]`;
/** The instants once more as values: joins alone don't keep the statement from opening, and locking, all partitions there are. */
const within = (table: string) => `${table}.time > $3::timestamptz AND ${table}.time <= $4::timestamptz`;
const lastRegisters = (after: string, until: string) => `
      SELECT ${lastRegister("active_import_wh")} AS import, ${lastRegister("active_export_wh")} AS export
        FROM energy_measurements e
       WHERE e.meter_id = w.meter_id AND e.source = 'daily' AND e.time > ${after} AND e.time <= ${until} AND ${within("e")}`;

/** Days that are written next, and the instants that they, the day before and the day after lie between. */
const NEXT = `
SELECT first::text, last::text, (first - 1)::timestamp AT TIME ZONE $1 AS after, (last + 2)::timestamp AT TIME ZONE $1 AS until
  FROM (SELECT min(day) AS first, least(max(day), min(day) + ${BATCH_DAYS_MAX}) AS last
          FROM (SELECT day FROM daily_load_taken ORDER BY day, meter_id LIMIT $2) d) span`;

const WRITE = `
WITH taken AS (
  DELETE FROM daily_load_taken WHERE (meter_id, day) IN (
    SELECT meter_id, day FROM daily_load_taken WHERE day BETWEEN $5::date AND $6::date ORDER BY day, meter_id LIMIT $2)
  RETURNING meter_id, day),
wanted AS (
  SELECT meter_id, day, day::timestamp AT TIME ZONE $1 AS starts, (day + 1)::timestamp AT TIME ZONE $1 AS ends,
         (day - 1)::timestamp AT TIME ZONE $1 AS before
    FROM (SELECT meter_id, day FROM taken
          UNION SELECT t.meter_id, t.day + 1 FROM taken t JOIN daily_load_profile p ON p.meter_id = t.meter_id AND p.day = t.day + 1) d
   WHERE EXISTS (SELECT FROM public.meters m WHERE m.id = d.meter_id)
     AND (day >= ${firstWritableDay("$1")}) IS NOT FALSE),
measured AS (
  SELECT w.meter_id, w.day, o.import AS opening_import_wh, c.import AS closing_import_wh, o.export AS opening_export_wh,
         c.export AS closing_export_wh, b.*, v.*,
         round(extract(epoch FROM w.ends - w.starts) / b.interval_seconds)::int AS blocks_expected
    FROM wanted w
    CROSS JOIN LATERAL (${lastRegisters("w.starts", "w.ends")}) c
    CROSS JOIN LATERAL (${lastRegisters("w.before", "w.starts")}) o
    CROSS JOIN LATERAL (
      SELECT sum(block_active_import_wh) AS block_sum_import_wh, sum(block_active_export_wh) AS block_sum_export_wh,
             count(*)::int AS blocks_present,
             coalesce(max(interval_seconds), (SELECT t.interval_seconds FROM public.meters m
               JOIN meter_types t ON t.name = m.meter_type WHERE m.id = w.meter_id), 1800) AS interval_seconds,
             max(block_active_import_wh * 3600 / interval_seconds) AS max_demand_w,
             (array_agg(time ORDER BY block_active_import_wh * 3600 / interval_seconds DESC NULLS LAST, time))[1] AS max_demand_at
        FROM energy_measurements e
       WHERE e.meter_id = w.meter_id AND e.source = 'block' AND e.time > w.starts AND e.time <= w.ends AND ${within("e")}) b
    CROSS JOIN LATERAL (
      SELECT min(least(voltage_l1_v, voltage_l2_v, voltage_l3_v)) AS min_voltage_v,
             max(greatest(voltage_l1_v, voltage_l2_v, voltage_l3_v)) AS max_voltage_v
        FROM voltage_measurements u WHERE u.meter_id = w.meter_id AND u.time > w.starts AND u.time <= w.ends AND ${within("u")}) v),
written AS (
  INSERT INTO daily_load_profile AS p (day, meter_id, opening_import_wh, closing_import_wh, opening_export_wh, closing_export_wh,
    consumption_wh, export_wh, consumption_from, block_sum_import_wh, block_sum_export_wh, blocks_present, blocks_expected,
    difference_wh, max_demand_w, max_demand_at, min_voltage_v, max_voltage_v)
  SELECT day, meter_id, opening_import_wh, closing_import_wh, opening_export_wh, closing_export_wh,
         coalesce(closing_import_wh - opening_import_wh, block_sum_import_wh),
         coalesce(closing_export_wh - opening_export_wh, block_sum_export_wh),
         CASE WHEN closing_import_wh - opening_import_wh IS NOT NULL THEN 'registers'
              WHEN block_sum_import_wh IS NOT NULL THEN 'blocks' END,
         block_sum_import_wh, block_sum_export_wh, blocks_present, blocks_expected,
         closing_import_wh - opening_import_wh - block_sum_import_wh, max_demand_w,
         CASE WHEN max_demand_w IS NOT NULL THEN max_demand_at END, min_voltage_v, max_voltage_v
    FROM measured ORDER BY meter_id, day
  ON CONFLICT (meter_id, day) DO UPDATE SET opening_import_wh = excluded.opening_import_wh,
    closing_import_wh = excluded.closing_import_wh, opening_export_wh = excluded.opening_export_wh,
    closing_export_wh = excluded.closing_export_wh, consumption_wh = excluded.consumption_wh, export_wh = excluded.export_wh,
    consumption_from = excluded.consumption_from, block_sum_import_wh = excluded.block_sum_import_wh,
    block_sum_export_wh = excluded.block_sum_export_wh, blocks_present = excluded.blocks_present,
    blocks_expected = excluded.blocks_expected, difference_wh = excluded.difference_wh, max_demand_w = excluded.max_demand_w,
    max_demand_at = excluded.max_demand_at, min_voltage_v = excluded.min_voltage_v, max_voltage_v = excluded.max_voltage_v
  RETURNING 1)
SELECT (SELECT count(*) FROM taken) AS taken, (SELECT count(*) FROM written) AS written`;

/** Taking and writing commit together: a daemon that dies in between leaves the days taken. */
async function writeTaken(
  client: Client,
  { timeZone, batchMax = BATCH_MAX }: DailyRefreshOptions,
): Promise<number> {
  const next = await client.query(NEXT, [timeZone, batchMax]);
  const { first, last, after, until } = next.rows[0]!;
  if (first === null) return 0;
  const instants = [after, until].map((ms: number) => new Date(ms).toISOString());
  const { rows } = await client.query(WRITE, [timeZone, batchMax, ...instants, first, last]);
  return rows[0]!.taken as number;
}
