import { refreshDailyLoadProfile } from "../../src/storage/daily-load-profile.ts";
import type { Database } from "../../src/storage/database.ts";
import { openPartitions } from "../../src/storage/partitions.ts";

/** What fills a table: columns besides those that all have, and their values at capture `p` of meter `m`. */
interface Filling {
  readonly table: string;
  readonly columns: string;
  readonly values: string;
}

/** What the instantaneous and block captures of a single-phase meter fill; rows are shared out evenly. */
const FILLINGS: readonly Filling[] = [
  {
    table: "energy_measurements",
    columns: "source, active_import_wh, active_export_wh",
    values: "'instant', p * 10.5, p * 0.5",
  },
  {
    table: "energy_measurements",
    columns: "source, interval_seconds, block_active_import_wh",
    values: "'block', 900, 100 + 50 * sin(p / 15.0)",
  },
  {
    table: "power_readings",
    columns: "source, active_import_w, apparent_import_va, power_factor, frequency_hz",
    values: "'instant', 230, 240, 0.96, 50.01",
  },
  {
    table: "voltage_measurements",
    columns: "source, voltage_l1_v",
    values: "'instant', 230 + 25 * sin(p / 40.0 + ascii(m.meter_number))",
  },
  {
    table: "current_measurements",
    columns: "source, current_l1_a, current_neutral_a",
    values: "'instant', 1.01, 1.0",
  },
  {
    table: "instant_profile",
    columns: "voltage_l1_v, current_l1_a, active_import_wh, frequency_hz",
    values: "230.1, 1.01, p * 10.5, 50.01",
  },
  {
    table: "block_load_profile",
    columns: "interval_seconds, block_active_import_wh, voltage_l1_v",
    values: "900, 100 + 50 * sin(p / 15.0), 230.1",
  },
];
/** With push_history and raw_frames. */
const ROWS_A_CAPTURE = FILLINGS.length + 2;
/** One event a meter in so many captures. */
const CAPTURES_AN_EVENT = 50;
/** Captures of the rows that are there lie so far apart. */
const STEP_SECONDS = 900;
const APDU_OCTETS = 200;

interface FillOptions {
  readonly rows: number;
  /** The last capture, in milliseconds since 1970. */
  readonly until: number;
  /** IANA name of the zone that days are cut in. */
  readonly timeZone: string;
}

/** Puts rows of the past into the tables, for the meters that are there, so that what is measured meets full indexes. */
export async function fill(database: Database, { rows, until, timeZone }: FillOptions): Promise<void> {
  if (rows === 0) return;
  const [meters] = await database.query("SELECT count(*)::int AS n FROM public.meters");
  const each = Math.ceil(rows / ROWS_A_CAPTURE / meters!["n"]);
  await makePartitions(database, until - each * STEP_SECONDS * 1_000, until);
  // In the order in which they would have come: capture by capture over all meters.
  const source = `FROM generate_series(1, ${each}) p CROSS JOIN public.meters m
    CROSS JOIN LATERAL (SELECT to_timestamp(${Math.floor(until / 1_000)}) - (${each} - p) * interval '${STEP_SECONDS} seconds' AS t) x`;
  for (const { table, columns, values } of FILLINGS) {
    await database.query(
      `INSERT INTO ${table} (time, meter_id, origin, received_at, ${columns}) SELECT t, m.id, 'push', t, ${values} ${source}`,
    );
  }
  await database.query(
    `INSERT INTO public.meter_events (time, meter_id, log, code, sequence, name, severity, origin, received_at)
     SELECT t, m.id, 'voltage', 1 + p % 12, 0, 'event ' || (1 + p % 12), 'warning', 'push', t ${source}
      WHERE p % ${CAPTURES_AN_EVENT} = 0`,
  );
  await database.query(
    `INSERT INTO push_history (id, started_at, finished_at, meter_id, kind, verdict, attempt, value_count, row_count, octet_count)
     SELECT -row_number() OVER (), t, t, m.id, 'push', 'filled', 1, 12, 5, ${APDU_OCTETS} ${source}`,
  );
  await database.query(
    `INSERT INTO raw_frames (id, received_at, meter_id, peer, framing, apdu, verified)
     SELECT -row_number() OVER (), t, m.id, '127.0.0.1', 'wrapper', decode(repeat('a5', ${APDU_OCTETS}), 'hex'), true ${source}`,
  );
  await makeDays(database, timeZone);
  // As tables are that have grown over weeks: else autovacuum does it while the rate is measured.
  await database.query("VACUUM ANALYZE");
  await database.query("CHECKPOINT").catch(() => []);
}

/** The daily load profile of all that was filled in, as the daemon makes it. */
async function makeDays(database: Database, timeZone: string): Promise<void> {
  await database.query(
    `INSERT INTO daily_load_changes
     SELECT DISTINCT meter_id, ((time - interval '1 microsecond') AT TIME ZONE $1)::date FROM block_load_profile
     ON CONFLICT DO NOTHING`,
    [timeZone],
  );
  await refreshDailyLoadProfile(database, { timeZone });
}

async function makePartitions(database: Database, from: number, until: number): Promise<void> {
  const partitions = await openPartitions(database);
  const names = [...FILLINGS.map(({ table }) => table), "push_history", "raw_frames"];
  for (let time = from; time < until + DAY_MS; time += DAY_MS) {
    await partitions.ensure(names.map((table) => ({ table, time })));
  }
}

const DAY_MS = 86_400_000;
