-- Meters that a run would have polled if they had an association for it.
ALTER TABLE schedule_firings ADD COLUMN left_out integer NOT NULL DEFAULT 0;
