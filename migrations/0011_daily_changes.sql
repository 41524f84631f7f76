-- Days of meters whose blocks, midnight registers or voltages changed, written with the rows themselves. Whoever refreshes the daily
-- load profile moves them to daily_load_taken under an exclusive advisory lock, which batches hold shared: then everything that they
-- speak of is committed. What is taken stays until its days have been written, also when that daemon dies.
CREATE TABLE daily_load_changes (
  meter_id uuid NOT NULL,
  day date NOT NULL,
  PRIMARY KEY (meter_id, day)
);

CREATE TABLE daily_load_taken (
  meter_id uuid NOT NULL,
  day date NOT NULL,
  PRIMARY KEY (meter_id, day)
);
