import type {
  ConfiguredActionSchedule,
  ConfiguredList,
  ConfiguredPushSetup,
  PushConfiguration,
} from "../commands/push-configuration.ts";
import type { Database, QueryRow } from "./database.ts";

/** A meter as its configuration is chosen for it. */
export interface ScopeOfMeter {
  readonly id: string;
  readonly meterType: string;
  readonly category: string;
  readonly group: string | null;
}

/** Rows without a meter, type or category are for all; `x` is the table's alias. */
const FOR_METER = (x: string) =>
  `(${x}.meter_id IS NULL OR ${x}.meter_id = $1::uuid) AND (${x}.meter_type IS NULL OR ${x}.meter_type = $2)
   AND (${x}.category IS NULL OR ${x}.category = $3)`;

/** The row that is meant most closely comes first: for the meter, for its type, for its category, for all. */
const CLOSENESS = (meter: string, type: string, category: string) =>
  `CASE WHEN ${meter} IS NOT NULL THEN 3 WHEN ${type} IS NOT NULL THEN 2 WHEN ${category} IS NOT NULL THEN 1 ELSE 0 END`;

/** What a meter's pushes are meant to be. Setups without a destination only explain what is pushed and are left out. */
export async function loadPushConfiguration(
  database: Database,
  meter: ScopeOfMeter,
): Promise<PushConfiguration> {
  const scope = [meter.id, meter.meterType, meter.category];
  const setups = await database.query(
    `SELECT DISTINCT ON (s.logical_name) s.id, s.name, s.logical_name, s.transport_service, s.destination, s.message_type,
            s.communication_windows, s.randomisation_start_interval_seconds, s.number_of_retries, s.repetition_delay_seconds,
            coalesce(s.standard, (SELECT k.standard FROM push_setups k WHERE k.logical_name = s.logical_name AND k.category = $3
                                   AND k.standard IS NOT NULL LIMIT 1)) AS standard
       FROM push_setups s WHERE s.enabled AND s.destination IS NOT NULL AND ${FOR_METER("s")}
      ORDER BY s.logical_name, ${CLOSENESS("s.meter_id", "s.meter_type", "s.category")} DESC, s.id`,
    scope,
  );
  return {
    setups: await Promise.all(setups.map(async (row) => setupOf(row, await listsOf(database, scope, row)))),
    schedules: await schedulesOf(database, meter),
  };
}

function setupOf(row: QueryRow, lists: readonly ConfiguredList[]): ConfiguredPushSetup {
  const windows = row["communication_windows"] as { start: string; end: string }[];
  return {
    id: row["id"],
    name: row["name"],
    logicalName: row["logical_name"],
    standard: row["standard"],
    transportService: row["transport_service"],
    destination: row["destination"],
    messageType: row["message_type"],
    communicationWindows: windows.length === 0 ? null : windows,
    randomisationStartIntervalSeconds: row["randomisation_start_interval_seconds"],
    numberOfRetries: row["number_of_retries"],
    repetitionDelaySeconds: row["repetition_delay_seconds"],
    lists,
  };
}

/** The lists of the setup itself where it has any, else those of other setups of its logical name that are meant most closely. */
async function listsOf(
  database: Database,
  scope: readonly unknown[],
  setup: QueryRow,
): Promise<ConfiguredList[]> {
  const rows = await database.query(
    `WITH candidates AS (
       SELECT o.id, o.name, CASE WHEN o.push_setup_id = $4 THEN 9 ELSE
              ${CLOSENESS("coalesce(o.meter_id, s.meter_id)", "coalesce(o.meter_type, s.meter_type)", "coalesce(o.category, s.category)")} END AS rank
         FROM push_objects o JOIN push_setups s ON s.id = o.push_setup_id
        WHERE o.enabled AND o.kind = 'push' AND s.enabled AND s.logical_name = $5 AND ${FOR_METER("o")} AND ${FOR_METER("s")})
     SELECT c.name, coalesce(json_agg(json_build_object('classId', e.class_id, 'logicalName', e.logical_name, 'attribute', e.attribute,
              'dataIndex', e.data_index, 'restriction', encode(e.restriction, 'hex')) ORDER BY e.position)
              FILTER (WHERE e.position IS NOT NULL), '[]') AS entries
       FROM candidates c LEFT JOIN push_object_entries e ON e.push_object_id = c.id
      WHERE c.rank = (SELECT max(rank) FROM candidates) GROUP BY c.id, c.name ORDER BY c.id`,
    [...scope, setup["id"], setup["logical_name"]],
  );
  return rows.map((row) => ({
    name: row["name"],
    entries: (
      row["entries"] as (Omit<ConfiguredList["entries"][number], "restriction"> & {
        restriction: string | null;
      })[]
    ).map((entry) => ({
      ...entry,
      restriction: entry.restriction === null ? null : Buffer.from(entry.restriction, "hex"),
    })),
  }));
}

