import type { KeyRing } from "../keys/key-ring.ts";
import type { Client, QueryRow } from "./database.ts";
import type { MeterKey } from "./meter-record.ts";
import { continueSentCounters } from "./sent-counters.ts";

/** A key in the clear on its way into an envelope; wiped when it is sealed. */
export interface NewKey {
  readonly meterId: string;
  readonly kind: MeterKey["kind"];
  readonly clientSap: number | null;
  readonly secret: Buffer;
}

/** A key as it stands in the database: in its envelope. */
export interface StoredKey {
  readonly id: number;
  readonly meterId: string;
  readonly kind: MeterKey["kind"];
  readonly clientSap: number | null;
  readonly state: MeterKey["state"];
  readonly envelope: Buffer;
  readonly systemTitle: string | null;
}

const slot = (meterId: string, kind: string, clientSap: number | null) =>
  `${meterId}|${kind}|${clientSap ?? ""}`;

const stored = (row: QueryRow): StoredKey => ({
  id: row["id"],
  meterId: row["meter_id"],
  kind: row["kind"],
  clientSap: row["client_sap"],
  state: row["state"],
  envelope: row["envelope"],
  systemTitle: row["system_title"],
});

/** NEW and ACTIVE keys of some meters, in their envelopes. */
export async function usableKeys(client: Client, meterIds: readonly string[]): Promise<StoredKey[]> {
  const { rows } = await client.query(
    `SELECT id, meter_id, kind, client_sap, state, envelope, system_title FROM meter_keys
      WHERE meter_id = ANY($1) AND state IN ('NEW', 'ACTIVE') ORDER BY id`,
    [meterIds],
  );
  return rows.map(stored);
}

/** Keys that meters had before: nothing new is accepted under them. */
export async function formerKeys(client: Client, meterId: string): Promise<StoredKey[]> {
  const { rows } = await client.query(
    `SELECT id, meter_id, kind, client_sap, state, envelope, system_title FROM meter_keys
      WHERE meter_id = $1 AND state = 'EXPIRED' ORDER BY id`,
    [meterId],
  );
  return rows.map(stored);
}

/** @throws Error where it was sealed with a key-encryption key that is gone */
export const openStoredKey = (ring: KeyRing, key: StoredKey) =>
  ring.open(key.envelope, {
    meterId: key.meterId,
    kind: key.kind,
    keyId: key.id,
    systemTitle: key.systemTitle,
  });

/** The usable keys of some meters, by meter. A key that can't be opened is left out and told to `onUnusable`. */
export async function loadKeys(
  client: Client,
  ring: KeyRing,
  meterIds: readonly string[],
  onUnusable: (error: Error) => void,
): Promise<Map<string, MeterKey[]>> {
  return openKeys(await usableKeys(client, meterIds), ring, onUnusable);
}

/** The same of keys that were read before. */
export function openKeys(
  keys: readonly StoredKey[],
  ring: KeyRing,
  onUnusable: (error: Error) => void,
): Map<string, MeterKey[]> {
  const found = new Map<string, MeterKey[]>();
  for (const key of keys) {
    try {
      const usable = {
        keyId: key.id,
        kind: key.kind,
        clientSap: key.clientSap,
        state: key.state,
        key: openStoredKey(ring, key),
      };
      const list = found.get(key.meterId);
      if (list) list.push(usable);
      else found.set(key.meterId, [usable]);
    } catch (error) {
      onUnusable(error as Error);
    }
  }
  return found;
}

/**
 * Makes `keys` the active ones of their meters. A key that is active already stays; another one is expired, so that its counters
 * and history keep their meaning. Answers how many were new.
 */
export async function storeKeys(client: Client, ring: KeyRing, keys: readonly NewKey[]): Promise<number> {
  if (keys.length === 0) return 0;
  const meterIds = [...new Set(keys.map(({ meterId }) => meterId))];
  const active = new Map(
    (await usableKeys(client, meterIds))
      .filter(({ state }) => state === "ACTIVE")
      .map((key) => [slot(key.meterId, key.kind, key.clientSap), key]),
  );
  const fresh = keys.filter((key) => {
    const current = active.get(slot(key.meterId, key.kind, key.clientSap));
    return !current || !isSame(ring, current, key.secret);
  });
  if (fresh.length === 0) return 0;
  const replaced = fresh.map((key) => active.get(slot(key.meterId, key.kind, key.clientSap)) ?? null);
  const replacedIds = replaced.flatMap((key) => key?.id ?? []);
  await client.query("UPDATE meter_keys SET state = 'EXPIRED' WHERE id = ANY($1)", [replacedIds]);
  const ids = await insertKeys(client, ring, fresh, "ACTIVE");
  // What can't be opened may have been the same key, and the same counter twice under one key would give it away.
  const pairs = replaced.flatMap((key, index) =>
    key === null || isOpen(ring, key) ? [] : [{ former: key.id, fresh: ids[index]! }],
  );
  await continueSentCounters(
    client,
    pairs.map((pair) => pair.former),
    pairs.map((pair) => pair.fresh),
  );
  return fresh.length;
}

/** Seals keys, each in a row of its own; answers the rows' ids in order. `secret`s are wiped. */
export async function insertKeys(
  client: Client,
  ring: KeyRing,
  fresh: readonly NewKey[],
  state: MeterKey["state"],
): Promise<number[]> {
  const meterIds = [...new Set(fresh.map(({ meterId }) => meterId))];
  const { rows: ids } = await client.query(
    "SELECT nextval(pg_get_serial_sequence('meter_keys', 'id')) AS id FROM generate_series(1, $1)",
    [fresh.length],
  );
  const { rows: titles } = await client.query(
    "SELECT id, system_title FROM public.meters WHERE id = ANY($1)",
    [meterIds],
  );
  const titleOf = new Map(titles.map((row) => [row.id as string, row.system_title as string | null]));
  const sealed = fresh.map((key, index) => {
    const keyId = ids[index]!.id as number;
    const systemTitle = titleOf.get(key.meterId) ?? null;
    const { meterId, kind } = key;
    return {
      ...key,
      keyId,
      systemTitle,
      mac: ring.mac(key.secret),
      envelope: ring.seal(key.secret, { meterId, kind, keyId, systemTitle }),
    };
  });
  await client.query(
    `INSERT INTO meter_keys (id, meter_id, kind, client_sap, envelope, mac, system_title, state)
     SELECT *, $8 FROM unnest($1::int[], $2::uuid[], $3::text[], $4::smallint[], $5::bytea[], $6::bytea[], $7::text[])`,
    [
      sealed.map((key) => key.keyId),
      sealed.map((key) => key.meterId),
      sealed.map((key) => key.kind),
      sealed.map((key) => key.clientSap),
      sealed.map((key) => key.envelope),
      sealed.map((key) => key.mac),
      sealed.map((key) => key.systemTitle),
      state,
    ],
  );
  return ids.map((row) => row["id"] as number);
}

/** One that is sealed with a key-encryption key that is gone is replaced. */
const isSame = (ring: KeyRing, current: StoredKey, secret: Buffer): boolean =>
  isOpen(ring, current) && openStoredKey(ring, current).export().equals(secret);

function isOpen(ring: KeyRing, key: StoredKey): boolean {
  try {
    openStoredKey(ring, key);
    return true;
  } catch {
    return false;
  }
}
