-- What is known of meter models, and what meters owe.

-- Meters of one type, maker, model and firmware: what one of them says of its profiles holds for all.
CREATE TABLE meter_models (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter_type text NOT NULL REFERENCES meter_types ON UPDATE CASCADE ON DELETE CASCADE,
  manufacturer text,
  model text,
  firmware text,
  UNIQUE NULLS NOT DISTINCT (meter_type, manufacturer, model, firmware)
);

-- What a profile of a model consists of, as the meter itself says; read once and kept. Delete a row to have it read again.
CREATE TABLE model_profiles (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter_model_id integer NOT NULL REFERENCES meter_models ON DELETE CASCADE,
  -- the one meter whose profile differs from its model's
  meter_id uuid REFERENCES public.meters ON DELETE CASCADE,
  logical_name text NOT NULL,
  -- 0: captured on an event
  capture_period_seconds integer,
  -- rows that the buffer can hold
  profile_entries bigint,
  -- array of {classId, code, attribute, dataIndex, scaler, unit}
  columns jsonb NOT NULL,
  -- how rows are chosen: by range of time, or not at all because the meter refuses that
  selection text NOT NULL DEFAULT 'range' CHECK (selection IN ('range', 'whole')),
  read_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (meter_model_id, logical_name, meter_id)
);

-- Scalers and units of objects that are read by themselves.
CREATE TABLE model_scalers (
  meter_model_id integer NOT NULL REFERENCES meter_models ON DELETE CASCADE,
  class_id integer NOT NULL,
  logical_name text NOT NULL,
  attribute smallint NOT NULL,
  -- null: the object has none
  scaler smallint,
  unit smallint,
  read_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (meter_model_id, class_id, logical_name, attribute)
);

-- The one row says where the head-end stands: days of reports are cut in its zone, which the daemon writes from time.zone.
CREATE TABLE site (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  time_zone text NOT NULL DEFAULT 'Asia/Kolkata',
  -- a meter not heard of for so long is silent
  silent_after_seconds integer NOT NULL DEFAULT 86400 CHECK (silent_after_seconds > 0)
);

INSERT INTO site DEFAULT VALUES;

-- So much of a day's captures is to be here so many hours after the day's end.
CREATE TABLE completeness_targets (
  hours integer PRIMARY KEY CHECK (hours > 0),
  percent numeric NOT NULL CHECK (percent BETWEEN 0 AND 100)
);

INSERT INTO completeness_targets (hours, percent) VALUES (8, 95), (12, 98), (24, 99.5);

-- Captures that a meter should have made and that are not here, next to each other.
CREATE TABLE capture_gaps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  meter_id uuid NOT NULL REFERENCES public.meters ON DELETE CASCADE,
  profile text NOT NULL CHECK (profile IN ('block', 'daily')),
  first_missing timestamptz NOT NULL,
  last_missing timestamptz NOT NULL,
  -- how many are missing; of a gap that is closed: were missing
  captures integer NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'filled', 'given-up')),
  -- why it isn't filled yet, or never will be
  reason text,
  -- polls for it that failed
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz,
  found_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz
);

CREATE INDEX capture_gaps_open ON capture_gaps (next_attempt_at) WHERE state = 'open';
CREATE INDEX capture_gaps_meter ON capture_gaps (meter_id, profile, last_missing);

ALTER TABLE poll_tasks ADD COLUMN capture_gap_id bigint REFERENCES capture_gaps ON DELETE CASCADE;
CREATE UNIQUE INDEX poll_tasks_gap ON poll_tasks (capture_gap_id) WHERE capture_gap_id IS NOT NULL;

-- Up to where the captures of a meter have been looked through; what is missing before stands in capture_gaps.
CREATE TABLE gap_marks (
  meter_id uuid NOT NULL REFERENCES public.meters ON DELETE CASCADE,
  profile text NOT NULL,
  looked_until timestamptz NOT NULL,
  PRIMARY KEY (meter_id, profile)
);

-- The load profiles that meters keep: those for which a list is configured for their category, their type, or themselves.
CREATE VIEW owed_profiles AS
SELECT m.id AS meter_id, k.profile, coalesce(m.time_zone, s.time_zone) AS time_zone, m.created_at AS since,
       CASE k.profile WHEN 'block' THEN make_interval(secs => coalesce(t.interval_seconds, 1800)) ELSE interval '1 day' END AS period
  FROM public.meters m
  JOIN meter_types t ON t.name = m.meter_type
 CROSS JOIN site s
 CROSS JOIN (VALUES ('block'), ('daily')) k(profile)
 WHERE m.status = 'active' AND EXISTS (
   SELECT FROM push_objects o WHERE o.enabled AND o.profile_kind = k.profile
      AND (o.category = coalesce(m.category, t.category) OR o.meter_type = m.meter_type OR o.meter_id = m.id));

