-- Notes the days that rows of a batch belong to. A function, so that a connection plans it once and not for each batch. The lock is the one that
-- whoever takes the days holds alone: from here to COMMIT they are not taken.
CREATE FUNCTION note_changed_days(held_lock bigint, meters uuid[], instants double precision[], zone text) RETURNS void
  LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(held_lock);
  -- Sorted, so that batches wait for each other in one order only.
  INSERT INTO daily_load_changes (meter_id, day)
  SELECT DISTINCT meter, (to_timestamp(instant) AT TIME ZONE zone)::date FROM unnest(meters, instants) AS x(meter, instant) ORDER BY 1, 2
  ON CONFLICT DO NOTHING;
END
$$;
