import type { Database } from "./database.ts";

export interface GapSummary {
  readonly id: number;
  readonly meterNumber: string;
  readonly profile: string;
  /** Milliseconds since 1970 UTC. */
  readonly firstMissing: number;
  readonly lastMissing: number;
  readonly captures: number;
  readonly state: "open" | "filled" | "given-up";
  readonly attempts: number;
  readonly reason: string | null;
}

/** The latest first. */
export async function listGaps(
  database: Database,
  filter: { readonly meterNumber?: string; readonly state?: string; readonly limit: number },
): Promise<GapSummary[]> {
  const rows = await database.query(
    `SELECT g.id, m.meter_number AS "meterNumber", g.profile, g.first_missing AS "firstMissing", g.last_missing AS "lastMissing",
            g.captures, g.state, g.attempts, g.reason
       FROM capture_gaps g JOIN public.meters m ON m.id = g.meter_id
      WHERE ($1::text IS NULL OR m.meter_number = $1) AND ($2::text IS NULL OR g.state = $2)
      ORDER BY g.last_missing DESC, g.id DESC LIMIT $3`,
    [filter.meterNumber ?? null, filter.state ?? null, filter.limit],
  );
  return rows as unknown as GapSummary[];
}

/** Gaps that were given up are open again, and polled for at the next look. Answers how many. */
export async function reopenGaps(database: Database, meterNumber: string | null): Promise<number> {
  const rows = await database.query(
    `UPDATE capture_gaps g SET state = 'open', closed_at = NULL, attempts = 0, next_attempt_at = NULL
       FROM public.meters m WHERE m.id = g.meter_id AND g.state <> 'filled' AND ($1::text IS NULL OR m.meter_number = $1) RETURNING g.id`,
    [meterNumber],
  );
  return rows.length;
}

export interface FleetDay {
  /** `2026-07-24` */
  readonly day: string;
  readonly profile: string;
  /** After the day's end. */
  readonly hours: number;
  readonly expected: number;
  readonly received: number;
  readonly percent: number;
  readonly target: number;
  /** null: that time has not come yet. */
  readonly met: boolean | null;
}

/** How much of the fleet's captures was here in time, for the last days. */
export async function fleetCompleteness(database: Database, days: number): Promise<FleetDay[]> {
  const rows = await database.query(
    `SELECT f.day::text, f.profile, f.hours, f.expected, f.received, f.percent::float8, f.target::float8, f.met FROM site s
      CROSS JOIN LATERAL fleet_completeness((now() AT TIME ZONE s.time_zone)::date - $1::int, (now() AT TIME ZONE s.time_zone)::date - 1) f
      ORDER BY f.day DESC, f.profile, f.hours`,
    [days],
  );
  return rows as unknown as FleetDay[];
}

export interface SilentMeter {
  readonly meterNumber: string;
  readonly meterType: string;
  readonly group: string | null;
  readonly lastSeenAt: number | null;
}

export async function silentMeters(database: Database, limit: number): Promise<SilentMeter[]> {
  const rows = await database.query(
    `SELECT meter_number AS "meterNumber", meter_type AS "meterType", meter_group AS "group", last_seen_at AS "lastSeenAt"
       FROM silent_meters ORDER BY last_seen_at NULLS FIRST, meter_number LIMIT $1`,
    [limit],
  );
  return rows as unknown as SilentMeter[];
}

export interface OverduePush {
  readonly schedule: string;
  readonly meterNumber: string;
  readonly dueAt: number;
  readonly overdueSince: number;
}

export async function overduePushes(database: Database, limit: number): Promise<OverduePush[]> {
  const rows = await database.query(
    `SELECT schedule, meter_number AS "meterNumber", due_at AS "dueAt", overdue_since AS "overdueSince"
       FROM overdue_pushes ORDER BY overdue_since, schedule, meter_number LIMIT $1`,
    [limit],
  );
  return rows as unknown as OverduePush[];
}
