-- Top events of the last week: what happened how often, at how many meters.
SELECT e.code, e.name, e.severity, count(*) AS events, count(DISTINCT e.meter_id) AS meters, max(e.time) AS last_at
  FROM meter_events e
 WHERE e.time > now() - interval '7 days'
 GROUP BY e.code, e.name, e.severity
 ORDER BY events DESC, e.code
 LIMIT 20;
