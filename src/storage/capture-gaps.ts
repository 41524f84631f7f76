import { hasAssociation } from "./associations.ts";
import type { Client, Database } from "./database.ts";
import { GAP_PRIORITY } from "./schedule-firings.ts";

export interface GapOptions {
  /** Milliseconds since 1970 UTC by the clock that schedules are fired by. */
  readonly nowMs: number;
  /** A capture is missing when it isn't here so long after its time. */
  readonly graceMs: number;
  /** How long meters keep captures that say nothing of it themselves. */
  readonly memoryMs: number;
}

export interface GapReport {
  readonly found: number;
  readonly filled: number;
  readonly givenUp: number;
  /** Polls that were queued. */
  readonly queued: number;
  readonly open: number;
}

/** Serialises looking for gaps among daemons. */
const GAP_LOCK = 0x67617073;
/** Meters whose captures are looked through in one statement. */
const METERS_MAX = 2_000;
/** Polls for gaps that wait at the same time; the others wait in `capture_gaps`. */
const QUEUED_MAX = 1_000;

/**
 * Looks through what came since the last time, closes the gaps that were filled meanwhile, gives up those that no meter can fill any more,
 * and queues polls for the others. One daemon at a time; where another one does it, null.
 */
export async function tendGaps(
  database: Database,
  options: GapOptions & { readonly fill: boolean; readonly clientSap: number },
): Promise<GapReport | null> {
  return database.withClient(async (client) => {
    const { rows } = await client.query("SELECT pg_try_advisory_lock($1) AS mine", [GAP_LOCK]);
    if (!rows[0]?.mine) return null;
    try {
      const found = await findGaps(client, options);
      const filled = await recheckGaps(client, null, options.nowMs);
      const givenUp = await giveUpForgotten(client, options);
      const queued = options.fill ? await queueGaps(client, options) : 0;
      const open = await client.query("SELECT count(*) AS open FROM capture_gaps WHERE state = 'open'");
      return { found, filled, givenUp, queued, open: open.rows[0].open };
    } finally {
      await client.query("SELECT pg_advisory_unlock($1)", [GAP_LOCK]).catch(() => undefined);
    }
  });
}

/*
 * $1 now in ms, $2 grace in ms, $3 how many meters, $4 and $5 behind which meter and profile. A meter is in service from its first stored
 * capture on; one that was never heard of has none. Missing captures that follow an open gap make it longer; others are a gap of their own.
 */
const FIND = `
WITH looked AS (
  SELECT o.*, g.looked_until, date_bin(o.period, owed.until, date_trunc('day', owed.until, o.time_zone)) AS until
    FROM owed_profiles o
    JOIN public.meters m ON m.id = o.meter_id AND m.last_seen_at IS NOT NULL
    LEFT JOIN gap_marks g ON g.meter_id = o.meter_id AND g.profile = o.profile
   CROSS JOIN (SELECT to_timestamp(($1::float8 - $2::float8) / 1000.0) AS until) owed
   WHERE (g.looked_until IS NULL OR g.looked_until <= owed.until - o.period)
     AND ($4::uuid IS NULL OR (o.meter_id, o.profile) > ($4::uuid, $5::text))
   ORDER BY o.meter_id, o.profile LIMIT $3),
wanted AS MATERIALIZED (
  SELECT *, coalesce(looked_until, oldest_capture(meter_id, profile)) AS start FROM looked),
due AS (SELECT * FROM wanted WHERE start IS NOT NULL AND start < until),
holes AS (
  SELECT d.meter_id, d.profile, d.period, h.* FROM due d
   CROSS JOIN LATERAL missing_captures(d.meter_id, d.profile, d.period, d.time_zone, d.start,
     (d.until AT TIME ZONE d.time_zone + d.period) AT TIME ZONE d.time_zone) h),
longer AS (
  UPDATE capture_gaps g SET last_missing = h.last_missing, captures = g.captures + h.captures
    FROM holes h WHERE g.meter_id = h.meter_id AND g.profile = h.profile AND g.state = 'open'
     AND g.last_missing < h.first_missing AND h.first_missing - g.last_missing < h.period * 1.5
  RETURNING h.meter_id, h.profile, h.first_missing),
made AS (
  INSERT INTO capture_gaps (meter_id, profile, first_missing, last_missing, captures)
  SELECT meter_id, profile, first_missing, last_missing, captures FROM holes h
   WHERE NOT EXISTS (SELECT FROM longer l WHERE (l.meter_id, l.profile, l.first_missing) = (h.meter_id, h.profile, h.first_missing))),
marked AS (
  INSERT INTO gap_marks (meter_id, profile, looked_until) SELECT meter_id, profile, until FROM due
  ON CONFLICT (meter_id, profile) DO UPDATE SET looked_until = excluded.looked_until)
SELECT (SELECT count(*) FROM looked) AS looked, (SELECT count(*) FROM holes) AS found, last.meter_id, last.profile
  FROM (SELECT 1) one LEFT JOIN (SELECT meter_id, profile FROM looked ORDER BY meter_id DESC, profile DESC LIMIT 1) last ON true`;

