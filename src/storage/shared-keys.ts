import type { Client } from "./database.ts";

/** A key that several meters have: whoever opens one of them has them all. */
export interface SharedKey {
  /** What it is to them: `guek`, or `gak guek` where it is even both. */
  readonly kinds: string;
  readonly meterCount: number;
  /** Numbers of the first few, in order. */
  readonly meters: readonly string[];
}

/** Meters named of each shared key. */
const NAMED_MAX = 5;

/**
 * Usable keys that more than one meter has, those of most meters first, found by comparing MACs. A broadcast key is shared by its nature,
 * and left out. Keys under different key-encryption keys can't be compared, nor can those that were stored without a MAC: `hes keys
 * rekey` mends both.
 * @param only keys of these meters, with whomever they share them; null: all
 */
export async function findSharedKeys(
  client: Client,
  only: readonly string[] | null = null,
): Promise<SharedKey[]> {
  const { rows } = await client.query(
    `WITH usable AS (
       SELECT mac, kind, meter_id FROM meter_keys WHERE state IN ('NEW', 'ACTIVE') AND kind <> 'gbek' AND mac IS NOT NULL
     ), wanted AS (
       SELECT DISTINCT mac FROM usable WHERE $1::uuid[] IS NULL OR meter_id = ANY($1)
     )
     SELECT string_agg(DISTINCT u.kind, ' ' ORDER BY u.kind) AS kinds, count(DISTINCT u.meter_id) AS meters,
            (array_agg(DISTINCT m.meter_number ORDER BY m.meter_number))[1:${NAMED_MAX}] AS named
       FROM usable u JOIN wanted USING (mac) JOIN public.meters m ON m.id = u.meter_id
      GROUP BY u.mac HAVING count(DISTINCT u.meter_id) > 1
      ORDER BY count(DISTINCT u.meter_id) DESC, min(m.meter_number), min(u.kind)`,
    [only],
  );
  return rows.map((row) => ({ kinds: row.kinds, meterCount: row.meters, meters: row.named }));
}
