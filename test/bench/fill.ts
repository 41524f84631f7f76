import type { Database } from "../../src/storage/database.ts";
import { openPartitions } from "../../src/storage/partitions.ts";

/** Tables that an instantaneous push of a single-phase meter fills; rows are shared out to them evenly. */
const TABLES = {
  energy_measurements: ["active_import_wh, active_export_wh", "p * 10.5, p * 0.5"],
  power_readings: [
    "active_import_w, apparent_import_va, power_factor, frequency_hz",
    "230, 240, 0.96, 50.01",
  ],
  voltage_measurements: ["voltage_l1_v", "230.1"],
  current_measurements: ["current_l1_a, current_neutral_a", "1.01, 1.0"],
  instant_profile: [
    "voltage_l1_v, current_l1_a, active_import_wh, frequency_hz",
    "230.1, 1.01, p * 10.5, 50.01",
  ],
} as const;
const TABLES_IN_ALL = Object.keys(TABLES).length + 2;
/** Captures of the rows that are there lie so far apart. */
const STEP_SECONDS = 900;
const APDU_OCTETS = 200;

/** Puts rows of the past into the tables, for the meters that are there, so that what is measured meets full indexes. */
export async function fill(database: Database, rows: number): Promise<void> {
  if (rows === 0) return;
  const [meters] = await database.query("SELECT count(*)::int AS n FROM public.meters");
  const each = Math.ceil(rows / TABLES_IN_ALL / meters!["n"]);
  await makePartitions(database, each);
  // In the order in which they would have come: capture by capture over all meters.
  const source = `FROM generate_series(1, ${each}) p CROSS JOIN public.meters m
    CROSS JOIN LATERAL (SELECT date_trunc('hour', now()) - interval '1 day' - (${each} - p) * interval '${STEP_SECONDS} seconds' AS t) x`;
  for (const [table, [columns, values]] of Object.entries(TABLES)) {
    const [how, what] = table === "instant_profile" ? ["", ""] : ["source, ", "'instant', "];
    await database.query(
      `INSERT INTO ${table} (time, meter_id, ${how}origin, received_at, ${columns})
       SELECT t, m.id, ${what}'push', t, ${values} ${source}`,
    );
  }
  await database.query(
    `INSERT INTO push_history (id, started_at, finished_at, meter_id, kind, verdict, attempt, value_count, row_count, octet_count)
     SELECT -row_number() OVER (), t, t, m.id, 'push', 'filled', 1, 12, 5, ${APDU_OCTETS} ${source}`,
  );
  await database.query(
    `INSERT INTO raw_frames (id, received_at, meter_id, peer, framing, apdu, verified)
     SELECT -row_number() OVER (), t, m.id, '127.0.0.1', 'wrapper', decode(repeat('a5', ${APDU_OCTETS}), 'hex'), true ${source}`,
  );
  await database.query("ANALYZE");
  await database.query("CHECKPOINT").catch(() => []);
}

async function makePartitions(database: Database, captures: number): Promise<void> {
  const partitions = await openPartitions(database);
  const now = Date.now();
  const names = [...Object.keys(TABLES), "push_history", "raw_frames"];
  for (let back = 0; back <= captures * STEP_SECONDS * 1_000 + 2 * DAY_MS; back += DAY_MS) {
    await partitions.ensure(names.map((table) => ({ table, time: now - back })));
  }
}

const DAY_MS = 86_400_000;
