import type { Database } from "./database.ts";

/** For one meter, a meter type, a category, or, where all are null, for all. */
export interface PushSetupScope {
  readonly meterId: string | null;
  readonly meterType: string | null;
  readonly category: string | null;
}

/** Columns of `push_setups`; what is undefined stays as it is. */
export interface PushSetupChange {
  readonly name?: string;
  readonly destination?: string;
  readonly transportService?: string;
  readonly messageType?: string;
  readonly randomisationStartIntervalSeconds?: number;
  readonly numberOfRetries?: number;
  readonly repetitionDelaySeconds?: number;
  readonly enabled?: boolean;
}

/** Adds the push setup of a scope or changes it. @returns its id, and whether it is new */
export async function savePushSetup(
  database: Database,
  logicalName: string,
  scope: PushSetupScope,
  change: PushSetupChange,
): Promise<{ readonly id: number; readonly isNew: boolean }> {
  const [row] = await database.query(
    `INSERT INTO push_setups AS s (logical_name, meter_id, meter_type, category, name, destination, transport_service, message_type,
       randomisation_start_interval_seconds, number_of_retries, repetition_delay_seconds, enabled)
     VALUES ($1, $2, $3, $4, coalesce($5, $1), $6, $7, $8, $9, $10, $11, coalesce($12, true))
     ON CONFLICT (logical_name, coalesce(category, ''), coalesce(meter_type, ''), coalesce(meter_id::text, '')) DO UPDATE SET
       name = coalesce($5, s.name), destination = coalesce($6, s.destination), transport_service = coalesce($7, s.transport_service),
       message_type = coalesce($8, s.message_type),
       randomisation_start_interval_seconds = coalesce($9, s.randomisation_start_interval_seconds),
       number_of_retries = coalesce($10, s.number_of_retries), repetition_delay_seconds = coalesce($11, s.repetition_delay_seconds),
       enabled = coalesce($12, s.enabled)
     RETURNING id, xmax = 0 AS is_new`,
    [
      ...[logicalName, scope.meterId, scope.meterType, scope.category, change.name, change.destination],
      ...[change.transportService, change.messageType, change.randomisationStartIntervalSeconds],
      ...[change.numberOfRetries, change.repetitionDelaySeconds, change.enabled],
    ].map((value) => value ?? null),
  );
  return { id: row!["id"], isNew: row!["is_new"] };
}

/** For which meters a single action schedule is meant; where all are null, for all. */
export interface ActionScheduleScope {
  readonly meterId: string | null;
  readonly meterType: string | null;
  readonly group: string | null;
}

/**
 * Says at which times the single action schedule `actionSchedule` of the meters in a scope triggers a push setup, in place of what was said
 * before. @returns false where there is no such push setup in the table
 */
export function saveActionSchedule(
  database: Database,
  actionSchedule: string,
  pushSetup: string,
  scope: ActionScheduleScope,
  executionTimes: readonly string[],
): Promise<boolean> {
  return database.transaction(async (client) => {
    const setup = await client.query(
      `SELECT id FROM push_setups WHERE logical_name = $1
        ORDER BY (destination IS NOT NULL) DESC, (meter_id = $2::uuid) DESC NULLS LAST, (meter_type = $3) DESC NULLS LAST, id LIMIT 1`,
      [pushSetup, scope.meterId, scope.meterType],
    );
    if (setup.rows.length === 0) return false;
    const schedule = await client.query(
      `INSERT INTO push_schedules (name, kind, action_schedule) VALUES ($1, 'push', $2)
       ON CONFLICT (name) DO UPDATE SET kind = 'push', action_schedule = excluded.action_schedule RETURNING id`,
      [`${actionSchedule} of meters`, actionSchedule],
    );
    const entry = [schedule.rows[0].id, scope.meterId, scope.meterType, scope.group];
    await client.query(
      `DELETE FROM schedule_entries WHERE push_schedule_id = $1 AND meter_id IS NOT DISTINCT FROM $2::uuid
         AND meter_type IS NOT DISTINCT FROM $3 AND meter_group IS NOT DISTINCT FROM $4`,
      entry,
    );
    await client.query(
      `INSERT INTO schedule_entries (push_schedule_id, meter_id, meter_type, meter_group, push_setup_id, execution_times)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [...entry, setup.rows[0].id, JSON.stringify(executionTimes)],
    );
    return true;
  });
}
