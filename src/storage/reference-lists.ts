import type { Database } from "./database.ts";

/* What users look at of the reference data and keys. */

export interface ListedObisCode {
  readonly code: string;
  readonly attribute: number;
  readonly classId: number | null;
  readonly description: string;
  readonly unit: string | null;
  /** `table.column`, or meter_readings where the object has no column. */
  readonly storedIn: string;
  readonly standard: string;
}

export interface ObisCodeFilter {
  /** Only codes that a meter sent and no list names. */
  readonly unknown?: boolean;
  /** Part of code or description. */
  readonly search?: string;
}

export async function listObisCodes(
  database: Database,
  filter: ObisCodeFilter = {},
): Promise<ListedObisCode[]> {
  const rows = await database.query(
    `SELECT code, attribute, class_id, description, unit, standard,
            coalesce(destination_table || '.' || destination_column, profile_column, 'meter_readings') AS stored_in
       FROM obis_codes
      WHERE ($1::boolean IS NOT TRUE OR standard = 'unknown')
        AND ($2::text IS NULL OR concat_ws(' ', code, description) ILIKE '%' || $2 || '%')
      ORDER BY string_to_array(code, '.')::int[], attribute`,
    [filter.unknown ?? null, filter.search ?? null],
  );
  return rows.map((row) => ({
    code: row["code"],
    attribute: row["attribute"],
    classId: row["class_id"],
    description: row["description"],
    unit: row["unit"],
    storedIn: row["stored_in"],
    standard: row["standard"],
  }));
}

export interface ListedMeterType {
  readonly name: string;
  readonly category: string;
  readonly description: string;
  readonly meters: number;
  readonly scalers: number;
}

export async function listMeterTypes(database: Database): Promise<ListedMeterType[]> {
  const rows = await database.query(
    `SELECT t.name, t.category, t.description,
            (SELECT count(*) FROM public.meters m WHERE m.meter_type = t.name) AS meters,
            (SELECT count(*) FROM meter_type_scalers s WHERE s.meter_type = t.name) AS scalers
       FROM meter_types t ORDER BY t.name`,
  );
  return rows as ListedMeterType[];
}

export interface ListedScaler {
  readonly meterType: string;
  readonly obis: string;
  readonly attribute: number;
  readonly scaler: number;
  readonly unit: string | null;
  readonly description: string | null;
}

export async function listScalers(database: Database, meterType: string): Promise<ListedScaler[]> {
  const rows = await database.query(
    `SELECT s.meter_type, s.obis_code, s.attribute, s.scaler, coalesce(s.unit, o.unit) AS unit, o.description
       FROM meter_type_scalers s LEFT JOIN obis_codes o ON o.code = s.obis_code AND o.attribute = s.attribute
      WHERE s.meter_type = $1 ORDER BY string_to_array(s.obis_code, '.')::int[], s.attribute`,
    [meterType],
  );
  return rows.map((row) => ({
    meterType: row["meter_type"],
    obis: row["obis_code"],
    attribute: row["attribute"],
    scaler: row["scaler"],
    unit: row["unit"],
    description: row["description"],
  }));
}

/** A key by everything but itself. */
export interface ListedKey {
  readonly meterNumber: string;
  readonly kind: string;
  /** null: every association of the meter. */
  readonly clientSap: number | null;
  readonly state: string;
  readonly keyId: number;
  readonly systemTitle: string | null;
  /** Highest counter accepted under it. */
  readonly counter: number | null;
  /** How many other meters have the same key. */
  readonly sharedWith: number;
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number;
}

export async function listKeys(database: Database, meterNumber: string | null): Promise<ListedKey[]> {
  const rows = await database.query(
    `SELECT m.meter_number, k.kind, k.client_sap, k.state, k.id, k.system_title, k.created_at,
            (SELECT max(c.counter) FROM invocation_counters c WHERE c.key_id = k.id) AS counter,
            CASE WHEN k.state IN ('NEW', 'ACTIVE') AND k.kind <> 'gbek' THEN
              (SELECT count(DISTINCT o.meter_id) FROM meter_keys o
                WHERE o.mac = k.mac AND o.state IN ('NEW', 'ACTIVE') AND o.kind <> 'gbek' AND o.meter_id <> k.meter_id)
            ELSE 0 END AS shared_with
       FROM meter_keys k JOIN public.meters m ON m.id = k.meter_id
      WHERE $1::text IS NULL OR m.meter_number = $1
      ORDER BY m.meter_number, k.client_sap NULLS FIRST, k.kind, k.id`,
    [meterNumber],
  );
  return rows.map((row) => ({
    meterNumber: row["meter_number"],
    kind: row["kind"],
    clientSap: row["client_sap"],
    state: row["state"],
    keyId: row["id"],
    systemTitle: row["system_title"],
    counter: row["counter"],
    sharedWith: row["shared_with"],
    createdAt: row["created_at"],
  }));
}

/** Interface classes of codes, where the catalogue names one. */
export async function classesOfCodes(
  database: Database,
  codes: readonly string[],
): Promise<Map<string, number>> {
  const rows = await database.query(
    "SELECT code, min(class_id) AS class_id FROM obis_codes WHERE code = ANY($1) AND class_id IS NOT NULL GROUP BY code",
    [codes],
  );
  return new Map(rows.map((row) => [row["code"] as string, row["class_id"] as number]));
}
