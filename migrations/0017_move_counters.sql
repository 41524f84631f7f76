-- Moves received counters by compare-and-set. All of them or none: raises HC001 where one in the database isn't lower, so that a batch
-- whose statements went to the server in one message is rolled back, and its counters are looked at one by one.
CREATE FUNCTION move_counters(keys integer[], titles text[], saps smallint[], counters bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  moved integer;
BEGIN
  INSERT INTO invocation_counters AS c (key_id, system_title, client_sap, counter)
  SELECT * FROM unnest(keys, titles, saps, counters)
  ON CONFLICT (key_id, system_title, client_sap) DO UPDATE SET counter = excluded.counter
    WHERE c.counter < excluded.counter;
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved <> cardinality(keys) THEN
    RAISE EXCEPTION 'some received counters are not higher than those in the database' USING ERRCODE = 'HC001';
  END IF;
END
$$;