async function findGaps(client: Client, { nowMs, graceMs }: GapOptions): Promise<number> {
  let found = 0;
  let behind: (string | null)[] = [null, null];
  for (;;) {
    const { rows } = await client.query(FIND, [nowMs, graceMs, METERS_MAX, ...behind]);
    found += rows[0].found;
    if (rows[0].looked < METERS_MAX) return found;
    behind = [rows[0].meter_id, rows[0].profile];
  }
}

/** Gaps that are looked at again in one go: those that are to be polled next, and as many that weren't looked at for longest. */
const CHECKED_MAX = 1_000;

/** $1 the only gap to look at; null: some of those that are open. $2 now in ms. What is partly filled is cut to what is still missing. */
const RECHECK = `
WITH chosen AS (
  SELECT id FROM capture_gaps WHERE id = $1
  UNION (SELECT id FROM capture_gaps WHERE $1::bigint IS NULL AND state = 'open'
      AND (next_attempt_at IS NULL OR next_attempt_at <= to_timestamp($2::float8 / 1000.0))
    ORDER BY last_missing DESC LIMIT ${CHECKED_MAX})
  UNION (SELECT id FROM capture_gaps WHERE $1::bigint IS NULL AND state = 'open' ORDER BY checked_at NULLS FIRST LIMIT ${CHECKED_MAX})),
looked AS (
  SELECT g.id, g.meter_id, g.profile, h.*, row_number() OVER (PARTITION BY g.id ORDER BY h.first_missing) AS n,
         count(h.captures) OVER (PARTITION BY g.id) AS stretches
    FROM capture_gaps g
    JOIN owed_profiles o ON o.meter_id = g.meter_id AND o.profile = g.profile
    LEFT JOIN LATERAL missing_captures(g.meter_id, g.profile, o.period, o.time_zone,
      (g.first_missing AT TIME ZONE o.time_zone - o.period) AT TIME ZONE o.time_zone,
      (g.last_missing AT TIME ZONE o.time_zone + o.period) AT TIME ZONE o.time_zone) h ON true
   WHERE g.state = 'open' AND g.id IN (SELECT id FROM chosen)),
filled AS (
  UPDATE capture_gaps g SET state = 'filled', closed_at = now(), checked_at = now(), reason = NULL FROM looked l
   WHERE g.id = l.id AND l.stretches = 0 RETURNING g.id),
cut AS (
  UPDATE capture_gaps g SET first_missing = l.first_missing, last_missing = l.last_missing, captures = l.captures, checked_at = now()
    FROM looked l WHERE g.id = l.id AND l.n = 1 AND l.stretches > 0),
parted AS (
  INSERT INTO capture_gaps (meter_id, profile, first_missing, last_missing, captures)
  SELECT meter_id, profile, first_missing, last_missing, captures FROM looked WHERE n > 1)
SELECT count(*) AS filled FROM filled`;

async function recheckGaps(client: Client, gapId: number | null, nowMs: number): Promise<number> {
  const { rows } = await client.query(RECHECK, [gapId, nowMs]);
  return rows[0].filled;
}

