-- Runs with search_path = <operational schema>, public. What stands unqualified lives in the operational schema.
-- `-- hypertable` behind a statement: on TimescaleDB the migration leaves PARTITION BY out and makes a hypertable.

CREATE FUNCTION keep_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.created_at := OLD.created_at;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;

-- Daemons reload what they keep in memory: one notification a statement, the schema as payload.
CREATE FUNCTION notify_configuration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('hes_configuration', TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME);
  RETURN NULL;
END
$$;

CREATE TABLE obis_codes (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL CHECK (code ~ '^\d{1,3}(\.\d{1,3}){5}$'),
  attribute smallint NOT NULL DEFAULT 2,
  class_id integer,
  description text NOT NULL DEFAULT '',
  unit text,
  data_type text,
  quantity text,
  phase text,
  tariff smallint,
  destination_table text,
  destination_column text,
  profile_column text,
  -- 'unknown' where a meter sent a code that no list names
  standard text NOT NULL DEFAULT 'unknown',
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (code, attribute)
);

CREATE TABLE meter_types (
  name text PRIMARY KEY,
  category text NOT NULL,
  description text NOT NULL DEFAULT '',
  -- capture period of the block load profile; null: 1,800
  interval_seconds integer CHECK (interval_seconds > 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- 10^scaler and unit of what a meter type sends as bare integers. Without a row the push waits in quarantine.
CREATE TABLE meter_type_scalers (
  meter_type text NOT NULL REFERENCES meter_types ON UPDATE CASCADE ON DELETE CASCADE,
  obis_code text NOT NULL,
  attribute smallint NOT NULL DEFAULT 2,
  scaler smallint NOT NULL CHECK (scaler BETWEEN -128 AND 127),
  unit text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (meter_type, obis_code, attribute)
);

CREATE TABLE event_codes (
  -- '': every category
  category text NOT NULL DEFAULT '',
  -- '*': every log of the category
  log text NOT NULL,
  code integer NOT NULL,
  name text NOT NULL,
  severity text NOT NULL DEFAULT 'info',
  clears_code integer,
  description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (category, log, code)
);

-- Bits of event status words (numbered as they come on the wire) and of alarm registers (0 is the least significant).
CREATE TABLE status_bits (
  category text NOT NULL DEFAULT '',
  obis_code text NOT NULL,
  bit smallint NOT NULL,
  name text NOT NULL,
  severity text NOT NULL DEFAULT 'info',
  numbering text NOT NULL DEFAULT 'wire' CHECK (numbering IN ('wire', 'significance')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (category, obis_code, bit)
);
