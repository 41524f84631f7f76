import pg from "pg";
import { ENERGY_MEASUREMENTS, type Row, VOLTAGE_MEASUREMENTS } from "../mapping/rows.ts";
import type { Client } from "./database.ts";

/** Held shared by batches from before they note their days until COMMIT, exclusively by whoever takes the days. */
export const DAILY_LOAD_LOCK = 0x6461796c;

/** Zones differ from UTC by multiples of a quarter of an hour: within one, the day is the same everywhere. */
const QUARTER_MS = 900_000;

const SOURCE = ENERGY_MEASUREMENTS.position.get("source")!;
/** In both tables, which test/storage/daily-load-changes.test.ts sees to. */
const METER = ENERGY_MEASUREMENTS.position.get("meter_id")!;

/** Whether a row is one that a day is made of. */
function counts({ table, cells }: Row): boolean {
  if (table === VOLTAGE_MEASUREMENTS) return true;
  if (table !== ENERGY_MEASUREMENTS) return false;
  const source = cells[SOURCE];
  return source === "block" || source === "daily";
}

/** What is stored together, or of one push. */
interface Stored {
  readonly rows: readonly Row[];
}

/** Notes, in the transaction that stores them, which days of which meters the rows of a batch belong to. */
export async function noteChangedDays(
  client: Client,
  stored: readonly Stored[],
  timeZone: string,
): Promise<void> {
  const statement = changedDaysStatement(stored, timeZone);
  if (statement !== null) await client.query(statement);
}

/** The same as a statement without parameters; null where the rows belong to no day. */
export function changedDaysStatement(stored: readonly Stored[], timeZone: string): string | null {
  const meters: string[] = [];
  const times: number[] = [];
  /** Of the row before. One that comes again behind another is noted twice, and the statement takes it for one. */
  let meter = "";
  let quarter = 0;
  for (const { rows } of stored) {
    for (const row of rows) {
      if (!counts(row)) continue;
      // What is stamped 00:00 belongs to the day that ends then.
      const own = Math.floor((Number(row.cells[row.table.time]) - 1) / QUARTER_MS);
      const ownMeter = String(row.cells[METER]);
      if (own === quarter && ownMeter === meter) continue;
      quarter = own;
      meter = ownMeter;
      meters.push(meter);
      times.push(quarter * (QUARTER_MS / 1_000));
    }
  }
  if (meters.length === 0) return null;
  return `SELECT note_changed_days(${DAILY_LOAD_LOCK}, ${literal(meters)}, ${literal(times)}, ${pg.escapeLiteral(timeZone)})`;
}

const PLAIN = /^[\w,.-]*$/;

/** An array in quotes. Its numbers and identifiers need no escapes: looking for them one by one took longer than all else here. */
function literal(values: readonly (string | number)[]): string {
  const text = values.join(",");
  if (!PLAIN.test(text)) throw new TypeError("not all of them are identifiers or numbers");
  return `'{${text}}'`;
}
