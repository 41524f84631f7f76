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
const DEFINITION = 3;

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
  return `${aggregates(home, literal(timeZone))}\n${view(home, literal(timeZone))}
COMMENT ON VIEW daily_load_profile IS ${literal(daysComment(timeZone))};`;
}

interface Aggregate {
  readonly name: DailyAggregate;
  readonly raw: string;
  /** Rows of `raw` that it is made of; SQL. */
  readonly condition: string;
  /** What a day of a meter is made of: name and SQL. */
  readonly values: Readonly<Record<string, string>>;
}

function definitions(home: string): readonly Aggregate[] {
  const demand = "block_active_import_wh * 3600 / interval_seconds";
  const closing = (column: string) =>
    `${home}.last(${column}, time) FILTER (WHERE source = 'daily' AND ${column} IS NOT NULL)`;
  const block = "FILTER (WHERE source = 'block')";
  return [
    {
      name: "daily_energy",
      raw: "energy_measurements",
      condition: "source IN ('block', 'daily')",
      values: {
        closing_import_wh: closing("active_import_wh"),
        closing_export_wh: closing("active_export_wh"),
        block_sum_import_wh: `sum(block_active_import_wh) ${block}`,
        block_sum_export_wh: `sum(block_active_export_wh) ${block}`,
        blocks_present: `count(*) ${block}`,
        interval_seconds: `max(interval_seconds) ${block}`,
        // the highest demand and, of several, the earliest: {W, -seconds since 1970}
        peak: `max(ARRAY[${demand}, -extract(epoch FROM time - timestamptz '1970-01-01 00:00:00Z')::double precision])
          FILTER (WHERE source = 'block' AND block_active_import_wh IS NOT NULL AND interval_seconds IS NOT NULL)`,
      },
    },
    {
      name: "daily_voltage",
      raw: "voltage_measurements",
      condition: "true",
      values: {
        min_voltage_v: "min(least(voltage_l1_v, voltage_l2_v, voltage_l3_v))",
        max_voltage_v: "max(greatest(voltage_l1_v, voltage_l2_v, voltage_l3_v))",
      },
    },
  ];
}

/** Types that aren't double precision. */
const TYPES: Readonly<Record<string, string>> = {
  blocks_present: "bigint",
  interval_seconds: "integer",
  peak: "double precision[]",
};
const missing = (column: string) => `NULL::${TYPES[column] ?? "double precision"} AS ${column}`;

const listed = (values: Readonly<Record<string, string>>) =>
  Object.entries(values)
    .map(([name, sql]) => `${sql} AS ${name}`)
    .join(",\n  ");

function aggregates(home: string, zone: string): string {
  // The offset makes a day ]00:00, 24:00]: what is stamped 00:00 belongs to the day that ends then.
  const bucket = `${home}.time_bucket('1 day', time, ${zone}, "offset" => interval '1 microsecond')`;
  // Its own real time is off: a condition on the day wouldn't reach the raw rows. The view does it, day by day. The index finds one day of
  // all meters.
  return definitions(home)
    .map(
      ({ name, raw, condition, values }) => `
CREATE MATERIALIZED VIEW ${name} WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
SELECT ${bucket} AS bucket, meter_id,
  ${listed(values)}
FROM ${raw} WHERE ${condition} GROUP BY 1, 2 WITH NO DATA;
CREATE INDEX ${name}_day ON ${name} (((bucket AT TIME ZONE ${zone})::date), meter_id);`,
    )
    .join("\n");
}

/** Days that aren't materialised yet, and may have rows: from the watermark, or the first chunk, to the last one. */
const liveDays = (name: DailyAggregate, zone: string) => `
  SELECT w.first + n AS day, n > 0 AS live_before
    FROM (SELECT (_timescaledb_functions.to_timestamp(greatest(_timescaledb_functions.cagg_watermark(a.mat_hypertable_id),
                   min(s.range_start) - 1)) AT TIME ZONE ${zone})::date AS first,
                 (_timescaledb_functions.to_timestamp(max(s.range_end)) AT TIME ZONE ${zone})::date AS last
            FROM _timescaledb_catalog.continuous_agg a
            JOIN _timescaledb_catalog.dimension d ON d.hypertable_id = a.raw_hypertable_id
            JOIN _timescaledb_catalog.dimension_slice s ON s.dimension_id = d.id
           WHERE format('%I.%I', a.user_view_schema, a.user_view_name)::regclass = '${name}'::regclass
           GROUP BY a.mat_hypertable_id) w
    CROSS JOIN LATERAL generate_series(0, w.last - w.first) n`;

/** Conditions of one day, ]00:00, 24:00]; `day` is an SQL expression. */
const within = (day: string, zone: string) =>
  `time > (${day})::timestamp AT TIME ZONE ${zone} AND time <= (${day} + 1)::timestamp AT TIME ZONE ${zone}`;

