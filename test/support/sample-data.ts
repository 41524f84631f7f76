import type { Database } from "../../src/storage/database.ts";
import { openPartitions } from "../../src/storage/partitions.ts";

/*
 * Three meters in two groups, over the three last days in India: blocks with a morning and an evening peak, voltages with a dip, events,
 * pushes. SAMPLE-2 has lost some blocks of yesterday, SAMPLE-3 has sent nothing. For queries of the documentation and of dashboards.
 */
export const SAMPLE_ZONE = "Asia/Kolkata";

const DAY_MS = 86_400_000;

export async function insertSampleData(database: Database): Promise<void> {
  const partitions = await openPartitions(database);
  for (const table of ["block_load_profile", "energy_measurements", "voltage_measurements", "push_history"]) {
    for (let days = 0; days <= 4; days += 1)
      await partitions.ensure([{ table, time: Date.now() - days * DAY_MS }]);
  }
  await database.query(
    `INSERT INTO public.meters (meter_number, meter_type, meter_group, manufacturer, last_seen_at) VALUES
       ('SAMPLE-1', 'D1', 'north', 'ABC', now()), ('SAMPLE-2', 'D1', 'north', 'ABC', now() - interval '3 hours'),
       ('SAMPLE-3', 'D2', 'south', 'XYZ', NULL)`,
  );
  for (const [table, columns, values] of [
    ["block_load_profile", "interval_seconds, block_active_import_wh, voltage_l1_v", "1800, wh, v"],
    ["energy_measurements", "source, interval_seconds, block_active_import_wh", "'block', 1800, wh"],
    ["voltage_measurements", "source, voltage_l1_v", "'block', v"],
  ]) {
    await database.query(
      `INSERT INTO ${table} (time, meter_id, origin, received_at, ${columns})
       SELECT time, id, 'push', time + interval '1 minute', ${values} FROM (${BLOCKS}) AS blocks`,
    );
  }
  await database.query(
    `INSERT INTO energy_measurements (time, meter_id, source, origin, received_at, active_import_wh)
     SELECT d AT TIME ZONE '${SAMPLE_ZONE}', id, 'daily', 'push', now(), 1000000 + 20000 * extract(day FROM d - date '2026-01-01')
       FROM public.meters, generate_series((now() AT TIME ZONE '${SAMPLE_ZONE}')::date - 2, (now() AT TIME ZONE '${SAMPLE_ZONE}')::date, interval '1 day') d
      WHERE meter_number = 'SAMPLE-1'`,
  );
  await database.query(
    `INSERT INTO public.meter_events (time, meter_id, log, code, sequence, name, severity, origin, received_at)
     SELECT now() - n * interval '5 hours', id, 'power', CASE n % 3 WHEN 0 THEN 101 ELSE 102 END, 0,
            CASE n % 3 WHEN 0 THEN 'power failure' ELSE 'power restored' END, 'warning', 'push', now()
       FROM public.meters, generate_series(1, 9) n WHERE meter_number = 'SAMPLE-1'`,
  );
  await database.query(
    `INSERT INTO push_history (id, started_at, finished_at, meter_id, kind, verdict, attempt, value_count, row_count, octet_count)
     SELECT nextval('push_ids'), time + interval '1 minute', time + interval '61 seconds', id, 'push',
            CASE WHEN extract(minute FROM time) = 0 THEN 'applied' ELSE 'duplicate' END, 1, 12, 3, 180 FROM (${BLOCKS}) AS blocks`,
  );
  await database.query(
    `INSERT INTO security_events (minute, source, reason, occurrences)
     SELECT date_trunc('minute', now()) - n * interval '1 hour', '10.0.0.9', 'bad_tag', n FROM generate_series(1, 5) n`,
  );
  await database.query(
    `INSERT INTO alerts (dedup_key, meter_id, severity, message, first_at, last_at)
     SELECT 'k', id, 'warning', 'power failure', now() - interval '2 hours', now() FROM public.meters WHERE meter_number = 'SAMPLE-1'`,
  );
}

/** SAMPLE-1 whole, SAMPLE-2 without the hours 8 to 12; a voltage dip of SAMPLE-2 in the evenings. */
const BLOCKS = `
  SELECT t AS time, m.id, (60 + 240 * exp(-((hour - 8) ^ 2) / 4) + 400 * exp(-((hour - 20) ^ 2) / 6))::int AS wh,
         CASE WHEN m.meter_number = 'SAMPLE-2' AND hour BETWEEN 19 AND 21 THEN 201.5 ELSE 232 - hour / 4 END::double precision AS v
    FROM public.meters m,
         LATERAL generate_series(((now() AT TIME ZONE '${SAMPLE_ZONE}')::date - 2)::timestamp AT TIME ZONE '${SAMPLE_ZONE}' + interval '30 minutes',
           now(), interval '30 minutes') t,
         LATERAL (SELECT extract(epoch FROM (t AT TIME ZONE '${SAMPLE_ZONE}') - date_trunc('day', t AT TIME ZONE '${SAMPLE_ZONE}')) / 3600 AS hour) h
   WHERE m.meter_number = 'SAMPLE-1' OR (m.meter_number = 'SAMPLE-2' AND hour NOT BETWEEN 8 AND 12)`;