/** Of several entries for one schedule object of the meter, the one that is meant most closely. */
async function schedulesOf(database: Database, meter: ScopeOfMeter): Promise<ConfiguredActionSchedule[]> {
  const rows = await database.query(
    `SELECT DISTINCT ON (p.action_schedule) p.name, p.action_schedule, s.logical_name, e.execution_times
       FROM push_schedules p JOIN schedule_entries e ON e.push_schedule_id = p.id JOIN push_setups s ON s.id = e.push_setup_id
      WHERE p.enabled AND e.enabled AND p.kind = 'push' AND p.action_schedule IS NOT NULL AND jsonb_array_length(e.execution_times) > 0
        AND (e.meter_id IS NULL OR e.meter_id = $1::uuid) AND (e.meter_type IS NULL OR e.meter_type = $2)
        AND (e.meter_group IS NULL OR e.meter_group = $3)
      ORDER BY p.action_schedule, CASE WHEN e.meter_id IS NOT NULL THEN 3 WHEN e.meter_group IS NOT NULL THEN 2
        WHEN e.meter_type IS NOT NULL THEN 1 ELSE 0 END DESC, e.id`,
    [meter.id, meter.meterType, meter.group],
  );
  return rows.map((row) => ({
    name: row["name"],
    logicalName: row["action_schedule"],
    pushSetup: row["logical_name"],
    executionTimes: row["execution_times"],
  }));
}

/** A push setup as people look at it. */
export interface PushSetupSummary {
  readonly id: number;
  readonly name: string;
  readonly logicalName: string;
  /** "meter 4711", "type D1-GIN", "category D1", "all" */
  readonly scope: string;
  readonly standard: string | null;
  readonly transportService: string | null;
  readonly destination: string | null;
  readonly messageType: string | null;
  readonly communicationWindows: readonly unknown[];
  readonly randomisationStartIntervalSeconds: number | null;
  readonly numberOfRetries: number | null;
  readonly repetitionDelaySeconds: number | null;
  readonly enabled: boolean;
  readonly lists: readonly {
    readonly name: string;
    readonly kind: string;
    readonly enabled: boolean;
    readonly entries: readonly string[];
  }[];
}

/** By logical name. `id`, else all. */
export async function listPushSetups(
  database: Database,
  id: number | null = null,
): Promise<PushSetupSummary[]> {
  const rows = await database.query(
    `SELECT s.*, m.meter_number,
            coalesce((SELECT json_agg(json_build_object('name', o.name, 'kind', o.profile_kind, 'enabled', o.enabled, 'entries',
              coalesce((SELECT json_agg(e.class_id || '/' || e.logical_name || '/' || e.attribute ORDER BY e.position)
                          FROM push_object_entries e WHERE e.push_object_id = o.id), '[]')) ORDER BY o.id)
              FROM push_objects o WHERE o.push_setup_id = s.id), '[]') AS lists
       FROM push_setups s LEFT JOIN public.meters m ON m.id = s.meter_id
      WHERE $1::int IS NULL OR s.id = $1
      ORDER BY string_to_array(s.logical_name, '.')::int[], s.category NULLS FIRST, s.meter_type NULLS FIRST, s.id`,
    [id],
  );
  return rows.map((row) => ({
    id: row["id"],
    name: row["name"],
    logicalName: row["logical_name"],
    scope: scopeText(row),
    standard: row["standard"],
    transportService: row["transport_service"],
    destination: row["destination"],
    messageType: row["message_type"],
    communicationWindows: row["communication_windows"],
    randomisationStartIntervalSeconds: row["randomisation_start_interval_seconds"],
    numberOfRetries: row["number_of_retries"],
    repetitionDelaySeconds: row["repetition_delay_seconds"],
    enabled: row["enabled"],
    lists: row["lists"],
  }));
}

function scopeText(row: QueryRow): string {
  if (row["meter_number"] !== null) return `meter ${row["meter_number"]}`;
  if (row["meter_type"] !== null) return `type ${row["meter_type"]}`;
  return row["category"] === null ? "all" : `category ${row["category"]}`;
}
