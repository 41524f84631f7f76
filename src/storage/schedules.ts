import type { Client, Database, QueryRow } from "./database.ts";
import type { PollElement } from "./poll-tasks.ts";

/** Which meters: the most that is given decides; nothing: everybody. */
export interface EntryScope {
  /** Number of a meter. */
  readonly meterNumber: string | null;
  readonly group: string | null;
  readonly meterType: string | null;
}

/** What the meters of a new schedule do: read lists, by name or by kind of profile, or objects; or push by a setup. */
export type EntryContent =
  | { readonly list: string }
  | { readonly profile: string }
  | { readonly elements: readonly PollElement[] }
  | { readonly pushSetupId: number | null };

export interface NewSchedule {
  readonly name: string;
  readonly kind: "poll" | "push";
  readonly cron: string;
  readonly timeZone: string | null;
  readonly windowSeconds: number | null;
  readonly spreadSeconds: number;
  readonly missedRuns: "collapse" | "all" | "skip";
  readonly overdueAfterSeconds: number | null;
  readonly scope: EntryScope;
  readonly content: EntryContent;
  readonly clientSap: number | null;
  readonly priority: number;
  readonly retryMax: number;
  readonly retryDelaySeconds: number;
  /** Runs after this instant are owed; absent: after now. */
  readonly owedAfterMs?: number;
}

export interface ScheduleSummary {
  readonly id: number;
  readonly name: string;
  readonly kind: "poll" | "push";
  readonly cron: string | null;
  readonly timeZone: string | null;
  readonly enabled: boolean;
  readonly missedRuns: "collapse" | "all" | "skip";
  readonly windowSeconds: number | null;
  readonly spreadSeconds: number;
  readonly overdueAfterSeconds: number | null;
  /** Milliseconds since 1970 UTC; null: never. */
  readonly lastDueAt: number | null;
  /** Meters that its last run meant and that have no association for it. */
  readonly lastLeftOut: number | null;
  /** Polls that wait or are being made. */
  readonly waiting: number;
  readonly entries: readonly {
    readonly id: number;
    readonly meters: string;
    readonly reads: string | null;
    readonly clientSap: number | null;
    readonly priority: number;
    readonly retryMax: number;
    readonly retryDelaySeconds: number;
    readonly enabled: boolean;
  }[];
}

/** What a user named and what isn't there. */
export class ScheduleError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ScheduleError";
  }
}

const SUMMARY = `
SELECT s.id, s.name, s.kind, s.cron, s.time_zone AS "timeZone", s.enabled, s.missed_runs AS "missedRuns", s.window_seconds AS "windowSeconds",
       s.spread_seconds AS "spreadSeconds", s.overdue_after_seconds AS "overdueAfterSeconds",
       (SELECT max(f.due_at) FROM schedule_firings f WHERE f.push_schedule_id = s.id) AS "lastDueAt",
       (SELECT f.left_out FROM schedule_firings f WHERE f.push_schedule_id = s.id ORDER BY f.due_at DESC LIMIT 1) AS "lastLeftOut",
       (SELECT count(*) FROM poll_tasks p WHERE p.push_schedule_id = s.id) AS waiting,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', e.id,
            'meters', coalesce('meter ' || m.meter_number, 'group ' || e.meter_group, 'type ' || e.meter_type, 'all'),
            'reads', coalesce(o.name, u.name), 'clientSap', e.client_sap, 'priority', e.priority, 'retryMax', e.retry_max,
            'retryDelaySeconds', e.retry_delay_seconds, 'enabled', e.enabled) ORDER BY e.id), '[]')
          FROM schedule_entries e LEFT JOIN push_objects o ON o.id = e.push_object_id LEFT JOIN push_setups u ON u.id = e.push_setup_id
          LEFT JOIN public.meters m ON m.id = e.meter_id WHERE e.push_schedule_id = s.id) AS entries
  FROM push_schedules s`;

export async function listSchedules(database: Database): Promise<ScheduleSummary[]> {
  return (await database.query(`${SUMMARY} ORDER BY s.name`)) as unknown as ScheduleSummary[];
}

