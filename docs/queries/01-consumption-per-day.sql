-- Consumption per day of one meter: from its midnight registers where they are there, else from its blocks.
SELECT d.day, round((d.consumption_wh / 1000)::numeric, 2) AS consumption_kwh, d.consumption_from,
       d.blocks_present, d.blocks_expected, round(d.difference_wh::numeric, 1) AS registers_minus_blocks_wh
  FROM daily_load_profile d
 WHERE d.meter_id = (SELECT id FROM meters WHERE meter_number = 'SAMPLE-1') AND d.day >= current_date - 30
 ORDER BY d.day;
