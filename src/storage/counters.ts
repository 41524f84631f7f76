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

/** Every received counter, read `max` rows at a time. */
export async function* receivedCounters(database: Database, max: number): AsyncGenerator<ReceivedCounter> {
  for (let last: readonly unknown[] = [0, "", 0]; ; ) {
    const rows = await database.query(
      `SELECT key_id, system_title, client_sap, counter FROM invocation_counters
        WHERE (key_id, system_title, client_sap) > ($1::int, $2::text, $3::smallint)
        ORDER BY key_id, system_title, client_sap LIMIT ${max}`,
      last,
    );
    for (const row of rows) {
      const [keyId, systemTitle, clientSap] = [row["key_id"], row["system_title"], row["client_sap"]];
      yield { keyId, systemTitle, clientSap, counter: row["counter"] };
      last = [keyId, systemTitle, clientSap];
    }
    if (rows.length < max) return;
  }
}

export interface ReceivedCounter {
  readonly keyId: number;
  readonly systemTitle: string;
  readonly clientSap: number;
  readonly counter: number;
}

/** Rows of `meter_keys`, whatever their state. */
export async function storedKeyIds(database: Database): Promise<ReadonlySet<number>> {
  const rows = await database.query("SELECT id FROM meter_keys");
  return new Set(rows.map((row) => row["id"] as number));
}
