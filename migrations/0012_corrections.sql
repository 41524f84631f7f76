-- Not null: `received` took the place of `stored` then, because the stored frame was decoded again under another mapping.
ALTER TABLE reading_conflicts ADD COLUMN corrected_at timestamptz;
