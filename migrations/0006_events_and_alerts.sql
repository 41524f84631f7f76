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
  meter_id uuid REFERENCES public.meters ON DELETE SET NULL,
  message text NOT NULL,
  data jsonb
);

CREATE INDEX event_logs_time ON event_logs (time);

-- Which events raise an alert. A null column matches everything.
CREATE TABLE alert_rules (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  source text NOT NULL CHECK (source IN ('meter_events', 'event_logs')),
  enabled boolean NOT NULL DEFAULT true,
  -- meter_events.log or event_logs.component
  log text,
  code integer,
  -- this severity or a higher one
  severity text CHECK (severity IN ('info', 'warning', 'critical')),
  -- within this time what happens again counts up the alert that is there
  hold_seconds integer NOT NULL DEFAULT 3600 CHECK (hold_seconds >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alerts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  alert_rule_id integer REFERENCES alert_rules ON DELETE SET NULL,
  dedup_key text NOT NULL,
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  severity text NOT NULL,
  message text NOT NULL,
  occurrences integer NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'closed')),
  closed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX alerts_dedup_key ON alerts (dedup_key, last_at);
CREATE INDEX alerts_last_at ON alerts (last_at);

CREATE FUNCTION notify_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('hes_alerts', json_build_object('id', NEW.id, 'meter_id', NEW.meter_id,
    'severity', NEW.severity, 'message', left(NEW.message, 500), 'at', NEW.first_at)::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER notify AFTER INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION notify_alert();
