import type { Client, Database, QueryRow } from "./database.ts";
import { heldByAnother, lockMeters } from "./held-meters.ts";
import type { DeviationSign } from "./meter-record.ts";
import type { Partitions } from "./partitions.ts";
import { PushIds } from "./push-ids.ts";
import { GAP_PRIORITY } from "./schedule-firings.ts";

/** One element of the list that a poll reads: a row of `push_object_entries`. */
export interface PollElement {
  readonly classId: number;
  readonly code: string;
  readonly attribute: number;
  /** 0: the whole attribute; else the n-th element of it. */
  readonly dataIndex: number;
}

/** What a poll needs of the meter. Its keys, secrets and address are the road's business. */
export interface PolledMeter {
  /** uuid */
  readonly id: string;
  readonly meterNumber: string;
  readonly meterType: string;
  readonly category: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly firmware: string | null;
  /** IANA name; null: the configured zone. */
  readonly timeZone: string | null;
  readonly deviationSign: DeviationSign;
}

/** A poll that this daemon has claimed, and nobody else until the lease ends. */
export interface ClaimedPoll {
  /** Row of `poll_tasks`. */
  readonly taskId: number;
  readonly purpose: "on-demand" | "scheduled" | "gap";
  /** From 1. */
  readonly attempt: number;
  readonly retryMax: number;
  readonly retryDelaySeconds: number;
  readonly priority: number;
  readonly clientSap: number;
  /** Milliseconds since 1970 UTC, as all instants here. */
  readonly dueAtMs: number;
  readonly startAtMs: number;
  /** Captures to be read, both ends included; null: everything since the newest stored one. */
  readonly range: { readonly fromMs: number; readonly untilMs: number } | null;
  /** Row of `capture_gaps` that it is to fill. */
  readonly gapId: number | null;
  readonly list: {
    readonly id: number;
    readonly name: string;
    readonly kind: "instant" | "block" | "daily" | "billing" | "event" | "single";
    readonly elements: readonly PollElement[];
  };
  readonly meter: PolledMeter;
  /** Row of `push_history` that was opened for the attempt. */
  readonly history: { readonly id: number; readonly startedAtMs: number };
}

/** What an attempt came to, as its row in `push_history` says. */
export interface PollOutcome {
  /** `applied`, or why not: `unreachable`, `timeout`, `refused` … */
  readonly verdict: string;
  readonly values: number;
  readonly rows: number;
  readonly octets: number;
  readonly error: string | null;
}

/** When and how urgently a poll is tried again. */
export interface Retry {
  readonly startAtMs: number;
  readonly priority: number;
  /** The attempt doesn't count: it was given back. */
  readonly givenBack?: boolean;
}

export interface ClaimOptions {
  /** Milliseconds since 1970 UTC by the clock that schedules are fired by. */
  readonly nowMs: number;
  readonly pollsMax: number;
  /** Of these, at most so many that fill gaps. */
  readonly gapsMax: number;
  /** Association where neither the entry says which, nor the meter has only another. */
  readonly clientSap: number;
}

export interface PollTasks {
  claim(options: ClaimOptions): Promise<ClaimedPoll[]>;
  /** Closes the attempt's row and takes the poll off the queue, or puts it back for a retry. */
  close(poll: ClaimedPoll, outcome: PollOutcome, retry: Retry | null): Promise<void>;
  /** Keeps what is being polled from being claimed by others. */
  renew(polls: readonly ClaimedPoll[]): Promise<void>;
  /** Takes off what was not begun in its window, or whose daemon died with the last attempt. Answers how many. */
  giveUpStale(nowMs: number): Promise<number>;
  /** Whether anything waits. */
  waiting(): Promise<boolean>;
}

/** How long a claim holds without being renewed; by the database's clock, which all daemons share. */
export const LEASE_SECONDS = 120;

export function openPollTasks(database: Database, partitions: Partitions, daemonId: string): PollTasks {
  return new LeasedPollTasks(database, partitions, daemonId);
}

/** Priorities from here down are those of gaps and of their retries. */
const GAP_LEVEL = GAP_PRIORITY / 2;

/*
 * $1 now in ms, $2 how many, $3 this daemon, $4 how many that fill gaps.
 * Level by level of priority, so that each look goes down the index: on-demand, scheduled, retries, gaps. A poll goes to the daemon that
 * holds the meter's connection while that daemon lives; one meter is talked to by one daemon or command at a time.
 */
