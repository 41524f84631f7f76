/** How many days each table that grows is kept unless the configuration says otherwise; 0: for ever. */
export const DEFAULT_RETENTION_DAYS = {
  energy_measurements: 0,
  power_readings: 0,
  voltage_measurements: 0,
  current_measurements: 0,
  meter_readings: 0,
  instant_profile: 0,
  block_load_profile: 0,
  billing_profile: 0,
  daily_load_profile: 0,
  meter_events: 0,
  push_history: 400,
  raw_frames: 90,
  quarantine: 90,
  reading_conflicts: 400,
  event_logs: 400,
  alerts: 400,
  security_events: 400,
  schedule_firings: 400,
  capture_gaps: 400,
  meter_commands: 400,
};

export type RetainedTable = keyof typeof DEFAULT_RETENTION_DAYS;

/**
 * The daily load profile is made of these two, and TimescaleDB refreshes its last four days again and again: over days whose rows were
 * dropped a refresh would erase what is there. 8 is a chunk of a week and a day.
 */
export const DAILY_SOURCE_DAYS_MIN = 8;
export const DAILY_SOURCES: readonly string[] = ["energy_measurements", "voltage_measurements"];
