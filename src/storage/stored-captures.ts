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

/** Rows that stand of one meter and one kind and came in one way. */
export interface StoredPart extends StoredCaptures {
  /** By a push, by a poll. */
  readonly origin: string;
  /** They were there before `sinceMs`. */
  readonly earlier: boolean;
}

/** Rows of `meters` that came since `sinceMs`, and what stood before within the time that a meter is asked about. All in epoch ms. */
export interface CaptureQuery {
  /** Rows before and behind count for nobody. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly sinceMs: number;
  /** `span` null: only what came since. */
  readonly meters: readonly {
    readonly meterNumber: string;
    readonly span: { readonly firstMs: number; readonly lastMs: number } | null;
  }[];
}

const rowsAskedFor = ({ table, where }: { table: string; where: string }) => `
  FROM unnest($1::text[], $2::float8[], $3::float8[]) AS asked(meter_number, first, last)
  JOIN public.meters m ON m.meter_number = asked.meter_number
  JOIN ${table} t ON t.meter_id = m.id
 WHERE t.time BETWEEN to_timestamp($4) AND to_timestamp($5) ${where}
       AND (t.received_at >= to_timestamp($6) OR t.time BETWEEN to_timestamp(first) AND to_timestamp(last))`;

const seconds = (ms: number | undefined) => (ms === undefined ? null : ms / 1_000);

const parametersOf = ({ meters, firstMs, lastMs, sinceMs }: CaptureQuery) => [
  meters.map(({ meterNumber }) => meterNumber),
  meters.map(({ span }) => seconds(span?.firstMs)),
  meters.map(({ span }) => seconds(span?.lastMs)),
  ...[firstMs, lastMs, sinceMs].map(seconds),
];

/** By meter number; meters of which nothing stands are missing. */
export async function storedCaptures(
  database: Database,
  kind: StoredKind,
  query: CaptureQuery,
): Promise<Map<string, StoredPart[]>> {
  const { value } = TABLES[kind];
  const rows = await database.query(
    `SELECT m.meter_number, t.origin, t.received_at < to_timestamp($6) AS earlier, count(*) AS rows,
            sum(extract(epoch FROM t.time))::float8 AS seconds, coalesce(sum(${value}), 0)::float8 AS value
     ${rowsAskedFor(TABLES[kind])} GROUP BY 1, 2, 3`,
    parametersOf(query),
  );
  const parts = new Map<string, StoredPart[]>();
  for (const {
    meter_number: number,
    origin,
    earlier,
    rows: count,
    seconds: secondsSum,
    value: valueSum,
  } of rows) {
    const of = parts.get(number) ?? [];
    of.push({ origin, earlier, rows: count, secondsSum, valueSum });
    parts.set(number, of);
  }
  return parts;
}

/** Times of the rows that `storedCaptures` counts, epoch ms, ascending. */
export async function captureTimes(
  database: Database,
  kind: StoredKind,
  query: CaptureQuery,
): Promise<number[]> {
  const rows = await database.query(
    `SELECT t.time ${rowsAskedFor(TABLES[kind])} ORDER BY 1`,
    parametersOf(query),
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
