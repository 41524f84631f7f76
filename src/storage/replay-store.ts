import type { Row } from "../mapping/rows.ts";
import { correctRows } from "./correct.ts";
import { noteChangedDays } from "./daily-load-changes.ts";
import type { Client, Database, QueryRow } from "./database.ts";
import type { Partitions } from "./partitions.ts";
import { timeOf } from "./push-batch.ts";
import { StorageError } from "./storage-error.ts";
import { spanOf, withinSpan } from "./time-span.ts";

/** A deadlock, as with the columnstore taking a chunk in, is tried again at once, this often. */
const ATTEMPTS_MAX = 4;

/** A row of `raw_frames`. */
export interface StoredFrame {
  readonly id: number;
  readonly receivedAtMs: number;
  readonly meterId: string;
  readonly peer: string;
  readonly framing: string;
  /** The association whose key opened it; 0: a key that all associations share. */
  readonly clientSap: number;
  readonly apdu: Buffer;
}

/** The rows that a stored frame gives now. */
export interface FrameRows {
  readonly frame: StoredFrame;
  readonly rows: readonly Row[];
  readonly valueCount: number;
}

export interface FrameSelection {
  readonly meterId?: string;
  /** Received at this instant or later, in milliseconds. */
  readonly fromMs?: number;
  /** Received before this instant. */
  readonly toMs?: number;
  /** Only frames that are in quarantine. */
  readonly quarantined?: boolean;
}

export interface ReplayOptions {
  readonly timeZone: string;
  /** Frames that are read, and corrected, at once. */
  readonly batchMax?: number;
}

/** Stored frames in the order in which they came, and the way back for their corrected rows. */
export class ReplayStore {
  private readonly database: Database;
  private readonly partitions: Partitions;
  private readonly selection: FrameSelection;
  private readonly options: ReplayOptions;

  constructor(database: Database, partitions: Partitions, selection: FrameSelection, options: ReplayOptions) {
    this.database = database;
    this.partitions = partitions;
    this.selection = selection;
    this.options = options;
  }

  async *frames(): AsyncGenerator<readonly StoredFrame[]> {
    const { meterId, fromMs, toMs, quarantined } = this.selection;
    for (let last = 0; ; ) {
      const rows = await this.database.query(
        `SELECT f.id, f.received_at, f.meter_id, f.peer, f.framing, f.apdu, coalesce(k.client_sap, 0) AS client_sap
           FROM raw_frames f LEFT JOIN meter_keys k ON k.id = f.key_id
          WHERE f.id > $1 AND f.meter_id IS NOT NULL AND ($2::uuid IS NULL OR f.meter_id = $2)
            AND ($3::float8 IS NULL OR f.received_at >= to_timestamp($3 / 1000.0))
            AND ($4::float8 IS NULL OR f.received_at < to_timestamp($4 / 1000.0))
            AND ($5::boolean IS NOT TRUE OR EXISTS (SELECT FROM quarantine q WHERE q.frame_id = f.id AND q.state = 'kept'))
          ORDER BY f.id LIMIT $6`,
        [
          last,
          meterId ?? null,
          fromMs ?? null,
          toMs ?? null,
          quarantined ?? null,
          this.options.batchMax ?? 500,
        ],
      );
      if (rows.length === 0) return;
      last = rows.at(-1)!["id"];
      yield rows.map(storedFrame);
    }
  }

  /**
   * Puts the rows in place of what the same frames gave before, in one transaction; what they replace goes to `reading_conflicts`. Frames
   * that were in quarantine are adopted.
   */
  async correct(reread: readonly FrameRows[]): Promise<{ rowsAdded: number; rowsCorrected: number }> {
    if (reread.length === 0) return { rowsAdded: 0, rowsCorrected: 0 };
    const rows = reread.flatMap(({ frame, rows: own }) => own.map((row) => ofFrame(row, frame.id)));
    await this.partitions.ensure(rows.map((row) => ({ table: row.table.name, time: timeOf(row) })));
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.database.transaction((client) => this.replace(client, reread, rows));
      } catch (error) {
        const isPassing = error instanceof StorageError && error.sqlState?.startsWith("40");
        if (!isPassing || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  private async replace(client: Client, reread: readonly FrameRows[], rows: readonly Row[]) {
    const ids = reread.map(({ frame }) => frame.id);
    const { added, corrected } = await correctRows(client, rows);
    await noteChangedDays(client, [{ rows }], this.options.timeZone);
    await client.query(
      `UPDATE push_history h SET verdict = CASE WHEN h.verdict = 'quarantined' THEN 'applied' ELSE h.verdict END,
              row_count = x.rows, value_count = x.values
         FROM unnest($1::bigint[], $2::int[], $3::int[]) AS x(id, rows, values)
        WHERE h.id = x.id AND ${withinSpan("h.started_at", "$4", "$5")}`,
      [
        ...[ids, reread.map((one) => one.rows.length), reread.map((one) => one.valueCount)],
        ...spanOf(reread.map(({ frame }) => frame.receivedAtMs)),
      ],
    );
    await client.query(
      "UPDATE quarantine SET state = 'adopted', adopted_at = now() WHERE frame_id = ANY($1) AND state = 'kept'",
      [ids],
    );
    return { rowsAdded: added, rowsCorrected: corrected };
  }
}

function ofFrame({ table, cells }: Row, frameId: number): Row {
  if (table.frameId >= 0) cells[table.frameId] = frameId;
  return { table, cells };
}

const storedFrame = (row: QueryRow): StoredFrame => ({
  id: row["id"],
  receivedAtMs: row["received_at"],
  meterId: row["meter_id"],
  peer: row["peer"],
  framing: row["framing"],
  clientSap: row["client_sap"],
  apdu: row["apdu"],
});
