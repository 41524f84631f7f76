/** The continuous aggregates below the view `daily_load_profile`. */
export const DAILY_AGGREGATE_NAMES = ["daily_energy", "daily_voltage"] as const;
export type DailyAggregate = (typeof DAILY_AGGREGATE_NAMES)[number];

/** The policies refresh the last days, from as many days back as this on; older ones are refreshed by the daemon. */
export const POLICY_DAYS = 4;
/** SQL: the policy of an aggregate, which is added once the days before its window are made. `relation` is an SQL expression. */
export const addRefreshPolicy = (home: string, relation: string) =>
  `SELECT ${home}.add_continuous_aggregate_policy(${relation}, start_offset => interval '${POLICY_DAYS} days',
    end_offset => interval '1 hour', schedule_interval => interval '1 hour')`;

/** Goes up when the definition changes: a database that has an older one is given the new one by `hes migrate`. */
const DEFINITION = 2;

/** What the relation daily_load_profile has as its comment; the zone that its days are cut in is read from it. */
export const daysComment = (timeZone: string) =>
  `Days of meters, cut in the zone ${timeZone}. Definition ${DEFINITION}.`;

export const zoneOfComment = (comment: string | null): string | null =>
  /cut in the zone (\S+)\. /.exec(comment ?? "")?.[1] ?? null;

/** As in migration 0013, which leaves it alone where it is there: the view needs it earlier. */
export const DAILY_LOAD_HISTORY = `
CREATE TABLE IF NOT EXISTS daily_load_history (
  day date NOT NULL, meter_id uuid NOT NULL REFERENCES public.meters,
  opening_import_wh double precision, closing_import_wh double precision, opening_export_wh double precision,
  closing_export_wh double precision, consumption_wh double precision, export_wh double precision, consumption_from text,
  block_sum_import_wh double precision, block_sum_export_wh double precision, blocks_present integer, blocks_expected integer,
  difference_wh double precision, max_demand_w double precision, max_demand_at timestamptz, min_voltage_v double precision,
  max_voltage_v double precision, PRIMARY KEY (meter_id, day));`;

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

/**
 * `home`: schema of the extension, quoted. The zone is part of the definition: another one means another aggregate. Without policies: a
 * policy's first run would hide all days before its window that aren't made yet, so that they come later (`followPolicies`).
 */
export function dailyAggregate(home: string, timeZone: string): string {
  return `${aggregates(home, literal(timeZone))}\n${view(literal(timeZone))}
COMMENT ON VIEW daily_load_profile IS ${literal(daysComment(timeZone))};`;
}

function aggregates(home: string, zone: string): string {
  // The offset makes a day ]00:00, 24:00]: what is stamped 00:00 belongs to the day that ends then.
  const bucket = `${home}.time_bucket('1 day', time, ${zone}, "offset" => interval '1 microsecond')`;
  // Rows that are younger than the last refresh are seen, too, which is not the default.
  const options = "WITH (timescaledb.continuous, timescaledb.materialized_only = false)";
  const demand = "block_active_import_wh * 3600 / interval_seconds";
  const closing = (column: string) =>
    `${home}.last(${column}, time) FILTER (WHERE source = 'daily' AND ${column} IS NOT NULL)`;
  // An index by which one day of all meters is found.
  const more = (name: string) =>
    `CREATE INDEX ${name}_day ON ${name} (((bucket AT TIME ZONE ${zone})::date), meter_id);`;
  return `
CREATE MATERIALIZED VIEW daily_energy ${options} AS
SELECT ${bucket} AS bucket, meter_id,
  ${closing("active_import_wh")} AS closing_import_wh, ${closing("active_export_wh")} AS closing_export_wh,
  sum(block_active_import_wh) FILTER (WHERE source = 'block') AS block_sum_import_wh,
  sum(block_active_export_wh) FILTER (WHERE source = 'block') AS block_sum_export_wh,
  count(*) FILTER (WHERE source = 'block') AS blocks_present,
  max(interval_seconds) FILTER (WHERE source = 'block') AS interval_seconds,
  -- the highest demand and, of several, the earliest: {W, -seconds since 1970}
  max(ARRAY[${demand}, -extract(epoch FROM time - timestamptz '1970-01-01 00:00:00Z')::double precision])
    FILTER (WHERE source = 'block' AND block_active_import_wh IS NOT NULL AND interval_seconds IS NOT NULL) AS peak
FROM energy_measurements WHERE source IN ('block', 'daily') GROUP BY 1, 2 WITH NO DATA;

CREATE MATERIALIZED VIEW daily_voltage ${options} AS
SELECT ${bucket} AS bucket, meter_id,
  min(least(voltage_l1_v, voltage_l2_v, voltage_l3_v)) AS min_voltage_v,
  max(greatest(voltage_l1_v, voltage_l2_v, voltage_l3_v)) AS max_voltage_v
FROM voltage_measurements GROUP BY 1, 2 WITH NO DATA;
${DAILY_AGGREGATE_NAMES.map(more).join("\n")}`;
}

