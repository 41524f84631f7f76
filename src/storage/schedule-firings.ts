import { hasAssociation } from "./associations.ts";
import type { Client, Database } from "./database.ts";

/** An enabled schedule with a cron expression, and how far it has fired. */
export interface ScheduleRecord {
  readonly id: number;
  readonly name: string;
  readonly kind: "poll" | "push";
  readonly cron: string;
  /** IANA name; null: the configured zone. */
  readonly timeZone: string | null;
  readonly missedRuns: "collapse" | "all" | "skip";
  readonly windowSeconds: number | null;
  /** Milliseconds since 1970 UTC, as all instants here. */
  readonly firedUntilMs: number;
}

export interface FiringRecord {
  readonly dueAtMs: number;
  readonly missed: number;
}

/** What is fired of one schedule in one go. */
export interface FiringOrder {
  readonly scheduleId: number;
  readonly firings: readonly FiringRecord[];
  readonly firedUntilMs: number;
}

/** A run that this call has fired, and nobody before. */
export interface Fired extends QueuedRun {
  readonly dueAtMs: number;
}

export interface QueuedRun {
  /** 0 for a schedule by which meters push. */
  readonly polls: number;
  /** Meters that are meant and have no association in which they could be asked. */
  readonly leftOut: number;
}

export async function loadTimedSchedules(database: Database): Promise<ScheduleRecord[]> {
  const rows = await database.query(
    `SELECT s.id, s.name, s.kind, s.cron, s.time_zone AS "timeZone", s.missed_runs AS "missedRuns",
            s.window_seconds AS "windowSeconds", m.fired_until AS "firedUntilMs"
       FROM push_schedules s JOIN schedule_marks m ON m.push_schedule_id = s.id
      WHERE s.enabled AND s.cron IS NOT NULL ORDER BY s.id`,
  );
  return rows as unknown as ScheduleRecord[];
}

/**
 * Fires runs of a schedule: a row each, and the polls of the meters that its entries name, all in one transaction. A run that was fired
 * before, by this daemon or another one, is passed over: its row is there. `clientSap`: of entries that say none.
 */
export function fireSchedule(
  database: Database,
  order: FiringOrder,
  nowMs: number,
  clientSap: number,
): Promise<Fired[]> {
  return database.transaction(async (client) => {
    const { rows } = await client.query(
      "SELECT enabled FROM push_schedules s JOIN schedule_marks m ON m.push_schedule_id = s.id WHERE s.id = $1 FOR UPDATE OF m",
      [order.scheduleId],
    );
    // Deleted or disabled meanwhile.
    if (!rows[0]?.enabled) return [];
    const fired: Fired[] = [];
    for (const firing of order.firings) {
      const run = await fireRun(client, order.scheduleId, firing, nowMs, clientSap);
      if (run !== null) fired.push({ dueAtMs: firing.dueAtMs, ...run });
    }
    await client.query(
      "UPDATE schedule_marks SET fired_until = to_timestamp($2 / 1000.0) WHERE push_schedule_id = $1",
      [order.scheduleId, order.firedUntilMs],
    );
    return fired;
  });
}

async function fireRun(
  client: Client,
  scheduleId: number,
  { dueAtMs, missed }: FiringRecord,
  nowMs: number,
  clientSap: number,
): Promise<QueuedRun | null> {
  const inserted = await client.query(
    `INSERT INTO schedule_firings (push_schedule_id, due_at, fired_at, missed)
     VALUES ($1, to_timestamp($2 / 1000.0), to_timestamp($3 / 1000.0), $4) ON CONFLICT DO NOTHING`,
    [scheduleId, dueAtMs, nowMs, missed],
  );
  if (inserted.rowCount === 0) return null;
  const run = await queueRun(client, [scheduleId, dueAtMs, null, 0, clientSap]);
  if (run.polls + run.leftOut > 0) {
    await client.query(
      `UPDATE schedule_firings SET polls = $3, left_out = $4
        WHERE push_schedule_id = $1 AND due_at = to_timestamp($2 / 1000.0)`,
      [scheduleId, dueAtMs, run.polls, run.leftOut],
    );
  }
  return run;
}

async function queueRun(client: Client, parameters: readonly unknown[]): Promise<QueuedRun> {
  const { rows } = await client.query(QUEUE_RUN, [...parameters]);
  return { polls: rows[0]!.polls, leftOut: rows[0]!.left_out };
}

