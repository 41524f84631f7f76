import type { Database, QueryRow } from "./database.ts";

/** What a meter's captures end in, in the order in which it is shown. */
export const OVERVIEW_TABLES = [
  "instant_profile",
  "block_load_profile",
  "daily_load_profile",
  "billing_profile",
  "energy_measurements",
  "power_readings",
  "voltage_measurements",
  "current_measurements",
  "meter_readings",
  "meter_events",
  "push_history",
  "raw_frames",
] as const;

export type OverviewTable = (typeof OVERVIEW_TABLES)[number];

export interface RecentPush {
  readonly id: number;
  /** Milliseconds since 1970 UTC. */
  readonly startedAt: number;
  readonly meterNumber: string;
  readonly meterType: string;
  /** What was captured: instant, block, daily … */
  readonly kind: string;
  /** Whether the meter sent it or the head-end asked for it. */
  readonly by: "push" | "poll";
  readonly verdict: string;
  readonly values: number | null;
  readonly rows: number | null;
  readonly octets: number | null;
}

export interface Overview {
  readonly rows: Readonly<Record<OverviewTable, number>>;
  /** Pushes in push_history by verdict. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Attempts to poll in push_history by what they came to. */
  readonly polls: Readonly<Record<string, number>>;
  /** Block load captures that a poll brought. */
  readonly polledBlocks: number;
  /** Stretches of missing captures by their state. */
  readonly gaps: Readonly<Record<string, number>>;
  /** Newest first. */
  readonly recent: readonly RecentPush[];
  /** Frames that are kept because something about them isn't known. */
  readonly quarantined: number;
  readonly conflicts: number;
}

/** Counts every row of every table: for a demonstration and a small site, not for a large one. */
export async function loadOverview(database: Database, recentMax = 8): Promise<Overview> {
  const counts = OVERVIEW_TABLES.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`);
  const [rows, verdicts, gaps, recent] = await Promise.all([
    database.query(`SELECT ${counts.join(", ")},
      (SELECT count(*) FROM quarantine WHERE state = 'kept') AS quarantined,
      (SELECT count(*) FROM block_load_profile WHERE origin = 'poll') AS polled_blocks,
      (SELECT count(*) FROM reading_conflicts) AS conflicts`),
    database.query("SELECT kind, verdict, count(*) AS n FROM push_history GROUP BY kind, verdict"),
    database.query("SELECT state, count(*) AS n FROM capture_gaps GROUP BY state"),
    database.query(
      `SELECT h.id, h.started_at, m.meter_number, m.meter_type, coalesce(o.profile_kind, h.kind) AS kind, h.kind AS by, h.verdict, h.value_count, h.row_count, h.octet_count
         FROM push_history h JOIN public.meters m ON m.id = h.meter_id LEFT JOIN push_objects o ON o.id = h.push_object_id
        ORDER BY h.started_at DESC, h.id DESC LIMIT $1`,
      [recentMax],
    ),
  ]);
  const { quarantined, conflicts, polled_blocks: polledBlocks, ...tables } = rows[0]!;
  const of = (kind: string) => verdicts.filter((row) => row["kind"] === kind);
  const counted = (found: readonly QueryRow[], name: string) =>
    Object.fromEntries(found.map((row) => [row[name], row["n"]]));
  return {
    rows: tables as Record<OverviewTable, number>,
    verdicts: counted(of("push"), "verdict"),
    polls: counted(of("poll"), "verdict"),
    polledBlocks,
    gaps: counted(gaps, "state"),
    recent: recent.map((row) => ({
      id: row["id"],
      startedAt: row["started_at"],
      meterNumber: row["meter_number"],
      meterType: row["meter_type"],
      kind: row["kind"],
      by: row["by"],
      verdict: row["verdict"],
      values: row["value_count"],
      rows: row["row_count"],
      octets: row["octet_count"],
    })),
    quarantined,
    conflicts,
  };
}

/** The latest capture of any meter, in milliseconds since 1970 UTC; null: there is none. */
export async function lastCapture(database: Database): Promise<number | null> {
  const [row] = await database.query(
    "SELECT greatest((SELECT max(time) FROM instant_profile), (SELECT max(time) FROM block_load_profile)) AS last",
  );
  return (row?.["last"] as number | null | undefined) ?? null;
}
