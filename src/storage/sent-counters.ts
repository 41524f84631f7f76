import type { Client, Database } from "./database.ts";

/** Counters that are ours to use: above `after`, up to `until`. */
export interface ReservedCounters {
  readonly after: number;
  readonly until: number;
}

export const COUNTER_MAX = 0xffff_ffff;

/** An association that stands goes on with the former row and may reserve more of its counters; it never needs so many. */
const SENT_SKIPPED = 4_194_304;

/**
 * Reserves `count` counters of a key, durably, before one of them is used: a crash skips some and never uses one twice. None is below
 * `above`, which is what the meter has seen already. null where the key is used up.
 */
export async function reserveCounters(
  database: Database,
  keyId: number,
  count: number,
  above = 0,
): Promise<ReservedCounters | null> {
  // A database that was restored knows less than was used.
  await database.query("SELECT skip_counters_after_restore()");
  const [row] = await database.query(
    `INSERT INTO sent_counters AS s (key_id, reserved)
       SELECT $1::int, $3::bigint + $2 WHERE $3::bigint + $2 <= ${COUNTER_MAX}
     ON CONFLICT (key_id) DO UPDATE SET reserved = greatest(s.reserved, $3::bigint) + $2
       WHERE greatest(s.reserved, $3::bigint) + $2 <= ${COUNTER_MAX}
     RETURNING reserved`,
    [keyId, count, above],
  );
  if (row === undefined) return null;
  const until = row["reserved"] as number;
  return { after: until - count, until };
}

/** Rows of keys that have, or may have, the octets of `formerIds`, in the same order, go on above what was sent under these. */
export async function continueSentCounters(
  client: Client,
  formerIds: readonly number[],
  freshIds: readonly number[],
): Promise<void> {
  await client.query(
    `INSERT INTO sent_counters (key_id, reserved) SELECT x.fresh, least(s.reserved + ${SENT_SKIPPED}, ${COUNTER_MAX})
       FROM unnest($1::int[], $2::int[]) AS x(former, fresh) JOIN sent_counters s ON s.key_id = x.former`,
    [formerIds, freshIds],
  );
}

/** Skips as many counters of every key as can have been used since any backup; answers of how many keys. */
export async function skipSentCounters(database: Database): Promise<number> {
  const [row] = await database.query("SELECT skip_sent_counters() AS keys");
  return row!["keys"] as number;
}

/** Whether counters of the key were ever reserved: else the meter may know more of it than we do. */
export async function isCounterKnown(database: Database, keyId: number): Promise<boolean> {
  const rows = await database.query("SELECT 1 FROM sent_counters WHERE key_id = $1", [keyId]);
  return rows.length > 0;
}

/** Highest counter that a meter has sent in an association; −1: none yet. */
export async function receivedCounter(database: Database, keyId: number, clientSap: number): Promise<number> {
  const [row] = await database.query(
    "SELECT received FROM association_counters WHERE key_id = $1 AND client_sap = $2",
    [keyId, clientSap],
  );
  return (row?.["received"] as number | undefined) ?? -1;
}

/** Moves it up; never down. */
export async function noteReceivedCounter(
  database: Database,
  keyId: number,
  clientSap: number,
  received: number,
): Promise<void> {
  await database.query(
    `INSERT INTO association_counters AS a (key_id, client_sap, received) VALUES ($1, $2, $3)
     ON CONFLICT (key_id, client_sap) DO UPDATE SET received = excluded.received WHERE a.received < excluded.received`,
    [keyId, clientSap, received],
  );
}
