import type { Client } from "./database.ts";

/**
 * SQL: whether a meter is another one's now: another daemon holds its connection or polls it, or another daemon or command has an
 * association with it. `meter` and `me` are SQL expressions: the meter's id, and who asks.
 */
export const heldByAnother = (meter: string, me: string): string => `(
  EXISTS (SELECT FROM meter_connections c JOIN daemons d ON d.id = c.daemon_id
    WHERE c.meter_id = ${meter} AND d.id <> ${me} AND d.alive_until > clock_timestamp())
  OR EXISTS (SELECT FROM poll_tasks o WHERE o.meter_id = ${meter} AND o.leased_by <> ${me} AND o.leased_until >= clock_timestamp())
  OR EXISTS (SELECT FROM lent_associations l WHERE l.meter_id = ${meter} AND l.lender <> ${me} AND l.lent_until >= clock_timestamp()))`;

/** What the advisory locks of meters are made with, beside their id. */
const LOCK_SEED = 0x6d657465;

/**
 * Of these meters, those that nobody else is taking in this moment. Until the end of the transaction they are the caller's to take; whether
 * they are held is to be asked afterwards, in a statement of its own, which sees what was taken before.
 */
export async function lockMeters(client: Client, meterIds: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await client.query(
    `SELECT id FROM (SELECT DISTINCT id FROM unnest($1::uuid[]) AS x(id) ORDER BY id) meters
      WHERE pg_try_advisory_xact_lock(hashtextextended(id::text, ${LOCK_SEED}))`,
    [meterIds],
  );
  return new Set(rows.map((row) => row.id as string));
}
