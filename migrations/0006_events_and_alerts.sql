CREATE TABLE public.meter_events (
  time timestamptz NOT NULL,
  meter_id uuid NOT NULL REFERENCES public.meters,
  log text NOT NULL,
  code integer NOT NULL,
  sequence integer NOT NULL,
  name text NOT NULL,
  severity text NOT NULL,
  origin text NOT NULL CHECK (origin IN ('push', 'poll')),
  received_at timestamptz NOT NULL,
  frame_id bigint,
  active boolean,
  clears_code integer,
  context jsonb,
  PRIMARY KEY (meter_id, log, time, code, sequence)
);

CREATE INDEX meter_events_time ON public.meter_events (time);

-- The head-end's own events.
CREATE TABLE event_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time timestamptz NOT NULL DEFAULT now(),
  level text NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
  component text NOT NULL,
  event text NOT NULL,
  meter_id uuid REFERENCES public.meters ON DELETE SET NULL,
  message text NOT NULL,
  data jsonb
);

CREATE INDEX event_logs_time ON event_logs (time);

-- A rule matches where all columns that aren't null do.
CREATE TABLE alert_rules (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  source text NOT NULL CHECK (source IN ('meter_event', 'event_log')),
  enabled boolean NOT NULL DEFAULT true,
  log text,
  code integer,
  event_name text,
  component text,
  severity_min text CHECK (severity_min IN ('info', 'warning', 'critical')),
  category text,
  -- of the alert
  severity text NOT NULL DEFAULT 'warning' CHECK (severity IN ('info', 'warning', 'critical')),
  title text,
  -- an alert seen again within this time only counts up
  quiet_seconds integer NOT NULL DEFAULT 3600 CHECK (quiet_seconds >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alerts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  alert_rule_id integer REFERENCES alert_rules ON DELETE SET NULL,
  dedup_key text NOT NULL,
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  severity text NOT NULL,
  title text NOT NULL,
  context jsonb NOT NULL DEFAULT '{}',
  occurrences integer NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'closed')),
  closed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX alerts_one_open ON alerts (dedup_key) WHERE state <> 'closed';
CREATE INDEX alerts_last_at ON alerts (last_at);

CREATE FUNCTION notify_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('hes_alerts', json_build_object('id', NEW.id, 'meter_id', NEW.meter_id,
    'severity', NEW.severity, 'title', left(NEW.title, 500), 'at', NEW.first_at)::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER notify AFTER INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION notify_alert();
