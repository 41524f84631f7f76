-- Voltage outside limits (230 V ± 10 %) in the last week: how often, how low and how high, the worst meters first.
SELECT m.meter_number, count(*) AS captures, min(least(v.voltage_l1_v, v.voltage_l2_v, v.voltage_l3_v)) AS lowest_v,
       max(greatest(v.voltage_l1_v, v.voltage_l2_v, v.voltage_l3_v)) AS highest_v, max(v.time) AS last_at
  FROM voltage_measurements v
  JOIN meters m ON m.id = v.meter_id
 WHERE v.time > now() - interval '7 days'
   AND (least(v.voltage_l1_v, v.voltage_l2_v, v.voltage_l3_v) < 207 OR greatest(v.voltage_l1_v, v.voltage_l2_v, v.voltage_l3_v) > 253)
 GROUP BY m.meter_number
 ORDER BY captures DESC, m.meter_number
 LIMIT 100;