/**
 * A row for each day of a meter and aggregate: what is materialised, and, of the days that aren't, what the raw rows say. Conditions on the day
 * and the meter reach both, so that a question about yesterday doesn't read the rows of today.
 */
function parts(home: string, zone: string): string {
  const all = definitions(home);
  const columns = all.flatMap(({ values }) => Object.keys(values));
  return all
    .flatMap(({ name, raw, condition, values }) => {
      const own = columns.map((column) => (Object.hasOwn(values, column) ? column : missing(column)));
      return [
        `SELECT (bucket AT TIME ZONE ${zone})::date AS day, meter_id, false AS live_before, ${own.join(", ")} FROM ${name}`,
        `SELECT l.day, r.meter_id, l.live_before, ${own.join(", ")}
           FROM (${liveDays(name, zone)}) l
           CROSS JOIN LATERAL (SELECT meter_id, ${listed(values)}
             FROM ${raw} WHERE ${condition} AND ${within("l.day", zone)} GROUP BY meter_id) r`,
      ];
    })
    .join("\n  UNION ALL\n  ");
}

const view = (home: string, zone: string) => {
  const { values } = definitions(home)[0]!;
  const opening = (column: string) => `coalesce(p.${column}, o.${column})`;
  const [openingImport, openingExport] = [opening("closing_import_wh"), opening("closing_export_wh")];
  const used = (direction: string, open: string) => `d.closing_${direction}_wh - ${open}`;
  const [usedImport, usedExport] = [used("import", openingImport), used("export", openingExport)];
  return `
CREATE VIEW daily_load_profile AS
WITH parts AS (
  ${parts(home, zone)}),
days AS (
  SELECT day, meter_id, bool_or(live_before) AS live_before, max(closing_import_wh) AS closing_import_wh,
         max(closing_export_wh) AS closing_export_wh, max(block_sum_import_wh) AS block_sum_import_wh,
         max(block_sum_export_wh) AS block_sum_export_wh, coalesce(max(blocks_present), 0)::int AS blocks_present,
         max(interval_seconds) AS interval_seconds, max(peak) AS peak, min(min_voltage_v) AS min_voltage_v,
         max(max_voltage_v) AS max_voltage_v
    FROM parts GROUP BY day, meter_id)
SELECT d.day, d.meter_id, ${openingImport} AS opening_import_wh, d.closing_import_wh,
       ${openingExport} AS opening_export_wh, d.closing_export_wh,
       coalesce(${usedImport}, d.block_sum_import_wh) AS consumption_wh,
       coalesce(${usedExport}, d.block_sum_export_wh) AS export_wh,
       CASE WHEN ${usedImport} IS NOT NULL THEN 'registers'
            WHEN d.block_sum_import_wh IS NOT NULL THEN 'blocks' END AS consumption_from,
       d.block_sum_import_wh, d.block_sum_export_wh, d.blocks_present,
       round(extract(epoch FROM (d.day + 1)::timestamp AT TIME ZONE ${zone} - d.day::timestamp AT TIME ZONE ${zone})
         / coalesce(d.interval_seconds, t.interval_seconds, 1800))::int AS blocks_expected,
       ${usedImport} - d.block_sum_import_wh AS difference_wh,
       d.peak[1] AS max_demand_w, to_timestamp(-d.peak[2]) AS max_demand_at, d.min_voltage_v, d.max_voltage_v
  FROM days d
  JOIN public.meters m ON m.id = d.meter_id
  JOIN meter_types t ON t.name = m.meter_type
  -- The midnight registers that end the day before: materialised, or not yet.
  LEFT JOIN daily_energy p ON p.meter_id = d.meter_id AND (p.bucket AT TIME ZONE ${zone})::date = d.day - 1
  LEFT JOIN LATERAL (SELECT ${values["closing_import_wh"]} AS closing_import_wh, ${values["closing_export_wh"]} AS closing_export_wh
    FROM energy_measurements e
   WHERE d.live_before AND e.meter_id = d.meter_id AND e.source = 'daily' AND ${within("(d.day - 1)", zone)}) o ON true
 WHERE NOT EXISTS (SELECT FROM daily_load_history h WHERE h.meter_id = d.meter_id AND h.day = d.day)
UNION ALL
SELECT day, meter_id, opening_import_wh, closing_import_wh, opening_export_wh, closing_export_wh, consumption_wh, export_wh,
       consumption_from, block_sum_import_wh, block_sum_export_wh, blocks_present, blocks_expected, difference_wh, max_demand_w,
       max_demand_at, min_voltage_v, max_voltage_v
  FROM daily_load_history;`;
};
