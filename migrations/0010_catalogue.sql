-- What the catalogue in obis/ seeds. A row that a user wrote or changed is `customised`, and a newer catalogue leaves it alone.

CREATE FUNCTION mark_customised() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.customised := coalesce(current_setting('hes.seeding', true), '') <> 'on'
    AND coalesce(to_jsonb(NEW) ->> 'standard', '') <> 'unknown';
  RETURN NEW;
END
$$;

DO $$
DECLARE
  t regclass;
BEGIN
  FOREACH t IN ARRAY ARRAY['obis_codes', 'meter_types', 'event_codes', 'status_bits', 'push_setups',
    'push_objects']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ADD COLUMN customised boolean NOT NULL DEFAULT false', t);
    EXECUTE format('CREATE TRIGGER mark_customised BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION mark_customised()', t);
  END LOOP;
END
$$;

-- SHA-256 of the catalogue that was seeded last.
CREATE TABLE catalogue_seeds (
  checksum text PRIMARY KEY,
  seeded_at timestamptz NOT NULL DEFAULT now()
);
