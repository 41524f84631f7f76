import { askTogether } from "./ask-together.ts";
import { type CounterName, counterName } from "./counter-name.ts";
import type { Database } from "./database.ts";
import type { CounterStore, StatusWordStore, StoredCounter } from "./ingest-stores.ts";

const DAY_MS = 86_400_000;
/** Frames whose digests tell a retransmission from a replay. */
const DIGESTS = 64;
/**
 * Frames of a meter are looked for in the history of so many days, and in all of it where there are none: a look into years of days costs PostgreSQL
 * more than all else that a meter's first push behind a start does. A frame that is sent again so late, behind newer ones, is taken for a replay.
 */
const DIGEST_DAYS = 30;

type StoredDigest = StoredCounter["digests"][number];

type AskedCounter = Omit<CounterName, "text">;

/** Counters of one query; each comes with its digests. */
const ASKED_TOGETHER_MAX = 50;

export function openCounterStore(database: Database): CounterStore {
  const load = askTogether(
    (names: readonly AskedCounter[]) => loadCounters(database, names),
    ASKED_TOGETHER_MAX,
  );
  return { loadCounter: (keyId, systemTitle, clientSap) => load({ keyId, systemTitle, clientSap }) };
}

async function loadCounters(
  database: Database,
  names: readonly AskedCounter[],
): Promise<readonly StoredCounter[]> {
  const found = await countersSince(database, names, Date.now() - DIGEST_DAYS * DAY_MS);
  const silent = names.flatMap((_, place) => {
    const { high, digests } = found[place]!;
    return high !== null && digests.length === 0 ? [place] : [];
  });
  if (silent.length === 0) return found;
  const whole = await countersSince(
    database,
    silent.map((place) => names[place]!),
    0,
  );
  for (const [index, place] of silent.entries()) found[place] = whole[index]!;
  return found;
}

/** With the digests of frames that came after `sinceMs`. */
async function countersSince(
  database: Database,
  names: readonly AskedCounter[],
  sinceMs: number,
): Promise<StoredCounter[]> {
  const rows = await database.query(
    `SELECT asked.place, known.counter AS high, frame.invocation_counter AS counter, frame.digest
       FROM unnest($1::int[], $2::text[], $3::smallint[]) WITH ORDINALITY AS asked (key_id, system_title, client_sap, place)
       JOIN invocation_counters known USING (key_id, system_title, client_sap)
       JOIN meter_keys ON meter_keys.id = asked.key_id
       LEFT JOIN LATERAL (
            SELECT invocation_counter, digest FROM push_history
             WHERE meter_id = meter_keys.meter_id AND key_id = asked.key_id AND digest IS NOT NULL
               AND started_at > to_timestamp($4::float8 / 1000.0)
             ORDER BY started_at DESC LIMIT ${DIGESTS}) frame ON true`,
    [
      names.map(({ keyId }) => keyId),
      names.map(({ systemTitle }) => systemTitle),
      names.map(({ clientSap }) => clientSap),
      sinceMs,
    ],
  );
  const found = names.map(() => ({ high: null as number | null, digests: [] as StoredDigest[] }));
  for (const { place, high, counter, digest } of rows) {
    const state = found[place - 1]!;
    state.high = high;
    if (digest !== null) state.digests.push({ counter, digest: digest.toString("latin1") });
  }
  return found;
}

/** Status words older than this are not looked for: the bits of the next one all count as new. */
const STATUS_WORD_DAYS = 60;

export function openStatusWordStore(database: Database): StatusWordStore {
  return {
    lastStatusWord: async (meterId, obisCodeId) => {
      const [row] = await database.query(
        `SELECT value_text FROM public.meter_readings
          WHERE meter_id = $1 AND obis_code_id = $2 AND time > to_timestamp($3::float8 / 1000.0)
          ORDER BY time DESC LIMIT 1`,
        [meterId, obisCodeId, Date.now() - STATUS_WORD_DAYS * DAY_MS],
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
      const name = counterName(row["key_id"], row["system_title"], row["client_sap"]);
      yield { name, counter: row["counter"] };
      last = [name.keyId, name.systemTitle, name.clientSap];
    }
    if (rows.length < max) return;
  }
}

export interface ReceivedCounter {
  readonly name: CounterName;
  readonly counter: number;
}

/** Rows of `meter_keys`, whatever their state. */
export async function storedKeyIds(database: Database): Promise<ReadonlySet<number>> {
  const rows = await database.query("SELECT id FROM meter_keys");
  return new Set(rows.map((row) => row["id"] as number));
}
