-- When: a cron expression of ours, or a single action schedule inside the meter.
CREATE TABLE push_schedules (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  -- poll: the head-end reads; push: the meter sends by itself
  kind text NOT NULL CHECK (kind IN ('poll', 'push')),
  cron text,
  time_zone text,
  window_seconds integer CHECK (window_seconds > 0),
  -- meter-side: logical name of the single action schedule that holds the execution times
  action_schedule text,
  overdue_after_seconds integer CHECK (overdue_after_seconds > 0),
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- What a Push setup object (class 40) holds, and whom it is for: a category, a meter type or one meter.
CREATE TABLE push_setups (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  logical_name text NOT NULL CHECK (logical_name ~ '^\d{1,3}(\.\d{1,3}){5}$'),
  standard text,
  category text,
  meter_type text REFERENCES meter_types ON UPDATE CASCADE ON DELETE CASCADE,
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  transport_service text,
  destination text,
  message_type text,
  communication_windows jsonb NOT NULL DEFAULT '[]',
  randomisation_start_interval_seconds integer,
  number_of_retries smallint,
  repetition_delay_seconds integer,
  security_suite smallint,
  security_policy smallint,
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX push_setups_scope ON push_setups
  (logical_name, coalesce(category, ''), coalesce(meter_type, ''), coalesce(meter_id::text, ''));

-- A named list that a push carries or a poll reads.
CREATE TABLE push_objects (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  push_setup_id integer REFERENCES push_setups ON DELETE CASCADE,
  -- what a row of it is stored as: instant, block, daily, billing, event, single
  profile_kind text NOT NULL DEFAULT 'single',
  standard text,
  category text,
  meter_type text REFERENCES meter_types ON UPDATE CASCADE ON DELETE CASCADE,
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX push_objects_scope ON push_objects
  (name, coalesce(push_setup_id, 0), coalesce(category, ''), coalesce(meter_type, ''), coalesce(meter_id::text, ''));

CREATE TABLE push_object_entries (
  push_object_id integer NOT NULL REFERENCES push_objects ON DELETE CASCADE,
  position smallint NOT NULL,
  class_id integer NOT NULL,
  logical_name text NOT NULL,
  attribute smallint NOT NULL,
  data_index smallint NOT NULL DEFAULT 0,
  -- A-XDR octets of the restriction element, where there is one
  restriction bytea,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (push_object_id, position)
);

-- Which meters do what within a schedule, and, for meter-side schedules, the execution times to write.
CREATE TABLE schedule_entries (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  push_schedule_id integer NOT NULL REFERENCES push_schedules ON DELETE CASCADE,
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  meter_group text,
  meter_type text REFERENCES meter_types ON UPDATE CASCADE ON DELETE CASCADE,
  push_setup_id integer REFERENCES push_setups ON DELETE CASCADE,
  push_object_id integer REFERENCES push_objects ON DELETE CASCADE,
  execution_times jsonb NOT NULL DEFAULT '[]',
  priority smallint NOT NULL DEFAULT 0,
  retry_max smallint NOT NULL DEFAULT 3,
  retry_delay_seconds integer NOT NULL DEFAULT 60,
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX schedule_entries_schedule ON schedule_entries (push_schedule_id);
