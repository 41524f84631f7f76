-- A database that was restored doesn't know which counters of ours were used since its backup, and a counter that is used twice under one
-- key gives the key away. What a server and a database are is kept here, and compared before counters are reserved: a dump that was read in
-- has another oid or another system identifier, a backup that was recovered, or a standby that was promoted, another timeline.
CREATE TABLE database_identity (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  system_identifier bigint NOT NULL,
  timeline text NOT NULL,
  database_oid oid NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
);

CREATE VIEW present_identity AS
  SELECT (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
         left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline,
         (SELECT oid FROM pg_database WHERE datname = current_database()) AS database_oid;

INSERT INTO database_identity (system_identifier, timeline, database_oid) SELECT * FROM present_identity;

-- More than any key can have used between a backup and its restore; a key has 1,024 times as many.
CREATE FUNCTION skip_sent_counters() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  keys bigint;
BEGIN
  UPDATE sent_counters SET reserved = least(reserved + 4194304, 4294967295);
  GET DIAGNOSTICS keys = ROW_COUNT;
  RETURN keys;
END
$$;

-- Whether it was restored; its counters are skipped then, once.
CREATE FUNCTION skip_counters_after_restore() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  skipped bigint;
BEGIN
  PERFORM FROM database_identity k JOIN present_identity p USING (system_identifier, timeline, database_oid);
  IF FOUND THEN
    RETURN false;
  END IF;
  -- Of several that notice it, one does it.
  UPDATE database_identity k SET system_identifier = p.system_identifier, timeline = p.timeline, database_oid = p.database_oid, since = now()
    FROM present_identity p
   WHERE (k.system_identifier, k.timeline, k.database_oid) <> (p.system_identifier, p.timeline, p.database_oid);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  skipped := skip_sent_counters();
  IF skipped > 0 THEN
    INSERT INTO event_logs (level, component, message, data)
    VALUES ('warn', 'keys', 'the database was restored or has moved: counters that may have been used are skipped',
            jsonb_build_object('keys', skipped));
  END IF;
  RETURN true;
END
$$;
