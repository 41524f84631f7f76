CREATE SEQUENCE push_ids AS bigint;

CREATE TABLE push_history (
  id bigint NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  due_at timestamptz,
  meter_id uuid REFERENCES public.meters,
  kind text NOT NULL,
  verdict text NOT NULL,
  push_schedule_id integer REFERENCES push_schedules,
  push_setup_id integer REFERENCES push_setups,
  push_object_id integer REFERENCES push_objects,
  attempt smallint NOT NULL,
  value_count integer,
  row_count integer,
  octet_count integer,
  invocation_counter bigint,
  key_id integer,
  digest bytea,
  frame_id bigint,
  error text,
  PRIMARY KEY (id, started_at)
) PARTITION BY RANGE (started_at);

CREATE INDEX push_history_meter ON push_history (meter_id, started_at);

CREATE TABLE raw_frames (
  id bigint NOT NULL,
  received_at timestamptz NOT NULL,
  meter_id uuid,
  peer text NOT NULL,
  framing text NOT NULL,
  apdu bytea NOT NULL,
  invocation_counter bigint,
  key_id integer,
  security_control smallint,
  verified boolean NOT NULL,
  PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);


-- Authentic but not understood, or from a meter that isn't known yet. Kept until it is adopted or falls out of its ring.
CREATE TABLE quarantine (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  received_at timestamptz NOT NULL,
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  -- address it came from
  source text NOT NULL,
  -- what a ring is kept by: the system title that it claims, or the address
  identifier text,
  system_title text,
  reason text NOT NULL,
  message text NOT NULL DEFAULT '',
  framing text NOT NULL,
  client_sap integer,
  server_sap integer,
  apdu bytea NOT NULL,
  frame_id bigint,
  state text NOT NULL DEFAULT 'kept' CHECK (state IN ('kept', 'adopted')),
  adopted_at timestamptz
);

CREATE INDEX quarantine_meter ON quarantine (meter_id) WHERE state = 'kept' AND meter_id IS NOT NULL;
CREATE INDEX quarantine_identifier ON quarantine (identifier, id) WHERE state = 'kept';
CREATE INDEX quarantine_unknown ON quarantine (id) WHERE state = 'kept' AND meter_id IS NULL;

-- A second capture of the same instant with other values: the original stays, the other one stands here.
CREATE TABLE reading_conflicts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  table_name text NOT NULL,
  meter_id uuid NOT NULL REFERENCES public.meters ON DELETE CASCADE,
  time timestamptz NOT NULL,
  key jsonb NOT NULL,
  -- the columns that differ
  stored jsonb NOT NULL,
  received jsonb NOT NULL,
  frame_id bigint,
  received_at timestamptz NOT NULL,
  occurrences integer NOT NULL DEFAULT 1,
  fingerprint text GENERATED ALWAYS AS (md5(table_name || key::text || received::text)) STORED UNIQUE
);

CREATE INDEX reading_conflicts_meter ON reading_conflicts (meter_id, time);

-- What was refused, one row a source, reason and minute.
CREATE TABLE security_events (
  minute timestamptz NOT NULL,
  source text NOT NULL,
  reason text NOT NULL,
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  occurrences bigint NOT NULL,
  message text NOT NULL DEFAULT '',
  PRIMARY KEY (minute, source, reason)
);
