-- When it was last looked whether a gap has been filled: with many of them open, some at a time.
ALTER TABLE capture_gaps ADD COLUMN checked_at timestamptz;
CREATE INDEX capture_gaps_checked ON capture_gaps (checked_at NULLS FIRST) WHERE state = 'open';