/** Two branches instead of a full join, through which a condition on the day or the meter wouldn't reach the aggregates. */
const view = (zone: string) => `
CREATE VIEW daily_load_profile AS
WITH days AS (
  SELECT e.bucket, e.meter_id, e.closing_import_wh, e.closing_export_wh, e.block_sum_import_wh, e.block_sum_export_wh,
         e.blocks_present, e.interval_seconds, e.peak, v.min_voltage_v, v.max_voltage_v
    FROM daily_energy e LEFT JOIN daily_voltage v ON v.bucket = e.bucket AND v.meter_id = e.meter_id
  UNION ALL
  SELECT v.bucket, v.meter_id, NULL, NULL, NULL, NULL, 0, NULL, NULL, v.min_voltage_v, v.max_voltage_v
    FROM daily_voltage v WHERE NOT EXISTS (SELECT FROM daily_energy e WHERE e.bucket = v.bucket AND e.meter_id = v.meter_id)),
dated AS (SELECT (bucket AT TIME ZONE ${zone})::date AS day, * FROM days)
SELECT d.day, d.meter_id, p.closing_import_wh AS opening_import_wh, d.closing_import_wh,
       p.closing_export_wh AS opening_export_wh, d.closing_export_wh,
       coalesce(d.closing_import_wh - p.closing_import_wh, d.block_sum_import_wh) AS consumption_wh,
       coalesce(d.closing_export_wh - p.closing_export_wh, d.block_sum_export_wh) AS export_wh,
       CASE WHEN d.closing_import_wh - p.closing_import_wh IS NOT NULL THEN 'registers'
            WHEN d.block_sum_import_wh IS NOT NULL THEN 'blocks' END AS consumption_from,
       d.block_sum_import_wh, d.block_sum_export_wh, d.blocks_present::int AS blocks_present,
       round(extract(epoch FROM (d.day + 1)::timestamp AT TIME ZONE ${zone} - d.day::timestamp AT TIME ZONE ${zone})
         / coalesce(d.interval_seconds, t.interval_seconds, 1800))::int AS blocks_expected,
       d.closing_import_wh - p.closing_import_wh - d.block_sum_import_wh AS difference_wh,
       d.peak[1] AS max_demand_w, to_timestamp(-d.peak[2]) AS max_demand_at, d.min_voltage_v, d.max_voltage_v
  FROM dated d
  JOIN public.meters m ON m.id = d.meter_id
  JOIN meter_types t ON t.name = m.meter_type
  LEFT JOIN daily_energy p ON p.meter_id = d.meter_id AND (p.bucket AT TIME ZONE ${zone})::date = d.day - 1
 WHERE NOT EXISTS (SELECT FROM daily_load_history h WHERE h.meter_id = d.meter_id AND h.day = d.day)
UNION ALL
SELECT day, meter_id, opening_import_wh, closing_import_wh, opening_export_wh, closing_export_wh, consumption_wh, export_wh,
       consumption_from, block_sum_import_wh, block_sum_export_wh, blocks_present, blocks_expected, difference_wh, max_demand_w,
       max_demand_at, min_voltage_v, max_voltage_v
  FROM daily_load_history;`;
