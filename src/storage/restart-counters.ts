import type { KeyRing } from "../keys/key-ring.ts";
import type { Client, Database } from "./database.ts";
import { insertKeys, openStoredKey, usableKeys } from "./meter-keys.ts";
import { continueSentCounters } from "./sent-counters.ts";

/** An encryption key whose received counters start anew. */
export interface RestartedKey {
  /** null: that of all associations. */
  readonly clientSap: number | null;
  readonly keyId: number;
  readonly formerKeyId: number;
  /** Highest counter that was accepted of the meter under the key; null: none. */
  readonly counter: number | null;
}

/**
 * Accepts what a meter sends from counter 0 on. Counters belong to a key, so each of the meter's encryption keys gets a new row with the same
 * octets, and the former row expires: history keeps its meaning, and every daemon takes up the new row as it does after a rotation. The counters that
 * we send only go up: the same one twice under one key would give the key away. `clientSap`: only the key of this association.
 * Written to `event_logs` in the same transaction.
 */
export function restartReceivedCounters(
  database: Database,
  ring: KeyRing,
  order: {
    readonly meterId: string;
    readonly clientSap: number | null;
    readonly reason: string;
    readonly by: string;
  },
): Promise<RestartedKey[]> {
  const { meterId, clientSap } = order;
  return database.transaction(async (client) => {
    // Two who restart the same key come one after the other.
    await client.query("SELECT FROM public.meters WHERE id = $1 FOR UPDATE", [meterId]);
    const former = (await usableKeys(client, [meterId])).filter(
      (key) =>
        key.kind === "guek" && key.state === "ACTIVE" && (clientSap === null || key.clientSap === clientSap),
    );
    if (former.length === 0) return [];
    const fresh = former.map((key) => ({
      ...{ meterId, kind: key.kind, clientSap: key.clientSap },
      secret: openStoredKey(ring, key).export(),
    }));
    const formerIds = former.map(({ id }) => id);
    await client.query("UPDATE meter_keys SET state = 'EXPIRED' WHERE id = ANY($1)", [formerIds]);
    const ids = await insertKeys(client, ring, fresh, "ACTIVE");
    await continueSentCounters(client, formerIds, ids);
    const counters = await highestCounters(client, formerIds);
    const restarted = former.map((key, index) => ({
      clientSap: key.clientSap,
      keyId: ids[index]!,
      formerKeyId: key.id,
      counter: counters.get(key.id) ?? null,
    }));
    await client.query(
      `INSERT INTO event_logs (level, component, meter_id, message, data)
       VALUES ('warn', 'keys', $1, 'received invocation counters are accepted from the beginning', $2)`,
      [meterId, JSON.stringify({ reason: order.reason, by: order.by, keys: restarted })],
    );
    return restarted;
  });
}

async function highestCounters(client: Client, keyIds: readonly number[]): Promise<Map<number, number>> {
  const { rows } = await client.query(
    `SELECT key_id, max(counter) AS counter
       FROM (SELECT key_id, counter FROM invocation_counters UNION ALL SELECT key_id, received FROM association_counters) c
      WHERE key_id = ANY($1) GROUP BY key_id`,
    [keyIds],
  );
  return new Map(rows.map((row) => [row.key_id as number, row.counter as number]));
}
