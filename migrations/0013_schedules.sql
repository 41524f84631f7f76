-- What schedules fire, and the polls that wait to be made.

ALTER TABLE push_schedules
  -- runs that passed while nobody fired them: the latest stands for all, each is made up for, or they are left out
  ADD COLUMN missed_runs text NOT NULL DEFAULT 'collapse' CHECK (missed_runs IN ('collapse', 'all', 'skip')),
  -- the polls of a run begin spread over so much time
  ADD COLUMN spread_seconds integer NOT NULL DEFAULT 60 CHECK (spread_seconds BETWEEN 0 AND 86400);

-- null: the configured one (polling.client_sap), where the meter has that association, else its lowest that is not public
ALTER TABLE schedule_entries ADD COLUMN client_sap smallint CHECK (client_sap BETWEEN 1 AND 127);

-- push: a push carries it. poll: the head-end reads it; such a list never explains a body that came unasked.
ALTER TABLE push_objects ADD COLUMN kind text NOT NULL DEFAULT 'push' CHECK (kind IN ('push', 'poll'));

-- Runs due until then, inclusive, are fired or not owed. A whole number of milliseconds, so that daemons can compare and set it.
CREATE TABLE schedule_marks (
  push_schedule_id integer PRIMARY KEY REFERENCES push_schedules ON DELETE CASCADE,
  fired_until timestamptz NOT NULL
);

-- A schedule owes nothing for the time before it was made, while it was disabled, or while it said something else.
CREATE FUNCTION mark_schedule() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.enabled AND OLD.enabled AND NEW.cron IS NOT DISTINCT FROM OLD.cron
    AND NEW.time_zone IS NOT DISTINCT FROM OLD.time_zone THEN
    RETURN NULL;
  END IF;
  INSERT INTO schedule_marks (push_schedule_id, fired_until)
  VALUES (NEW.id, date_trunc('milliseconds', clock_timestamp()))
  ON CONFLICT (push_schedule_id) DO UPDATE SET fired_until = greatest(schedule_marks.fired_until, excluded.fired_until);
  RETURN NULL;
END
$$;

CREATE TRIGGER mark_schedule AFTER INSERT OR UPDATE OF enabled, cron, time_zone ON push_schedules
  FOR EACH ROW EXECUTE FUNCTION mark_schedule();

INSERT INTO schedule_marks (push_schedule_id, fired_until)
SELECT id, date_trunc('milliseconds', clock_timestamp()) FROM push_schedules;

-- The key is what keeps a run from being fired twice, whatever clocks and daemons do.
CREATE TABLE schedule_firings (
  push_schedule_id integer NOT NULL REFERENCES push_schedules ON DELETE CASCADE,
  due_at timestamptz NOT NULL,
  fired_at timestamptz NOT NULL,
  -- earlier runs that this one stands for
  missed integer NOT NULL DEFAULT 0,
  polls integer NOT NULL DEFAULT 0,
  PRIMARY KEY (push_schedule_id, due_at)
);

-- Daemons that work on this database; one that hasn't renewed its row is gone, and what it held is free.
CREATE TABLE daemons (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  alive_until timestamptz NOT NULL
);

-- Which daemon holds the connection that a meter opened: polls of that meter go there.
CREATE TABLE meter_connections (
  meter_id uuid PRIMARY KEY REFERENCES public.meters ON DELETE CASCADE,
  daemon_id uuid NOT NULL REFERENCES daemons ON DELETE CASCADE,
  since timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX meter_connections_daemon ON meter_connections (daemon_id);

-- Polls that wait, or are being made. A poll that is done, or given up, is a row of push_history and no longer one of these.
CREATE TABLE poll_tasks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  purpose text NOT NULL CHECK (purpose IN ('on-demand', 'scheduled', 'gap')),
  meter_id uuid NOT NULL REFERENCES public.meters ON DELETE CASCADE,
  push_object_id integer NOT NULL REFERENCES push_objects ON DELETE CASCADE,
  push_schedule_id integer REFERENCES push_schedules ON DELETE CASCADE,
  client_sap smallint,
  due_at timestamptz NOT NULL,
  -- not before: the due time and its share of the spread, later the end of a back-off
  start_at timestamptz NOT NULL,
  -- not begun after that
  expires_at timestamptz,
  -- captures to be read, inclusive; null: everything since the newest stored one
  range_from timestamptz,
  range_until timestamptz,
  priority smallint NOT NULL,
  -- attempts begun
  attempt smallint NOT NULL DEFAULT 0,
  retry_max smallint NOT NULL DEFAULT 3,
  retry_delay_seconds integer NOT NULL DEFAULT 60,
  leased_by uuid,
  leased_until timestamptz,
  -- push_history row of the latest attempt
  history_id bigint,
  history_started_at timestamptz
);

CREATE UNIQUE INDEX poll_tasks_run ON poll_tasks (push_schedule_id, due_at, meter_id, push_object_id)
  WHERE push_schedule_id IS NOT NULL;
CREATE INDEX poll_tasks_order ON poll_tasks (priority DESC, start_at);
CREATE INDEX poll_tasks_meter ON poll_tasks (meter_id);
CREATE INDEX poll_tasks_leases ON poll_tasks (leased_until) WHERE leased_until IS NOT NULL;

CREATE INDEX push_history_schedule ON push_history (push_schedule_id, started_at) WHERE push_schedule_id IS NOT NULL;

-- One notification a statement: a daemon that waits for the next poll looks at once.
CREATE FUNCTION notify_polls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('hes_polls', TG_TABLE_SCHEMA);
  RETURN NULL;
END
$$;

CREATE TRIGGER notify AFTER INSERT ON poll_tasks EXECUTE FUNCTION notify_polls();
