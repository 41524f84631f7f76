-- What is kept how long, of every table that grows. The daemon writes retention.* and database.* of its configuration into these rows when
-- it starts, and works by them. partition_days is null where a table isn't partitioned.
UPDATE storage_policies SET retention_days = 8
 WHERE table_name IN ('energy_measurements', 'voltage_measurements') AND retention_days < 8;

ALTER TABLE storage_policies
  ALTER COLUMN partition_days DROP NOT NULL,
  -- TimescaleDB: older chunks go to the columnstore
  ADD COLUMN compress_after_days integer CHECK (compress_after_days > 0),
  -- rows from before this instant may have been dropped at any time, so that what is made of them must not be made again
  ADD COLUMN dropped_before timestamptz,
  -- the daily load profile is made of these two: its last days are looked at again and again
  ADD CONSTRAINT storage_policies_days CHECK (
    table_name NOT IN ('energy_measurements', 'voltage_measurements') OR retention_days IS NULL OR retention_days >= 8);

UPDATE storage_policies SET compress_after_days = 14 WHERE table_name NOT IN ('push_history', 'raw_frames');

INSERT INTO storage_policies (table_name, retention_days) VALUES
  ('billing_profile', NULL),
  ('daily_load_profile', NULL),
  ('meter_events', NULL),
  ('quarantine', 90),
  ('reading_conflicts', 400),
  ('event_logs', 400),
  ('alerts', 400),
  ('security_events', 400);

CREATE INDEX quarantine_received_at ON quarantine (received_at);
CREATE INDEX reading_conflicts_received_at ON reading_conflicts (received_at);
-- Few rows a meter, which come in order: a BRIN index finds what has expired and costs nothing.
CREATE INDEX billing_profile_time ON billing_profile USING brin (time);

-- Days whose raw rows are gone when daily_load_profile is made anew: by TimescaleDB's adoption, or in another time zone.
CREATE TABLE IF NOT EXISTS daily_load_history (
  day date NOT NULL,
  meter_id uuid NOT NULL REFERENCES public.meters,
  opening_import_wh double precision,
  closing_import_wh double precision,
  opening_export_wh double precision,
  closing_export_wh double precision,
  consumption_wh double precision,
  export_wh double precision,
  consumption_from text,
  block_sum_import_wh double precision,
  block_sum_export_wh double precision,
  blocks_present integer,
  blocks_expected integer,
  difference_wh double precision,
  max_demand_w double precision,
  max_demand_at timestamptz,
  min_voltage_v double precision,
  max_voltage_v double precision,
  PRIMARY KEY (meter_id, day)
);

DO $$
BEGIN
  IF (SELECT relkind FROM pg_class WHERE oid = 'daily_load_profile'::regclass) = 'r' THEN
    CREATE INDEX daily_load_profile_day ON daily_load_profile (day);
  END IF;
END
$$;
