-- A day of a meter in the configured zone. What is stamped 00:00 belongs to the day that ends then.
-- On TimescaleDB this is a view over continuous aggregates instead; the columns are the same.
CREATE TABLE daily_load_profile ( -- aggregate
  day date NOT NULL,
  meter_id uuid NOT NULL REFERENCES public.meters,
  opening_import_wh double precision,
  closing_import_wh double precision,
  opening_export_wh double precision,
  closing_export_wh double precision,
  -- closing − opening of the midnight registers where both are there, else the sum of the blocks
  consumption_wh double precision,
  export_wh double precision,
  consumption_from text CHECK (consumption_from IN ('registers', 'blocks')),
  block_sum_import_wh double precision,
  block_sum_export_wh double precision,
  blocks_present integer NOT NULL DEFAULT 0,
  blocks_expected integer,
  -- registers − blocks, where both are there
  difference_wh double precision,
  max_demand_w double precision,
  max_demand_at timestamptz,
  min_voltage_v double precision,
  max_voltage_v double precision,
  PRIMARY KEY (meter_id, day)
);
