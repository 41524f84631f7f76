/*
 * What follows looks at the partitions of the days that it is asked about. Its conditions on the days of a join kept PostgreSQL from leaving out the
 * others before it had opened and locked all: two thirds of a second with three years of days.
 */

-- Planned once a connection, for any meter: the first capture may lie in any of the days.
CREATE OR REPLACE FUNCTION oldest_capture(of_meter uuid, of_profile text)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  IF of_profile = 'block' THEN
    RETURN (SELECT min(time) FROM block_load_profile WHERE meter_id = of_meter);
  ELSIF of_profile = 'daily' THEN
    RETURN (SELECT min(time) FROM energy_measurements WHERE meter_id = of_meter AND source = 'daily');
  END IF;
  RETURN NULL;
END
$$;

-- What meters owe of each day, and what of it is here. A day is ]00:00, 24:00] in the site's zone; of the present day only the past is owed.
CREATE OR REPLACE FUNCTION capture_completeness(first_day date, last_day date)
RETURNS TABLE (day date, meter_id uuid, profile text, expected integer, stored integer, missing integer, percent numeric)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
  after_time timestamptz;
  until_time timestamptz;
BEGIN
  SELECT first_day::timestamp AT TIME ZONE s.time_zone, (last_day::timestamp + interval '1 day') AT TIME ZONE s.time_zone
    INTO after_time, until_time FROM site s;
  RETURN QUERY
  WITH days AS (
    SELECT d::date AS day, d::timestamp AT TIME ZONE s.time_zone AS starts, (d::timestamp + interval '1 day') AT TIME ZONE s.time_zone AS ends
      FROM site s CROSS JOIN generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') d),
  here AS (
    SELECT d.day, b.meter_id, 'block' AS profile, count(*) AS n
      FROM days d JOIN block_load_profile b ON b.time > d.starts AND b.time <= d.ends
     WHERE b.time > after_time AND b.time <= until_time GROUP BY 1, 2
    UNION ALL
    SELECT d.day, e.meter_id, 'daily', count(*)
      FROM days d JOIN energy_measurements e ON e.time > d.starts AND e.time <= d.ends AND e.source = 'daily'
     WHERE e.time > after_time AND e.time <= until_time GROUP BY 1, 2),
  owed AS (
    SELECT d.day, o.meter_id, o.profile, coalesce(h.n, 0) AS n,
           CASE o.profile WHEN 'daily' THEN CASE WHEN d.ends <= now() THEN 1 ELSE 0 END
             ELSE floor(extract(epoch FROM least(d.ends, now()) - d.starts) / extract(epoch FROM o.period))::integer END AS expected
      FROM days d CROSS JOIN owed_profiles o
      LEFT JOIN here h ON h.day = d.day AND h.meter_id = o.meter_id AND h.profile = o.profile
     WHERE d.starts < now() AND (o.since < d.ends OR h.n > 0))
  SELECT day, meter_id, profile, expected, least(n, expected)::integer, greatest(expected - n, 0)::integer,
         round(100.0 * least(n, expected) / expected, 2)
    FROM owed WHERE expected > 0;
END
$$;

-- The fleet's percentage so many hours after the end of each day, against its target; null while that time has not come.
CREATE OR REPLACE FUNCTION fleet_completeness(first_day date, last_day date)
RETURNS TABLE (day date, profile text, hours integer, expected bigint, received bigint, percent numeric, target numeric, met boolean)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
  after_time timestamptz;
  until_time timestamptz;
BEGIN
  SELECT first_day::timestamp AT TIME ZONE s.time_zone, (last_day::timestamp + interval '1 day') AT TIME ZONE s.time_zone
    INTO after_time, until_time FROM site s;
  RETURN QUERY
  WITH owed AS (
    SELECT c.day, c.profile, sum(c.expected) AS expected FROM capture_completeness(first_day, last_day) c GROUP BY 1, 2),
  days AS (
    SELECT d::date AS day, d::timestamp AT TIME ZONE s.time_zone AS starts, (d::timestamp + interval '1 day') AT TIME ZONE s.time_zone AS ends
      FROM site s CROSS JOIN generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') d),
  arrived AS (
    SELECT d.day, 'block' AS profile, b.received_at - d.ends AS after FROM days d
      JOIN block_load_profile b ON b.time > d.starts AND b.time <= d.ends JOIN owed_profiles o USING (meter_id)
     WHERE o.profile = 'block' AND b.time > after_time AND b.time <= until_time
    UNION ALL
    SELECT d.day, 'daily', e.received_at - d.ends FROM days d
      JOIN energy_measurements e ON e.time > d.starts AND e.time <= d.ends AND e.source = 'daily'
      JOIN owed_profiles o USING (meter_id) WHERE o.profile = 'daily' AND e.time > after_time AND e.time <= until_time),
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
    FROM reached;
END
$$;

-- The same for the newest, where it isn't one of the last days.
CREATE FUNCTION newest_capture_of_all(of_meter uuid, of_profile text)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  IF of_profile = 'block' THEN
    RETURN (SELECT max(time) FROM block_load_profile WHERE meter_id = of_meter);
  ELSIF of_profile = 'daily' THEN
    RETURN (SELECT max(time) FROM energy_measurements WHERE meter_id = of_meter AND source = 'daily');
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION newest_capture(of_meter uuid, of_profile text)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  since timestamptz := now() - interval '7 days';
  newest timestamptz;
BEGIN
  IF of_profile = 'block' THEN
    SELECT max(time) INTO newest FROM block_load_profile WHERE meter_id = of_meter AND time >= since;
  ELSIF of_profile = 'daily' THEN
    SELECT max(time) INTO newest FROM energy_measurements WHERE meter_id = of_meter AND source = 'daily' AND time >= since;
  END IF;
  RETURN coalesce(newest, newest_capture_of_all(of_meter, of_profile));
END
$$;
