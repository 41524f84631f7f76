import { PUSH_HISTORY } from "../mapping/rows.ts";
import type { Client } from "./database.ts";
import type { Item } from "./push-batch.ts";

const METER_ID = PUSH_HISTORY.position.get("meter_id")!;
const STARTED_AT = PUSH_HISTORY.position.get("started_at")!;
const DIGEST = PUSH_HISTORY.position.get("digest")!;

/**
 * Those of `items` that say what one before them says: after an fdatasync that failed a record stands in the log twice, in the segment that was given up
 * and in the next.
 */
export function readTwice(items: readonly Item[]): ReadonlySet<Item> {
  const known = new Set<string>();
  return new Set(
    items.filter(({ push: { history } }) => {
      if (history === null) return false;
      const { cells } = history;
      const name = `${cells[METER_ID]}/${cells[STARTED_AT]}/${cells[DIGEST]}`;
      const isKnown = known.has(name);
      known.add(name);
      return isKnown;
    }),
  );
}

/**
 * Which of these pushes an earlier attempt has stored: the same octets of the same meter, received in the same millisecond. Also looked
 * for among what the database refused and was put aside, where the row has lost a meter that was deleted.
 */
export async function storedAlready(client: Client, all: readonly Item[]): Promise<ReadonlySet<Item>> {
  // What a poll read has no history here; its rows tell by their keys.
  const items = all.filter(({ push }) => push.history !== null && push.frame !== null);
  if (items.length === 0) return new Set();
  const cells = items.map(({ push }) => push.history!.cells);
  const times = cells.map((row) => Number(row[STARTED_AT]));
  const { rows } = await client.query(
    `SELECT x.position FROM unnest($1::uuid[], $2::float8[], $3::bytea[])
              WITH ORDINALITY AS x(meter, received, digest, position)
      WHERE EXISTS (SELECT FROM push_history h WHERE h.meter_id = x.meter AND h.digest = x.digest
                       AND h.started_at = to_timestamp(x.received / 1000.0)
                       AND h.started_at BETWEEN to_timestamp($4::float8 / 1000.0) AND to_timestamp($5::float8 / 1000.0))
         OR EXISTS (SELECT FROM quarantine q WHERE coalesce(q.meter_id, x.meter) = x.meter AND q.state = 'kept' AND q.reason = 'unstorable'
                       AND q.received_at = to_timestamp(x.received / 1000.0) AND substr(sha256(q.apdu), 1, 16) = x.digest)`,
    [
      items.map(({ push }) => push.meterId),
      times,
      cells.map((row) => Buffer.from(row[DIGEST] as string, "latin1")),
      // So that partitions of other days aren't looked into.
      Math.min(...times),
      Math.max(...times),
    ],
  );
  return new Set(rows.map((row) => items[row.position - 1]!));
}
