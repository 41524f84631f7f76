import type { Database } from "./database.ts";
import type { PolledMeter } from "./poll-tasks.ts";

/** A column of a profile, or an object that is read by itself, with what the meter says of its scaler. */
export interface KnownColumn {
  readonly classId: number;
  readonly code: string;
  readonly attribute: number;
  readonly dataIndex: number;
  /** null: it has none, or the meter doesn't tell. */
  readonly scaler: number | null;
  /** Number of the unit. */
  readonly unit: number | null;
}

/** What is kept of a profile of a meter model. */
export interface KnownProfile {
  readonly columns: readonly KnownColumn[];
  /** 0: captured on an event; null: the meter doesn't tell. */
  readonly capturePeriodSeconds: number | null;
  /** Rows that the buffer can hold; null: the meter doesn't tell. */
  readonly profileEntries: number | null;
  /** Whether rows can be chosen by range of time, by their place only, or not at all. */
  readonly selection: "range" | "entry" | "whole";
}

/** What meters have said of themselves: read once per model, and kept. */
export interface ModelProfiles {
  modelOf(meter: PolledMeter): Promise<number>;
  /** The meter's own where it has one, else its model's. */
  profile(modelId: number, meterId: string, logicalName: string): Promise<KnownProfile | null>;
  /** `meterId` null: of the model. */
  keepProfile(
    modelId: number,
    meterId: string | null,
    logicalName: string,
    profile: KnownProfile,
  ): Promise<void>;
  /** Of the model, and of the meter where it has a profile of its own. */
  keepSelection(
    modelId: number,
    meterId: string,
    logicalName: string,
    selection: KnownProfile["selection"],
  ): Promise<void>;
  scalers(modelId: number): Promise<KnownColumn[]>;
  keepScalers(modelId: number, columns: readonly KnownColumn[]): Promise<void>;
}

export function openModelProfiles(database: Database): ModelProfiles {
  return {
    modelOf: async ({ meterType, manufacturer, model, firmware }) => {
      const parameters = [meterType, manufacturer, model, firmware];
      const find = () =>
        database.query(
          `SELECT id FROM meter_models WHERE meter_type = $1 AND manufacturer IS NOT DISTINCT FROM $2
              AND model IS NOT DISTINCT FROM $3 AND firmware IS NOT DISTINCT FROM $4`,
          parameters,
        );
      const insert = () =>
        database.query(
          `INSERT INTO meter_models (meter_type, manufacturer, model, firmware) VALUES ($1, $2, $3, $4)
           ON CONFLICT DO NOTHING RETURNING id`,
          parameters,
        );
      const [row] = [...(await find()), ...(await insert()), ...(await find())];
      return row!["id"];
    },
    profile: async (modelId, meterId, logicalName) => {
      const [row] = await database.query(
        `SELECT columns, capture_period_seconds AS "capturePeriodSeconds", profile_entries AS "profileEntries", selection
           FROM model_profiles WHERE meter_model_id = $1 AND logical_name = $3 AND (meter_id IS NULL OR meter_id = $2)
          ORDER BY meter_id NULLS LAST LIMIT 1`,
        [modelId, meterId, logicalName],
      );
      return (row as unknown as KnownProfile | undefined) ?? null;
    },
    keepProfile: async (modelId, meterId, logicalName, profile) => {
      await database.query(
        `INSERT INTO model_profiles (meter_model_id, meter_id, logical_name, capture_period_seconds, profile_entries, columns, selection)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (meter_model_id, logical_name, meter_id) DO UPDATE SET capture_period_seconds = excluded.capture_period_seconds,
           profile_entries = excluded.profile_entries, columns = excluded.columns, selection = excluded.selection, read_at = now()`,
        [
          ...[modelId, meterId, logicalName, profile.capturePeriodSeconds, profile.profileEntries],
          ...[JSON.stringify(profile.columns), profile.selection],
        ],
      );
    },
    keepSelection: async (modelId, meterId, logicalName, selection) => {
      await database.query(
        `UPDATE model_profiles SET selection = $4
          WHERE meter_model_id = $1 AND logical_name = $3 AND (meter_id IS NULL OR meter_id = $2)`,
        [modelId, meterId, logicalName, selection],
      );
    },
    scalers: async (modelId) => {
      const rows = await database.query(
        `SELECT class_id AS "classId", logical_name AS code, attribute, 0 AS "dataIndex", scaler, unit
           FROM model_scalers WHERE meter_model_id = $1`,
        [modelId],
      );
      return rows as unknown as KnownColumn[];
    },
    keepScalers: async (modelId, columns) => {
      await database.query(
        `INSERT INTO model_scalers (meter_model_id, class_id, logical_name, attribute, scaler, unit)
         SELECT $1, c."classId", c.code, c.attribute, c.scaler, c.unit
           FROM jsonb_to_recordset($2) AS c("classId" int, code text, attribute smallint, scaler smallint, unit smallint)
         ON CONFLICT (meter_model_id, class_id, logical_name, attribute) DO UPDATE SET scaler = excluded.scaler, unit = excluded.unit,
           read_at = now()`,
        [modelId, JSON.stringify(columns)],
      );
    },
  };
}