/** What a person asks for now goes before everything. */
export const ON_DEMAND_PRIORITY = 1_000;
/** What fills gaps comes after everything. */
export const GAP_PRIORITY = -1_000;

/*
 * $1 schedule, $2 due at in ms, $3 only this meter (null: all), $4 priority on top, $5 client SAP where an entry says none. An entry names a meter, a group, a type, or everybody; where
 * several name the same meter and list, the one that means it most closely counts; a list that is for others is not read. Each meter's share of the spread is its own and
 * always the same, so that its polls keep their distance. A schedule by which meters push queues nothing, and a meter that has no association
 * for it is left out: nothing could come of it before somebody has imported one.
 */
const QUEUE_RUN = `
WITH wanted AS (
SELECT DISTINCT ON (m.id, e.push_object_id)
       CASE WHEN $3::uuid IS NULL AND $4::int = 0 THEN 'scheduled' ELSE 'on-demand' END AS purpose, m.id AS meter, e.push_object_id AS list, s.id AS schedule,
       e.client_sap AS sap, due.at AS due,
       due.at + make_interval(secs => CASE WHEN $4::int = 0 THEN
         s.spread_seconds * (hashtextextended(m.id::text, s.id) & 65535) / 65536.0 ELSE 0 END) AS start,
       due.at + make_interval(secs => s.window_seconds) AS expires, greatest(-400, least(400, e.priority)) + $4::int AS priority,
       e.retry_max, e.retry_delay_seconds, ${hasAssociation("m.id", "e.client_sap", "$5")} AS readable
  FROM push_schedules s
  JOIN schedule_entries e ON e.push_schedule_id = s.id AND e.enabled AND e.push_object_id IS NOT NULL
  JOIN public.meters m ON m.status = 'active' AND (e.meter_id IS NULL OR e.meter_id = m.id)
    AND (e.meter_group IS NULL OR e.meter_group = m.meter_group) AND (e.meter_type IS NULL OR e.meter_type = m.meter_type)
    AND ($3::uuid IS NULL OR m.id = $3::uuid)
  JOIN meter_types t ON t.name = m.meter_type
  JOIN push_objects o ON o.id = e.push_object_id AND o.enabled AND (o.meter_id IS NULL OR o.meter_id = m.id)
    AND (o.meter_type IS NULL OR o.meter_type = m.meter_type)
    AND (o.category IS NULL OR o.category = coalesce(m.category, t.category))
 CROSS JOIN (SELECT to_timestamp($2::float8 / 1000.0) AS at) due
 WHERE s.id = $1 AND s.kind = 'poll'
 ORDER BY m.id, e.push_object_id, e.meter_id IS NULL, e.meter_group IS NULL, e.meter_type IS NULL, e.id),
queued AS (
INSERT INTO poll_tasks (purpose, meter_id, push_object_id, push_schedule_id, client_sap, due_at, start_at, expires_at, priority,
  retry_max, retry_delay_seconds)
SELECT purpose, meter, list, schedule, sap, due, start, expires, priority, retry_max, retry_delay_seconds FROM wanted WHERE readable
ON CONFLICT (push_schedule_id, due_at, meter_id, push_object_id) WHERE push_schedule_id IS NOT NULL
  DO UPDATE SET purpose = excluded.purpose, priority = greatest(poll_tasks.priority, excluded.priority),
    start_at = least(poll_tasks.start_at, excluded.start_at) RETURNING 1)
SELECT (SELECT count(*) FROM queued)::int AS polls, (SELECT count(DISTINCT meter) FROM wanted WHERE NOT readable)::int AS left_out`;

/** Queues the polls of a schedule now, before everything else. `clientSap`: of entries that say none. */
export async function runScheduleNow(
  database: Database,
  scheduleId: number,
  nowMs: number,
  meterId: string | null,
  clientSap: number,
): Promise<QueuedRun> {
  return database.withClient((client) =>
    queueRun(client, [scheduleId, nowMs, meterId, ON_DEMAND_PRIORITY, clientSap]),
  );
}

/** Firings older than this are of no use: nothing that far back is looked for. */
const FIRINGS_KEPT_DAYS = 800;

export async function forgetOldFirings(database: Database, nowMs: number): Promise<void> {
  await database.query(
    "DELETE FROM schedule_firings WHERE due_at < to_timestamp($1 / 1000.0) - make_interval(days => $2)",
    [nowMs, FIRINGS_KEPT_DAYS],
  );
}