const FREE = `
WITH RECURSIVE levels AS (
  SELECT max(priority) AS priority FROM poll_tasks
  UNION ALL SELECT (SELECT max(p.priority) FROM poll_tasks p WHERE p.priority < levels.priority) FROM levels WHERE priority IS NOT NULL)
SELECT t.id, t.purpose, t.meter_id, t.history_id, t.history_started_at
  FROM levels CROSS JOIN LATERAL (
    SELECT p.id, p.purpose, p.meter_id, p.history_id, p.history_started_at FROM poll_tasks p
     WHERE p.priority = levels.priority AND p.start_at <= to_timestamp($1 / 1000.0)
       AND (p.expires_at IS NULL OR p.expires_at >= to_timestamp($1 / 1000.0))
       AND (p.leased_until IS NULL OR p.leased_until < clock_timestamp()) AND p.attempt <= p.retry_max
       AND NOT ${heldByAnother("p.meter_id", "$3")}
     ORDER BY p.start_at, p.id LIMIT CASE WHEN levels.priority <= ${GAP_LEVEL} THEN least($4::int, $2::int) ELSE $2::int END
       FOR UPDATE OF p SKIP LOCKED) t
 WHERE levels.priority IS NOT NULL
 ORDER BY levels.priority DESC LIMIT $2`;

const CLAIM = `
WITH claimed AS (
  UPDATE poll_tasks t SET leased_by = $1, leased_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}),
         attempt = t.attempt + 1, history_id = c.history, history_started_at = to_timestamp($4 / 1000.0)
    FROM unnest($2::bigint[], $3::bigint[]) AS c(id, history)
   WHERE t.id = c.id AND NOT ${heldByAnother("t.meter_id", "$1")} RETURNING t.*),
opened AS (
  INSERT INTO push_history (id, started_at, due_at, meter_id, kind, verdict, push_schedule_id, push_object_id, attempt)
  SELECT history_id, history_started_at, due_at, meter_id, 'poll', 'running', push_schedule_id, push_object_id, attempt FROM claimed)
SELECT t.*, o.name AS list_name, o.profile_kind, m.meter_number, m.meter_type, coalesce(m.category, mt.category) AS category,
       m.manufacturer, m.model, m.firmware, m.time_zone, m.deviation_sign,
       coalesce(t.client_sap, (SELECT a.client_sap FROM meter_associations a WHERE a.meter_id = t.meter_id
          ORDER BY a.client_sap <> $5, a.client_sap = 16, a.client_sap LIMIT 1), $5) AS sap,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('classId', e.class_id, 'code', e.logical_name, 'attribute', e.attribute,
          'dataIndex', e.data_index) ORDER BY e.position), '[]') FROM push_object_entries e WHERE e.push_object_id = o.id) AS elements
  FROM claimed t JOIN public.meters m ON m.id = t.meter_id JOIN meter_types mt ON mt.name = m.meter_type
  JOIN push_objects o ON o.id = t.push_object_id`;

class LeasedPollTasks implements PollTasks {
  private readonly database: Database;
  private readonly partitions: Partitions;
  private readonly daemonId: string;
  private readonly ids: PushIds;

  constructor(database: Database, partitions: Partitions, daemonId: string) {
    this.database = database;
    this.partitions = partitions;
    this.daemonId = daemonId;
    this.ids = new PushIds(database);
  }

  async claim(options: ClaimOptions): Promise<ClaimedPoll[]> {
    const startedAtMs = Date.now();
    if (!this.partitions.covers("push_history", startedAtMs)) {
      await this.partitions.ensure([{ table: "push_history", time: startedAtMs }]);
    }
    return this.database.transaction((client) => this.claimOn(client, options, startedAtMs));
  }

  private async claimOn(
    client: Client,
    { nowMs, pollsMax, gapsMax, clientSap }: ClaimOptions,
    startedAtMs: number,
  ): Promise<ClaimedPoll[]> {
    const found = await client.query(FREE, [nowMs, pollsMax, this.daemonId, gapsMax]);
    if (found.rows.length === 0) return [];
    const mine = await lockMeters(
      client,
      found.rows.map((row) => row.meter_id),
    );
    const free = found.rows.filter((row) => mine.has(row.meter_id));
    if (free.length === 0) return [];
    await abandon(client, free);
    const history = await this.ids.take(free.length);
    const ids = free.map(({ id }) => id);
    const claimed = await client.query(CLAIM, [this.daemonId, ids, history, startedAtMs, clientSap]);
    const order = new Map(ids.map((id, index) => [id, index]));
    return claimed.rows.map(claimedPoll).sort((a, b) => order.get(a.taskId)! - order.get(b.taskId)!);
  }