/*
 * The functions below have their text as strings and a search_path of their own: no table depends on them, so that a table can be
 * replaced by a hypertable under them.
 */

-- When captures were made that are here, after one instant and up to another.
CREATE FUNCTION stored_captures(of_meter uuid, of_profile text, after_time timestamptz, until_time timestamptz)
RETURNS SETOF timestamptz LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT time FROM block_load_profile
   WHERE of_profile = 'block' AND meter_id = of_meter AND time > after_time AND time <= until_time
  UNION ALL
  SELECT time FROM energy_measurements
   WHERE of_profile = 'daily' AND source = 'daily' AND meter_id = of_meter AND time > after_time AND time <= until_time
$$;

-- The newest of them; null: there is none.
CREATE FUNCTION newest_capture(of_meter uuid, of_profile text)
RETURNS timestamptz LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT CASE of_profile
    WHEN 'block' THEN (SELECT max(time) FROM block_load_profile WHERE meter_id = of_meter)
    WHEN 'daily' THEN (SELECT max(time) FROM energy_measurements WHERE meter_id = of_meter AND source = 'daily') END
$$;

CREATE FUNCTION oldest_capture(of_meter uuid, of_profile text)
RETURNS timestamptz LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT CASE of_profile
    WHEN 'block' THEN (SELECT min(time) FROM block_load_profile WHERE meter_id = of_meter)
    WHEN 'daily' THEN (SELECT min(time) FROM energy_measurements WHERE meter_id = of_meter AND source = 'daily') END
$$;

-- Stretches of missing captures between a capture that is there (or was looked at) and the next: `before_first` and `after_last` included are not
-- missing. A capture counts for its time if it is less than half a period off.
CREATE FUNCTION missing_captures(of_meter uuid, of_profile text, capture_period interval, zone text,
  before_first timestamptz, after_last timestamptz)
RETURNS TABLE (first_missing timestamptz, last_missing timestamptz, captures integer)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT (at AT TIME ZONE zone + capture_period) AT TIME ZONE zone, (next AT TIME ZONE zone - capture_period) AT TIME ZONE zone,
         round(extract(epoch FROM next - at) / extract(epoch FROM capture_period))::integer - 1
    FROM (SELECT at, lead(at) OVER (ORDER BY at) AS next
            FROM (SELECT before_first AS at UNION SELECT after_last
                  UNION SELECT stored_captures(of_meter, of_profile, before_first, after_last)) points) stretches
   WHERE next - at >= capture_period * 1.5
$$;

