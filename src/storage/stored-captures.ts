import type { Database } from "./database.ts";

/** Where the rows of each kind of push stand, and which value of them is summed up. */
const TABLES = {
  // What bore no time of its own has that of its arrival: nobody knows it beforehand.
  instant: {
    table: "instant_profile",
    value: "t.active_import_wh",
    where: "AND t.time <> t.received_at",
  },
  // Meters that capture registers tell no energy of the block.
  block: {
    table: "block_load_profile",
    value: "coalesce(t.block_active_import_wh, t.active_import_wh)",
    where: "",
  },
  daily: { table: "energy_measurements", value: "t.active_import_wh", where: "AND t.source = 'daily'" },
  billing: { table: "billing_profile", value: "t.active_import_wh", where: "" },
  event: {
    table: "public.meter_events",
    value: "t.code",
    where: "AND t.log <> 'status-word' AND t.log NOT LIKE 'alarm-register-%'",
  },
} as const;

export type StoredKind = keyof typeof TABLES;
export const STORED_KINDS = Object.keys(TABLES) as StoredKind[];

/** What stands of one meter and one kind. */
export interface StoredCaptures {
  readonly rows: number;
  /** Sum of the rows' times, seconds since 1970. */
  readonly secondsSum: number;
  /** Sum of one value of each row: Wh, of events the code. */
  readonly valueSum: number;
}

export interface CaptureQuery {
  readonly meterNumbers: readonly string[];
  /** Times of the first and last row that count, epoch ms. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** By meter number; meters of which nothing stands are missing. `origin`: only what pushes have brought; "any": what polls have read too. */
export async function storedCaptures(
  database: Database,
  kind: StoredKind,
  { meterNumbers, firstMs, lastMs }: CaptureQuery,
  origin: "push" | "any",
): Promise<Map<string, StoredCaptures>> {
  const { table, value, where } = TABLES[kind];
  const rows = await database.query(
    `SELECT m.meter_number, count(*) AS rows, sum(extract(epoch FROM t.time))::float8 AS seconds,
            coalesce(sum(${value}), 0)::float8 AS value
       FROM ${table} t JOIN public.meters m ON m.id = t.meter_id
      WHERE m.meter_number = ANY($1) AND t.time BETWEEN to_timestamp($2) AND to_timestamp($3) ${where}
            AND ($4 = 'any' OR t.origin = $4)
      GROUP BY m.meter_number`,
    [meterNumbers, firstMs / 1_000, lastMs / 1_000, origin],
  );
  return new Map(
    rows.map((row) => [
      row["meter_number"],
      { rows: row["rows"], secondsSum: row["seconds"], valueSum: row["value"] },
    ]),
  );
}

/** Times of the rows of one meter, epoch ms, ascending. */
export async function captureTimes(
  database: Database,
  kind: StoredKind,
  meterNumber: string,
  { firstMs, lastMs }: Omit<CaptureQuery, "meterNumbers">,
): Promise<number[]> {
  const { table, where } = TABLES[kind];
  const rows = await database.query(
    `SELECT t.time FROM ${table} t JOIN public.meters m ON m.id = t.meter_id
      WHERE m.meter_number = $1 AND t.time BETWEEN to_timestamp($2) AND to_timestamp($3) ${where} ORDER BY 1`,
    [meterNumber, firstMs / 1_000, lastMs / 1_000],
  );
  return rows.map((row) => row["time"]);
}

/** What the head-end has noted of pushes of `meterNumbers` since an instant of its own clock. */
export interface ReceptionNotes {
  /** Rows of push_history by meter number and verdict. */
  readonly verdicts: ReadonlyMap<string, Readonly<Record<string, number>>>;
  readonly conflicts: number;
  readonly quarantined: number;
  /** Refusals by reason, of whatever source. */
  readonly refusals: Readonly<Record<string, number>>;
}

export async function receptionNotes(
  database: Database,
  meterNumbers: readonly string[],
  sinceMs: number,
): Promise<ReceptionNotes> {
  const since = sinceMs / 1_000;
  const fleet = "(SELECT id FROM public.meters WHERE meter_number = ANY($1))";
  const [history, kept, refused] = await Promise.all([
    database.query(
      `SELECT m.meter_number, h.verdict, count(*) AS pushes
         FROM push_history h JOIN public.meters m ON m.id = h.meter_id
        WHERE h.kind = 'push' AND h.started_at >= to_timestamp($2) AND m.meter_number = ANY($1) GROUP BY 1, 2`,
      [meterNumbers, since],
    ),
    database.query(
      `SELECT (SELECT count(*) FROM reading_conflicts
                WHERE received_at >= to_timestamp($2) AND time <> received_at AND meter_id IN ${fleet}) AS conflicts,
              (SELECT count(*) FROM quarantine WHERE received_at >= to_timestamp($2) AND meter_id IN ${fleet}) AS quarantined`,
      [meterNumbers, since],
    ),
    database.query(
      `SELECT reason, sum(occurrences)::bigint AS occurrences FROM security_events
        WHERE minute >= date_trunc('minute', to_timestamp($1)) GROUP BY reason`,
      [since],
    ),
  ]);
  const verdicts = new Map<string, Record<string, number>>();
  for (const row of history) {
    const of = verdicts.get(row["meter_number"]) ?? {};
    of[row["verdict"]] = row["pushes"];
    verdicts.set(row["meter_number"], of);
  }
  return {
    verdicts,
    conflicts: kept[0]!["conflicts"],
    quarantined: kept[0]!["quarantined"],
    refusals: Object.fromEntries(refused.map((row) => [row["reason"], row["occurrences"]])),
  };
}
