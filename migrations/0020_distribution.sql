-- Every key of a large table holds the meter, so that plain PostgreSQL can be distributed by meter_id (Citus); see docs/operating/scaling.md.
-- The identifier stays in front: frames and attempts are looked up by it.
ALTER TABLE push_history DROP CONSTRAINT push_history_pkey;
ALTER TABLE push_history ALTER COLUMN meter_id SET NOT NULL;
ALTER TABLE push_history ADD PRIMARY KEY (id, started_at, meter_id);

ALTER TABLE raw_frames DROP CONSTRAINT raw_frames_pkey;
ALTER TABLE raw_frames ALTER COLUMN meter_id SET NOT NULL;
ALTER TABLE raw_frames ADD PRIMARY KEY (id, received_at, meter_id);
