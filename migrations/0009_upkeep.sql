-- How wide partitions (chunks) are, and how long they are kept; null: for ever. Rows may be changed while the daemon runs.
CREATE TABLE storage_policies (
  table_name text PRIMARY KEY,
  partition_days integer NOT NULL CHECK (partition_days > 0),
  retention_days integer CHECK (retention_days > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO storage_policies (table_name, partition_days, retention_days) VALUES
  ('energy_measurements', 7, NULL),
  ('power_readings', 7, NULL),
  ('voltage_measurements', 7, NULL),
  ('current_measurements', 7, NULL),
  ('meter_readings', 7, NULL),
  ('instant_profile', 7, NULL),
  ('block_load_profile', 7, NULL),
  ('push_history', 7, 400),
  ('raw_frames', 7, 90);

DO $$
DECLARE
  t regclass;
BEGIN
  FOREACH t IN ARRAY ARRAY['obis_codes', 'meter_types', 'meter_type_scalers', 'event_codes', 'status_bits', 'meters',
    'meter_associations', 'meter_keys', 'push_schedules', 'push_setups', 'push_objects', 'push_object_entries',
    'schedule_entries', 'alert_rules', 'alerts', 'storage_policies']::regclass[]
  LOOP
    EXECUTE format('CREATE TRIGGER keep_updated_at BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION keep_updated_at()', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['obis_codes', 'meter_types', 'meter_type_scalers', 'event_codes', 'status_bits', 'push_setups',
    'push_objects', 'push_object_entries', 'alert_rules']::regclass[]
  LOOP
    EXECUTE format('CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s EXECUTE FUNCTION notify_configuration()', t);
  END LOOP;
END
$$;
