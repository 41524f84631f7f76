import type { Client } from "./database.ts";

/** The continuous aggregates below the view `daily_load_profile`. */
export const DAILY_AGGREGATE_NAMES = ["daily_energy", "daily_voltage"] as const;

/** `home`: schema of the extension, quoted. The zone is part of the definition: another one means another aggregate. */
export function dailyAggregate(home: string, timeZone: string): string {
  const zone = `'${timeZone.replaceAll("'", "''")}'`;
  // The offset makes a day ]00:00, 24:00]: what is stamped 00:00 belongs to the day that ends then.
  const bucket = `${home}.time_bucket('1 day', time, ${zone}, "offset" => interval '1 microsecond')`;
  const options = "WITH (timescaledb.continuous, timescaledb.materialized_only = false)";
  const demand = "block_active_import_wh * 3600 / interval_seconds";
  const policy = (name: string) =>
    `SELECT ${home}.add_continuous_aggregate_policy('${name}', start_offset => interval '4 days', end_offset => interval '1 hour', schedule_interval => interval '1 hour');`;
  return `
CREATE MATERIALIZED VIEW daily_energy ${options} AS
SELECT ${bucket} AS bucket, meter_id,
  ${home}.last(active_import_wh, time) FILTER (WHERE source = 'daily' AND active_import_wh IS NOT NULL) AS closing_import_wh,
  ${home}.last(active_export_wh, time) FILTER (WHERE source = 'daily' AND active_export_wh IS NOT NULL) AS closing_export_wh,
  sum(block_active_import_wh) FILTER (WHERE source = 'block') AS block_sum_import_wh,
  sum(block_active_export_wh) FILTER (WHERE source = 'block') AS block_sum_export_wh,
  count(*) FILTER (WHERE source = 'block') AS blocks_present,
  max(interval_seconds) FILTER (WHERE source = 'block') AS interval_seconds,
  max(${demand}) FILTER (WHERE source = 'block') AS max_demand_w,
  ${home}.last(time, ${demand}) FILTER (WHERE source = 'block' AND block_active_import_wh IS NOT NULL AND interval_seconds IS NOT NULL)
    AS max_demand_at
FROM energy_measurements WHERE source IN ('block', 'daily') GROUP BY 1, 2 WITH NO DATA;

CREATE MATERIALIZED VIEW daily_voltage ${options} AS
SELECT ${bucket} AS bucket, meter_id,
  min(least(voltage_l1_v, voltage_l2_v, voltage_l3_v)) AS min_voltage_v,
  max(greatest(voltage_l1_v, voltage_l2_v, voltage_l3_v)) AS max_voltage_v
FROM voltage_measurements GROUP BY 1, 2 WITH NO DATA;

${DAILY_AGGREGATE_NAMES.map(policy).join("\n")}

CREATE VIEW daily_load_profile AS
WITH days AS (
  SELECT (bucket AT TIME ZONE ${zone})::date AS day, bucket, meter_id, e.closing_import_wh, e.closing_export_wh,
         e.block_sum_import_wh, e.block_sum_export_wh, coalesce(e.blocks_present, 0)::int AS blocks_present, e.interval_seconds,
         e.max_demand_w, e.max_demand_at, v.min_voltage_v, v.max_voltage_v
    FROM daily_energy e FULL JOIN daily_voltage v USING (bucket, meter_id))
SELECT d.day, d.meter_id, p.closing_import_wh AS opening_import_wh, d.closing_import_wh,
       p.closing_export_wh AS opening_export_wh, d.closing_export_wh,
       coalesce(d.closing_import_wh - p.closing_import_wh, d.block_sum_import_wh) AS consumption_wh,
       coalesce(d.closing_export_wh - p.closing_export_wh, d.block_sum_export_wh) AS export_wh,
       CASE WHEN d.closing_import_wh - p.closing_import_wh IS NOT NULL THEN 'registers'
            WHEN d.block_sum_import_wh IS NOT NULL THEN 'blocks' END AS consumption_from,
       d.block_sum_import_wh, d.block_sum_export_wh, d.blocks_present,
       round(extract(epoch FROM (d.day + 1)::timestamp AT TIME ZONE ${zone} - d.day::timestamp AT TIME ZONE ${zone})
         / coalesce(d.interval_seconds, t.interval_seconds, 1800))::int AS blocks_expected,
       d.closing_import_wh - p.closing_import_wh - d.block_sum_import_wh AS difference_wh,
       d.max_demand_w, d.max_demand_at, d.min_voltage_v, d.max_voltage_v
  FROM days d
  JOIN public.meters m ON m.id = d.meter_id
  JOIN meter_types t ON t.name = m.meter_type
  LEFT JOIN daily_energy p ON p.meter_id = d.meter_id
    AND p.bucket = ((d.day - 1)::timestamp AT TIME ZONE ${zone}) + interval '1 microsecond';`;
}

/** Whether `daily_load_profile` is a view over continuous aggregates in this database. */
export async function hasDailyAggregate(client: Client): Promise<boolean> {
  const { rows } = await client.query(
    "SELECT relkind = 'v' AS view FROM pg_class WHERE oid = 'daily_load_profile'::regclass",
  );
  return rows[0]?.view === true;
}

/**
 * Refreshes the aggregates for the days that were taken, so that rows below the watermark are seen. Days whose raw rows retention may
 * have dropped are left alone: a refresh would erase their history. Answers how many days of meters were taken.
 */
export async function refreshTakenDays(client: Client, timeZone: string): Promise<number> {
  const { rows } = await client.query(
    `SELECT DISTINCT day::timestamp AT TIME ZONE $1 AS first, (day + 1)::timestamp AT TIME ZONE $1 + interval '1 microsecond' AS last
       FROM daily_load_taken
      WHERE day > coalesce((now() AT TIME ZONE $1)::date + 1 - (SELECT min(retention_days) FROM storage_policies
         WHERE table_name IN ('energy_measurements', 'voltage_measurements')), '-infinity'::date)
      ORDER BY 1`,
    [timeZone],
  );
  for (const { first, last } of rows) {
    for (const name of DAILY_AGGREGATE_NAMES) {
      // A window counts only whole buckets, which begin a microsecond after midnight.
      const window = [first, last + 1].map((ms: number) => `'${new Date(ms).toISOString()}'::timestamptz`);
      await client.query(`CALL refresh_continuous_aggregate('${name}', ${window.join(", ")})`);
    }
  }
  const { rowCount } = await client.query("DELETE FROM daily_load_taken");
  return rowCount ?? 0;
}
