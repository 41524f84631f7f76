-- Load profile of a group of meters: mean power of each block, and how many meters it is made of.
SELECT b.time, round((sum(b.block_active_import_wh * 3600 / b.interval_seconds) / 1000)::numeric, 3) AS load_kw, count(*) AS meters
  FROM block_load_profile b
  JOIN meters m ON m.id = b.meter_id
 WHERE m.meter_group = 'north' AND b.time > now() - interval '2 days'
 GROUP BY b.time
 ORDER BY b.time;
