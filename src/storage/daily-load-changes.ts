import pg from "pg";
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
  const statement = changedDaysStatement(rows, timeZone);
  if (statement !== null) await client.query(statement);
}

/** The same as a statement without parameters; null where the rows belong to no day. */
export function changedDaysStatement(rows: Iterable<Row>, timeZone: string): string | null {
  const meters: string[] = [];
  const times: number[] = [];
  /** The last quarter of each meter. One that comes again behind another is noted twice, and the statement takes it for one. */
  const noted = new Map<string, number>();
  for (const row of rows) {
    if (!counts(row)) continue;
    const at = POSITIONS.get(row.table)!;
    // What is stamped 00:00 belongs to the day that ends then.
    const quarter = Math.floor((Number(row.cells[at.time]) - 1) / QUARTER_MS);
    const meter = String(row.cells[at.meter]);
    if (noted.get(meter) === quarter) continue;
    noted.set(meter, quarter);
    meters.push(meter);
    times.push(quarter * (QUARTER_MS / 1_000));
  }
  if (meters.length === 0) return null;
  const literal = (values: readonly unknown[]) => pg.escapeLiteral(`{${values.join(",")}}`);
  return `SELECT note_changed_days(${DAILY_LOAD_LOCK}, ${literal(meters)}, ${literal(times)}, ${pg.escapeLiteral(timeZone)})`;
}
