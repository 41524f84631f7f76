import type { Database } from "./database.ts";
import type { CounterStore, StatusWordStore, StoredCounter } from "./ingest-stores.ts";

/** Frames whose digests tell a retransmission from a replay. */
const DIGESTS = 64;

export function openCounterStore(database: Database): CounterStore {
  return {
    loadCounter: async (keyId, systemTitle, clientSap): Promise<StoredCounter> => {
      const [counter] = await database.query(
        "SELECT counter FROM invocation_counters WHERE key_id = $1 AND system_title = $2 AND client_sap = $3",
        [keyId, systemTitle, clientSap],
      );
      if (!counter) return { high: null, digests: [] };
      const digests = await database.query(
        `SELECT invocation_counter AS counter, digest FROM push_history
          WHERE meter_id = (SELECT meter_id FROM meter_keys WHERE id = $1) AND key_id = $1 AND digest IS NOT NULL
          ORDER BY started_at DESC LIMIT ${DIGESTS}`,
        [keyId],
      );
      return {
        high: counter["counter"],
        digests: digests.map((row) => ({ counter: row["counter"], digest: row["digest"] })),
      };
    },
  };
}

/** Status words older than this are not looked for: the bits of the next one all count as new. */
const STATUS_WORD_DAYS = 60;

export function openStatusWordStore(database: Database): StatusWordStore {
  return {
    lastStatusWord: async (meterId, obisCodeId) => {
      const [row] = await database.query(
        `SELECT value_text FROM public.meter_readings
          WHERE meter_id = $1 AND obis_code_id = $2 AND time > now() - interval '${STATUS_WORD_DAYS} days'
          ORDER BY time DESC LIMIT 1`,
        [meterId, obisCodeId],
      );
      return (row?.["value_text"] as string | undefined) ?? null;
    },
  };
}
