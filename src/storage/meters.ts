import type { KeyRing } from "../keys/key-ring.ts";
import type { Client, Database, QueryRow } from "./database.ts";
import { CERTIFICATES, signatureKeysOf } from "./meter-certificates.ts";
import { openKeys, type StoredKey, usableKeys } from "./meter-keys.ts";
import type { MeterRecord } from "./meter-record.ts";

const COLUMNS = `m.id, m.meter_number, m.meter_type, coalesce(m.category, t.category) AS category, m.manufacturer, m.model,
  m.logical_device_name, m.system_title, m.framing, m.host, m.required_protection, m.security_suite,
  m.counter_may_stand_still, m.deviation_sign, m.time_zone`;
const FROM = "FROM public.meters m JOIN meter_types t ON t.name = m.meter_type";

export type MeterLookup = "system_title" | "identifier" | "host" | "id";

const CONDITIONS: Record<MeterLookup, string> = {
  system_title: "m.system_title = ANY($1)",
  identifier: "(m.meter_number = ANY($1) OR m.logical_device_name = ANY($1))",
  host: "m.host = ANY($1)",
  id: "m.id = ANY($1::uuid[])",
};

/** A meter as its rows say, with the envelopes of its keys: nothing in it is secret without the key-encryption key. */
export interface StoredMeter {
  /** Without its keys. */
  readonly meter: Omit<MeterRecord, "keys" | "signatureKeys">;
  readonly keys: readonly StoredKey[];
  /** DER, of certificates that were valid when it was read. */
  readonly certificates: readonly Buffer[];
}

/** Active meters that match any of `values`, with their keys. */
export async function findMeters(
  client: Client,
  ring: KeyRing,
  by: MeterLookup,
  values: readonly string[],
  onUnusableKey: (error: Error) => void = () => undefined,
): Promise<MeterRecord[]> {
  const found = await findStoredMeters(client, by, values);
  return found.map((stored) => openMeter(stored, ring, onUnusableKey));
}

/** The same with the keys in their envelopes. */
export function findStoredMeters(
  client: Client,
  by: MeterLookup,
  values: readonly string[],
): Promise<StoredMeter[]> {
  return storedMeters(client, CONDITIONS[by], "", values);
}

/** All active meters, a page at a time, by id: those behind `after`; null: from the first. */
export function pageOfMeters(database: Database, after: string | null, max: number): Promise<StoredMeter[]> {
  return database.withClient((client) =>
    storedMeters(client, "($1::uuid IS NULL OR m.id > $1)", `ORDER BY m.id LIMIT ${max}`, after),
  );
}

async function storedMeters(
  client: Client,
  condition: string,
  rest: string,
  parameter: unknown,
): Promise<StoredMeter[]> {
  const { rows } = await client.query(
    `SELECT ${COLUMNS}, ${CERTIFICATES} AS certificates ${FROM} WHERE ${condition} AND m.status = 'active' ${rest}`,
    [parameter],
  );
  if (rows.length === 0) return [];
  const keys = new Map<string, StoredKey[]>(rows.map((row) => [row.id as string, []]));
  for (const key of await usableKeys(client, [...keys.keys()])) keys.get(key.meterId)!.push(key);
  return rows.map((row) => ({
    meter: meterRow(row),
    keys: keys.get(row["id"])!,
    certificates: row["certificates"],
  }));
}

/** A key that can't be opened is left out and told to `onUnusableKey`. */
export function openMeter(
  { meter, keys, certificates }: StoredMeter,
  ring: KeyRing,
  onUnusableKey: (error: Error) => void,
): MeterRecord {
  const record = { ...meter, keys: openKeys(keys, ring, onUnusableKey).get(meter.id) ?? [] };
  return certificates.length === 0 ? record : { ...record, signatureKeys: signatureKeysOf(certificates) };
}

function meterRow(row: QueryRow): StoredMeter["meter"] {
  return {
    id: row["id"],
    meterNumber: row["meter_number"],
    meterType: row["meter_type"],
    category: row["category"],
    manufacturer: row["manufacturer"],
    model: row["model"],
    logicalDeviceName: row["logical_device_name"],
    systemTitle: row["system_title"],
    framing: row["framing"],
    host: row["host"],
    requiredProtection: row["required_protection"],
    securitySuite: row["security_suite"],
    counterMayStandStill: row["counter_may_stand_still"],
    deviationSign: row["deviation_sign"],
    timeZone: row["time_zone"],
  };
}