/** @throws ScheduleError */
export async function findSchedule(database: Database, name: string): Promise<ScheduleSummary> {
  const [row] = await database.query(`${SUMMARY} WHERE s.name = $1`, [name]);
  if (row === undefined)
    throw new ScheduleError(`There is no schedule "${name}": \`hes schedules list\` shows them.`);
  return row as unknown as ScheduleSummary;
}

/** Adds a schedule with what its meters do; all or nothing. @throws ScheduleError */
export function addSchedule(database: Database, schedule: NewSchedule): Promise<void> {
  return database.transaction(async (client) => {
    const { rows } = await client.query(
      `INSERT INTO push_schedules (name, kind, cron, time_zone, window_seconds, spread_seconds, missed_runs, overdue_after_seconds)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING RETURNING id`,
      [
        ...[schedule.name, schedule.kind, schedule.cron, schedule.timeZone, schedule.windowSeconds],
        ...[schedule.spreadSeconds, schedule.missedRuns, schedule.overdueAfterSeconds],
      ],
    );
    const id = rows[0]?.id;
    if (id === undefined) throw new ScheduleError(`There is a schedule "${schedule.name}" already.`);
    if (schedule.owedAfterMs !== undefined) {
      await client.query(
        "UPDATE schedule_marks SET fired_until = to_timestamp($2 / 1000.0) WHERE push_schedule_id = $1",
        [id, Math.floor(schedule.owedAfterMs)],
      );
    }
    const scope = await resolveScope(client, schedule.scope);
    for (const what of await contentOf(client, schedule)) {
      await client.query(
        `INSERT INTO schedule_entries (push_schedule_id, meter_id, meter_group, meter_type, push_object_id, push_setup_id, client_sap,
           priority, retry_max, retry_delay_seconds) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          ...[id, scope.meterId, scope.group, scope.meterType, what.objectId, what.setupId],
          ...[schedule.clientSap, schedule.priority, schedule.retryMax, schedule.retryDelaySeconds],
        ],
      );
    }
  });
}

async function resolveScope(client: Client, { meterNumber, group, meterType }: EntryScope) {
  const exists = async (sql: string, value: string, text: string) => {
    const { rows } = await client.query(sql, [value]);
    if (rows.length === 0) throw new ScheduleError(text);
    return rows[0] as QueryRow;
  };
  if (meterType !== null) {
    await exists(
      "SELECT name FROM meter_types WHERE name = $1",
      meterType,
      `There is no meter type "${meterType}".`,
    );
  }
  if (meterNumber === null) return { meterId: null, group, meterType };
  const sql = "SELECT id FROM public.meters WHERE meter_number = $1";
  const found = await exists(sql, meterNumber, `There is no meter ${meterNumber}.`);
  return { meterId: found["id"] as string, group, meterType };
}

interface Content {
  readonly objectId: number | null;
  readonly setupId: number | null;
}

async function contentOf(client: Client, { name, content }: NewSchedule): Promise<Content[]> {
  if ("pushSetupId" in content) return [{ objectId: null, setupId: content.pushSetupId }];
  if ("elements" in content)
    return [{ objectId: await makeList(client, name, content.elements), setupId: null }];
  const { rows } = await ("list" in content
    ? client.query("SELECT id FROM push_objects WHERE name = $1 AND enabled", [content.list])
    : client.query(
        "SELECT id FROM push_objects WHERE kind = 'poll' AND enabled AND profile_kind = $1 AND meter_id IS NULL ORDER BY id",
        [content.profile],
      ));
  if (rows.length === 0) {
    const wanted = "list" in content ? `called "${content.list}"` : `that reads ${content.profile} profiles`;
    throw new ScheduleError(`There is no list ${wanted}: \`hes schedules lists\` shows what can be read.`);
  }
  return rows.map((row) => ({ objectId: row.id, setupId: null }));
}

/** A list of objects that are read one by one. */
async function makeList(client: Client, name: string, elements: readonly PollElement[]): Promise<number> {
  const { rows } = await client.query(
    `INSERT INTO push_objects (name, kind, profile_kind) VALUES ($1, 'poll', 'single')
     ON CONFLICT (name, coalesce(push_setup_id, 0), coalesce(category, ''), coalesce(meter_type, ''), coalesce(meter_id::text, ''))
     DO NOTHING RETURNING id`,
    [`schedule ${name}`],
  );
  const id = rows[0]?.id;
  if (id === undefined) throw new ScheduleError(`There is a list "schedule ${name}" already.`);
  await client.query(
    `INSERT INTO push_object_entries (push_object_id, position, class_id, logical_name, attribute, data_index)
     SELECT $1, position, "classId", code, attribute, "dataIndex"
       FROM ROWS FROM (jsonb_to_recordset($2) AS ("classId" int, code text, attribute smallint, "dataIndex" smallint))
         WITH ORDINALITY AS e("classId", code, attribute, "dataIndex", position)`,
    [id, JSON.stringify(elements)],
  );
  return id;
}

/** Whether any meter is of the group: a group is no more than what its meters say. */
export async function isGroupInUse(database: Database, group: string): Promise<boolean> {
  const rows = await database.query("SELECT FROM public.meters WHERE meter_group = $1 LIMIT 1", [group]);
  return rows.length > 0;
}

/** Class of an object as the catalogue has it; null: it has none. */
export async function classOfObject(database: Database, code: string): Promise<number | null> {
  const [row] = await database.query(
    "SELECT class_id FROM obis_codes WHERE code = $1 AND class_id IS NOT NULL ORDER BY attribute = 2 DESC LIMIT 1",
    [code],
  );
  return row?.["class_id"] ?? null;
}

/** @throws ScheduleError */
export async function setScheduleEnabled(database: Database, name: string, enabled: boolean): Promise<void> {
  const { id } = await findSchedule(database, name);
  await database.query("UPDATE push_schedules SET enabled = $2 WHERE id = $1", [id, enabled]);
}

/** Its history stays, without its name. @throws ScheduleError */
export async function removeSchedule(database: Database, name: string): Promise<void> {
  const { id } = await findSchedule(database, name);
  await database.transaction(async (client) => {
    await client.query("UPDATE push_history SET push_schedule_id = NULL WHERE push_schedule_id = $1", [id]);
    await client.query("DELETE FROM push_schedules WHERE id = $1", [id]);
  });
}

export interface PollAttempt {
  readonly id: number;
  readonly schedule: string | null;
  readonly meterNumber: string;
  readonly list: string | null;
  readonly dueAt: number | null;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly attempt: number;
  readonly verdict: string;
  readonly rows: number | null;
  readonly values: number | null;
  readonly error: string | null;
}

/** Attempts to poll, the newest first. */
export async function pollAttempts(
  database: Database,
  filter: { readonly scheduleId?: number; readonly meterNumber?: string; readonly limit: number },
): Promise<PollAttempt[]> {
  const rows = await database.query(
    `SELECT h.id, s.name AS schedule, m.meter_number AS "meterNumber", o.name AS list, h.due_at AS "dueAt", h.started_at AS "startedAt",
            h.finished_at AS "finishedAt", h.attempt, h.verdict, h.row_count AS rows, h.value_count AS values, h.error
       FROM push_history h JOIN public.meters m ON m.id = h.meter_id
       LEFT JOIN push_schedules s ON s.id = h.push_schedule_id LEFT JOIN push_objects o ON o.id = h.push_object_id
      WHERE h.kind = 'poll' AND ($1::int IS NULL OR h.push_schedule_id = $1) AND ($2::text IS NULL OR m.meter_number = $2)
      ORDER BY h.started_at DESC, h.id DESC LIMIT $3`,
    [filter.scheduleId ?? null, filter.meterNumber ?? null, filter.limit],
  );
  return rows as unknown as PollAttempt[];
}

export interface PollList {
  readonly name: string;
  readonly kind: string;
  readonly scope: string;
  readonly elements: number;
}

/** Lists that the head-end reads. */
export async function pollLists(database: Database): Promise<PollList[]> {
  const rows = await database.query(
    `SELECT o.name, o.profile_kind AS kind, coalesce('meter ' || m.meter_number, 'type ' || o.meter_type, 'category ' || o.category, 'all') AS scope,
            (SELECT count(*) FROM push_object_entries e WHERE e.push_object_id = o.id) AS elements
       FROM push_objects o LEFT JOIN public.meters m ON m.id = o.meter_id WHERE o.kind = 'poll' AND o.enabled ORDER BY o.name`,
  );
  return rows as unknown as PollList[];
}
