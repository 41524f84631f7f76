import type { Database } from "./database.ts";
import type { SecurityEventStore } from "./ingest-stores.ts";

/** One row a source, reason and minute; several daemons, or flushes within the minute, add up. */
export function openSecurityEvents(database: Database): SecurityEventStore {
  return {
    record: async (events) => {
      if (events.length === 0) return;
      // Sorted, so that two daemons lock the rows in the same order.
      const sorted = [...events].sort(
        (a, b) => a.minuteMs - b.minuteMs || compare(a.source, b.source) || compare(a.reason, b.reason),
      );
      await database.query(
        `INSERT INTO security_events AS e (minute, source, reason, meter_id, occurrences, message)
         SELECT to_timestamp(minute / 1000.0), source, reason, (array_agg(meter_id))[1], sum(n), (array_agg(message))[1]
           FROM unnest($1::float8[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::text[])
             AS x(minute, source, reason, meter_id, n, message)
          GROUP BY minute, source, reason ORDER BY minute, source, reason
         ON CONFLICT (minute, source, reason) DO UPDATE SET occurrences = e.occurrences + excluded.occurrences`,
        [
          sorted.map((e) => e.minuteMs),
          sorted.map((e) => e.source),
          sorted.map((e) => e.reason),
          sorted.map((e) => e.meterId),
          sorted.map((e) => e.count),
          sorted.map((e) => e.text),
        ],
      );
    },
  };
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