  async close(poll: ClaimedPoll, outcome: PollOutcome, retry: Retry | null): Promise<void> {
    const mine = "id = $1 AND leased_by = $2 AND history_id = $3";
    const task =
      retry === null
        ? `DELETE FROM poll_tasks WHERE ${mine}`
        : `UPDATE poll_tasks SET leased_by = NULL, leased_until = NULL, history_id = NULL, history_started_at = NULL,
             start_at = to_timestamp($11 / 1000.0), priority = $12, attempt = attempt - $13 WHERE ${mine}`;
    const { history } = poll;
    await this.database.query(
      `WITH task AS (${task})
       UPDATE push_history SET finished_at = to_timestamp($5 / 1000.0), verdict = $6, value_count = $7, row_count = $8,
              octet_count = nullif($9::int, 0), error = $10
        WHERE id = $3 AND started_at = to_timestamp($4 / 1000.0)`,
      [
        ...[poll.taskId, this.daemonId, history.id, history.startedAtMs, Date.now()],
        ...[outcome.verdict, outcome.values, outcome.rows, outcome.octets, outcome.error],
        ...(retry === null ? [] : [retry.startAtMs, retry.priority, retry.givenBack === true ? 1 : 0]),
      ],
    );
  }

  async renew(polls: readonly ClaimedPoll[]): Promise<void> {
    if (polls.length === 0) return;
    await this.database.query(
      `UPDATE poll_tasks SET leased_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
        WHERE id = ANY($1) AND leased_by = $2`,
      [polls.map(({ taskId }) => taskId), this.daemonId],
    );
  }

  giveUpStale(nowMs: number): Promise<number> {
    return this.database.transaction(async (client) => {
      const { rows } = await client.query(
        `DELETE FROM poll_tasks
          WHERE (leased_until IS NULL OR leased_until < clock_timestamp())
            AND (expires_at < to_timestamp($1 / 1000.0) OR attempt > retry_max)
         RETURNING history_id, history_started_at`,
        [nowMs],
      );
      await abandon(client, rows);
      return rows.length;
    });
  }

  async waiting(): Promise<boolean> {
    const [row] = await this.database.query("SELECT EXISTS (SELECT FROM poll_tasks) AS waiting");
    return row!["waiting"];
  }
}

/** Attempts whose daemon died: their rows say so. */
async function abandon(client: Client, tasks: readonly QueryRow[]): Promise<void> {
  const begun = tasks.filter((task) => task["history_id"] !== null);
  if (begun.length === 0) return;
  await client.query(
    `UPDATE push_history h SET verdict = 'abandoned', finished_at = clock_timestamp(),
            error = 'the daemon that made this poll is gone'
       FROM unnest($1::bigint[], $2::float8[]) AS b(id, started)
      WHERE h.id = b.id AND h.started_at = to_timestamp(b.started / 1000.0) AND h.verdict = 'running'`,
    [begun.map((task) => task["history_id"]), begun.map((task) => task["history_started_at"])],
  );
}

function claimedPoll(row: QueryRow): ClaimedPoll {
  return {
    taskId: row["id"],
    purpose: row["purpose"],
    attempt: row["attempt"],
    retryMax: row["retry_max"],
    retryDelaySeconds: row["retry_delay_seconds"],
    priority: row["priority"],
    clientSap: row["sap"],
    dueAtMs: row["due_at"],
    startAtMs: row["start_at"],
    range: row["range_from"] === null ? null : { fromMs: row["range_from"], untilMs: row["range_until"] },
    gapId: row["capture_gap_id"],
    list: {
      id: row["push_object_id"],
      name: row["list_name"],
      kind: row["profile_kind"],
      elements: row["elements"],
    },
    meter: {
      id: row["meter_id"],
      meterNumber: row["meter_number"],
      meterType: row["meter_type"],
      category: row["category"],
      manufacturer: row["manufacturer"],
      model: row["model"],
      firmware: row["firmware"],
      timeZone: row["time_zone"],
      deviationSign: row["deviation_sign"],
    },
    history: { id: row["history_id"], startedAtMs: row["history_started_at"] },
  };
}