/** A meter as people look at it; keys only by kind and state. */
export interface MeterSummary {
  readonly id: string;
  readonly meterNumber: string;
  readonly meterType: string;
  readonly category: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly firmware: string | null;
  readonly logicalDeviceName: string | null;
  readonly systemTitle: string | null;
  readonly mode: string;
  readonly framing: string;
  readonly host: string | null;
  readonly port: number | null;
  readonly serverSap: number | null;
  readonly requiredProtection: number;
  readonly securitySuite: number;
  readonly counterMayStandStill: boolean;
  readonly deviationSign: string;
  readonly timeZone: string | null;
  readonly group: string | null;
  readonly status: string;
  /** Milliseconds since 1970 UTC; null: never. */
  readonly lastSeenAt: number | null;
  readonly keys: readonly { keyId: number; kind: string; clientSap: number | null; state: string }[];
}

export interface MeterFilter {
  /** Part of the number, the name, the title or the maker. */
  readonly search?: string;
  readonly meterType?: string;
  readonly group?: string;
  readonly limit?: number;
  /** Only meters whose number sorts behind this one: the last of the page before. */
  readonly after?: string;
}

const SUMMARY = `SELECT ${COLUMNS}, m.firmware, m.mode, m.port, m.server_sap, m.meter_group, m.status, m.last_seen_at,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('keyId', k.id, 'kind', k.kind, 'clientSap', k.client_sap, 'state', k.state)
     ORDER BY k.id), '[]') FROM meter_keys k WHERE k.meter_id = m.id) AS keys ${FROM}`;

/** Sorted by number, 1,000 at most unless told otherwise. */
export async function listMeters(database: Database, filter: MeterFilter = {}): Promise<MeterSummary[]> {
  const rows = await database.query(
    `${SUMMARY}
      WHERE ($1::text IS NULL OR concat_ws(' ', m.meter_number, m.logical_device_name, m.system_title, m.manufacturer)
               ILIKE '%' || replace(replace($1, '%', '\\%'), '_', '\\_') || '%')
        AND ($2::text IS NULL OR m.meter_type = $2) AND ($3::text IS NULL OR m.meter_group = $3)
        AND ($4::text IS NULL OR m.meter_number > $4)
      ORDER BY m.meter_number LIMIT $5`,
    [
      filter.search ?? null,
      filter.meterType ?? null,
      filter.group ?? null,
      filter.after ?? null,
      filter.limit ?? 1_000,
    ],
  );
  return rows.map(summary);
}

/** By number, id, system title or logical device name. */
export async function showMeter(database: Database, name: string): Promise<MeterSummary | null> {
  const [row] = await database.query(
    `${SUMMARY} WHERE m.meter_number = $1 OR m.id::text = $1 OR m.system_title = lower($1) OR m.logical_device_name = $1
      ORDER BY m.meter_number = $1 DESC LIMIT 1`,
    [name],
  );
  return row ? summary(row) : null;
}

function summary(row: QueryRow): MeterSummary {
  return {
    ...meterRow(row),
    firmware: row["firmware"],
    mode: row["mode"],
    port: row["port"],
    serverSap: row["server_sap"],
    group: row["meter_group"],
    status: row["status"],
    lastSeenAt: row["last_seen_at"],
    keys: row["keys"],
  };
}

/** Writes when meters were last heard of; the caller collects, so that a push costs no update of its own. */
export async function recordSeen(database: Database, seen: ReadonlyMap<string, number>): Promise<void> {
  if (seen.size === 0) return;
  // Sorted, so that two daemons lock the rows in the same order.
  const ids = [...seen.keys()].sort();
  await database.query(
    `UPDATE public.meters m SET last_seen_at = greatest(m.last_seen_at, to_timestamp(s.at / 1000.0))
       FROM unnest($1::uuid[], $2::float8[]) AS s(id, at) WHERE m.id = s.id`,
    [ids, ids.map((id) => seen.get(id))],
  );
}