-- What meters owe of each day, and what of it is here. A day is ]00:00, 24:00] in the site's zone; of the present day only the past is owed.
CREATE FUNCTION capture_completeness(first_day date, last_day date)
RETURNS TABLE (day date, meter_id uuid, profile text, expected integer, stored integer, missing integer, percent numeric)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  WITH days AS (
    SELECT d::date AS day, d::timestamp AT TIME ZONE s.time_zone AS starts, (d::timestamp + interval '1 day') AT TIME ZONE s.time_zone AS ends
      FROM site s CROSS JOIN generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') d),
  here AS (
    SELECT d.day, b.meter_id, 'block' AS profile, count(*) AS n
      FROM days d JOIN block_load_profile b ON b.time > d.starts AND b.time <= d.ends GROUP BY 1, 2
    UNION ALL
    SELECT d.day, e.meter_id, 'daily', count(*)
      FROM days d JOIN energy_measurements e ON e.time > d.starts AND e.time <= d.ends AND e.source = 'daily' GROUP BY 1, 2),
  owed AS (
    SELECT d.day, o.meter_id, o.profile, coalesce(h.n, 0) AS n,
           CASE o.profile WHEN 'daily' THEN CASE WHEN d.ends <= now() THEN 1 ELSE 0 END
             ELSE floor(extract(epoch FROM least(d.ends, now()) - d.starts) / extract(epoch FROM o.period))::integer END AS expected
      FROM days d CROSS JOIN owed_profiles o
      LEFT JOIN here h ON h.day = d.day AND h.meter_id = o.meter_id AND h.profile = o.profile
     WHERE d.starts < now() AND (o.since < d.ends OR h.n > 0))
  SELECT day, meter_id, profile, expected, least(n, expected)::integer, greatest(expected - n, 0)::integer,
         round(100.0 * least(n, expected) / expected, 2)
    FROM owed WHERE expected > 0
$$;

-- The fleet's percentage so many hours after the end of each day, against its target; null while that time has not come.
CREATE FUNCTION fleet_completeness(first_day date, last_day date)
RETURNS TABLE (day date, profile text, hours integer, expected bigint, received bigint, percent numeric, target numeric, met boolean)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  WITH owed AS (
    SELECT c.day, c.profile, sum(c.expected) AS expected FROM capture_completeness(first_day, last_day) c GROUP BY 1, 2),
  days AS (
    SELECT d::date AS day, d::timestamp AT TIME ZONE s.time_zone AS starts, (d::timestamp + interval '1 day') AT TIME ZONE s.time_zone AS ends
      FROM site s CROSS JOIN generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') d),
  arrived AS (
    SELECT d.day, 'block' AS profile, b.received_at - d.ends AS after FROM days d
      JOIN block_load_profile b ON b.time > d.starts AND b.time <= d.ends JOIN owed_profiles o USING (meter_id) WHERE o.profile = 'block'
    UNION ALL
    SELECT d.day, 'daily', e.received_at - d.ends FROM days d
      JOIN energy_measurements e ON e.time > d.starts AND e.time <= d.ends AND e.source = 'daily'
      JOIN owed_profiles o USING (meter_id) WHERE o.profile = 'daily'),
  counted AS (
    SELECT a.day, a.profile, t.hours, count(*) FILTER (WHERE a.after <= make_interval(hours => t.hours)) AS received
      FROM arrived a CROSS JOIN completeness_targets t GROUP BY 1, 2, 3),
  reached AS (
    SELECT o.day, o.profile, t.hours, t.percent AS target, o.expected, least(coalesce(c.received, 0), o.expected) AS received,
           now() >= d.ends + make_interval(hours => t.hours) AS due
      FROM owed o JOIN days d USING (day) CROSS JOIN completeness_targets t
      LEFT JOIN counted c ON c.day = o.day AND c.profile = o.profile AND c.hours = t.hours)
  SELECT day, profile, hours, expected::bigint, received::bigint, round(100.0 * received / expected, 2), target,
         CASE WHEN due THEN round(100.0 * received / expected, 2) >= target END
    FROM reached
$$;

-- Meters that should have pushed by a schedule and have not: since its latest run that is overdue by now.
CREATE FUNCTION find_overdue_pushes()
RETURNS TABLE (push_schedule_id integer, schedule text, meter_id uuid, meter_number text, due_at timestamptz, overdue_since timestamptz)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT DISTINCT s.id, s.name, m.id, m.meter_number, f.due_at, f.due_at + make_interval(secs => s.overdue_after_seconds)
    FROM push_schedules s
   CROSS JOIN LATERAL (
     SELECT max(x.due_at) AS due_at FROM schedule_firings x
      WHERE x.push_schedule_id = s.id AND x.due_at <= now() - make_interval(secs => s.overdue_after_seconds)) f
    JOIN schedule_entries e ON e.push_schedule_id = s.id AND e.enabled
    JOIN public.meters m ON m.status = 'active' AND (e.meter_id IS NULL OR e.meter_id = m.id)
     AND (e.meter_group IS NULL OR e.meter_group = m.meter_group) AND (e.meter_type IS NULL OR e.meter_type = m.meter_type)
    LEFT JOIN push_setups wanted ON wanted.id = e.push_setup_id
   WHERE s.kind = 'push' AND s.enabled AND s.overdue_after_seconds IS NOT NULL AND f.due_at IS NOT NULL
     AND NOT EXISTS (
       SELECT FROM push_history h LEFT JOIN push_setups came ON came.id = h.push_setup_id
        WHERE h.meter_id = m.id AND h.kind = 'push' AND h.started_at >= f.due_at
          AND (wanted.id IS NULL OR came.logical_name = wanted.logical_name))
$$;

CREATE VIEW completeness AS
SELECT c.day, c.meter_id, m.meter_number, m.meter_group, c.profile, c.expected, c.stored, c.missing, c.percent
  FROM site s CROSS JOIN LATERAL capture_completeness((now() AT TIME ZONE s.time_zone)::date - 35, (now() AT TIME ZONE s.time_zone)::date) c
  JOIN public.meters m ON m.id = c.meter_id;

CREATE VIEW completeness_of_fleet AS
SELECT f.* FROM site s
 CROSS JOIN LATERAL fleet_completeness((now() AT TIME ZONE s.time_zone)::date - 35, (now() AT TIME ZONE s.time_zone)::date) f;

CREATE VIEW silent_meters AS
SELECT m.id AS meter_id, m.meter_number, m.meter_type, m.meter_group, m.last_seen_at, now() - m.last_seen_at AS silent_for
  FROM public.meters m CROSS JOIN site s
 WHERE m.status = 'active'
   AND coalesce(m.last_seen_at, m.created_at) < now() - make_interval(secs => s.silent_after_seconds);

CREATE VIEW overdue_pushes AS SELECT * FROM find_overdue_pushes();
