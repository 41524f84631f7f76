import { ENERGY_MEASUREMENTS, type Row, type Table, VOLTAGE_MEASUREMENTS } from "../mapping/rows.ts";
import type { Client } from "./database.ts";

/** Held shared by batches from before they note their days until COMMIT, exclusively by whoever takes the days. */
export const DAILY_LOAD_LOCK = 0x6461796c;

/** Zones differ from UTC by multiples of a quarter of an hour: within one, the day is the same everywhere. */
const QUARTER_MS = 900_000;

const SOURCE = ENERGY_MEASUREMENTS.position.get("source")!;
const positions = (table: Table) => ({
  time: table.position.get("time")!,
  meter: table.position.get("meter_id")!,
});
const POSITIONS = new Map<Table, { time: number; meter: number }>(
  [ENERGY_MEASUREMENTS, VOLTAGE_MEASUREMENTS].map((table) => [table, positions(table)]),
);

/** Whether a row is one that a day is made of. */
function counts({ table, cells }: Row): boolean {
  if (table === VOLTAGE_MEASUREMENTS) return true;
  if (table !== ENERGY_MEASUREMENTS) return false;
  const source = cells[SOURCE];
  return source === "block" || source === "daily";
}

/** Notes, in the transaction that stores them, which days of which meters the rows of a batch belong to. */
export async function noteChangedDays(client: Client, rows: Iterable<Row>, timeZone: string): Promise<void> {
  const quarters = new Map<string, { meter: string; time: number }>();
  for (const row of rows) {
    if (!counts(row)) continue;
    const at = POSITIONS.get(row.table)!;
    // What is stamped 00:00 belongs to the day that ends then.
    const quarter = Math.floor((Number(row.cells[at.time]) - 1) / QUARTER_MS);
    const meter = String(row.cells[at.meter]);
    quarters.set(`${meter}${quarter}`, { meter, time: quarter * QUARTER_MS });
  }
  if (quarters.size === 0) return;
  const changed = [...quarters.values()];
  await client.query({
    name: "note-changed-days",
    // Sorted, so that batches wait for each other in one order only.
    text: `WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(${DAILY_LOAD_LOCK}))
           INSERT INTO daily_load_changes (meter_id, day)
           SELECT DISTINCT meter, (to_timestamp(time / 1000.0) AT TIME ZONE $3)::date
             FROM held, unnest($1::uuid[], $2::float8[]) AS x(meter, time) ORDER BY 1, 2
           ON CONFLICT DO NOTHING`,
    values: [changed.map(({ meter }) => meter), changed.map(({ time }) => time), timeZone],
  });
}