/** What lies before everything that the meter can still have. */
async function giveUpForgotten(client: Client, { nowMs, memoryMs }: GapOptions): Promise<number> {
  const { rowCount } = await client.query(
    `UPDATE capture_gaps g SET state = 'given-up', closed_at = now(),
            reason = concat_ws('; ', 'older than the meter keeps captures', g.reason)
       FROM owed_profiles o
      WHERE g.state = 'open' AND o.meter_id = g.meter_id AND o.profile = g.profile
        AND g.last_missing < to_timestamp($1 / 1000.0) - coalesce(
          (SELECT max(p.profile_entries) * o.period FROM public.meters m JOIN meter_models mm ON mm.meter_type = m.meter_type
                AND mm.manufacturer IS NOT DISTINCT FROM m.manufacturer AND mm.model IS NOT DISTINCT FROM m.model
                AND mm.firmware IS NOT DISTINCT FROM m.firmware
              JOIN model_profiles p ON p.meter_model_id = mm.id
                AND p.logical_name = CASE g.profile WHEN 'block' THEN '1.0.99.1.0.255' ELSE '1.0.99.2.0.255' END
             WHERE m.id = g.meter_id), make_interval(secs => $2 / 1000.0))`,
    [nowMs, memoryMs],
  );
  return rowCount ?? 0;
}

/**
 * A poll for each open gap whose time has come and whose meter has an association; of the lists that read its profile, the one that means the
 * meter most closely.
 */
async function queueGaps(
  client: Client,
  { nowMs, clientSap }: { readonly nowMs: number; readonly clientSap: number },
): Promise<number> {
  const { rowCount } = await client.query(
    `INSERT INTO poll_tasks (purpose, meter_id, push_object_id, capture_gap_id, due_at, start_at, range_from, range_until, priority, retry_max)
     SELECT 'gap', g.meter_id, list.id, g.id, at.now, at.now, g.first_missing - o.period / 2, g.last_missing + o.period / 2, $2, 0
       FROM capture_gaps g
       JOIN owed_profiles o ON o.meter_id = g.meter_id AND o.profile = g.profile
       JOIN public.meters m ON m.id = g.meter_id
       JOIN meter_types t ON t.name = m.meter_type
      CROSS JOIN (SELECT to_timestamp($1::float8 / 1000.0) AS now) at
      CROSS JOIN LATERAL (
        SELECT l.id FROM push_objects l WHERE l.enabled AND l.kind = 'poll' AND l.profile_kind = g.profile
           AND (l.meter_id IS NULL OR l.meter_id = m.id) AND (l.meter_type IS NULL OR l.meter_type = m.meter_type)
           AND (l.category IS NULL OR l.category = coalesce(m.category, t.category))
         ORDER BY l.meter_id IS NULL, l.meter_type IS NULL, l.category IS NULL, l.id LIMIT 1) list
      WHERE g.state = 'open' AND (g.next_attempt_at IS NULL OR g.next_attempt_at <= at.now)
        AND NOT EXISTS (SELECT FROM poll_tasks p WHERE p.capture_gap_id = g.id)
        AND ${hasAssociation("m.id", "NULL::smallint", "$4")}
      ORDER BY g.last_missing DESC
      LIMIT greatest(0, $3 - (SELECT count(*) FROM poll_tasks WHERE purpose = 'gap'))
     ON CONFLICT DO NOTHING`,
    [nowMs, GAP_PRIORITY, QUEUED_MAX, clientSap],
  );
  return rowCount ?? 0;
}

/** First pause after a poll for a gap failed, and the longest: it is tried as long as the meter may have the captures. */
const PAUSE_SECONDS = 3_600;
const PAUSE_SECONDS_MAX = 86_400;

/** What a poll for a gap came to. `error` null: the meter gave what it has. */
export async function settleGap(
  database: Database,
  gapId: number,
  error: string | null,
  nowMs: number,
): Promise<void> {
  await database.transaction(async (client) => {
    await recheckGaps(client, gapId, nowMs);
    if (error === null) {
      await client.query(
        `UPDATE capture_gaps SET state = 'given-up', closed_at = now(), reason = 'the meter has no captures of this time'
          WHERE id = $1 AND state = 'open'`,
        [gapId],
      );
      return;
    }
    await client.query(
      `UPDATE capture_gaps SET attempts = attempts + 1, reason = $2,
              next_attempt_at = to_timestamp($3 / 1000.0) + make_interval(secs => least($4 * 2 ^ least(attempts, 10), $5))
        WHERE id = $1 AND state = 'open'`,
      [gapId, error, nowMs, PAUSE_SECONDS, PAUSE_SECONDS_MAX],
    );
  });
}
