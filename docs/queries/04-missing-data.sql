-- Missing data of yesterday: meters with blocks missing, those that sent nothing at all included.
SELECT m.meter_number, m.meter_group, coalesce(d.blocks_present, 0) AS blocks_present, d.blocks_expected, m.last_seen_at
  FROM meters m
  LEFT JOIN daily_load_profile d ON d.meter_id = m.id AND d.day = (now() AT TIME ZONE 'Asia/Kolkata')::date - 1
 WHERE m.status = 'active' AND (d.day IS NULL OR d.blocks_present < d.blocks_expected)
 ORDER BY blocks_present, m.meter_number
 LIMIT 100;
