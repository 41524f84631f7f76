import { RAW_FRAMES } from "../mapping/rows.ts";
import type { Client } from "./database.ts";
import type { Item } from "./push-batch.ts";

const at = (name: string) => RAW_FRAMES.position.get(name)!;
const RECEIVED_AT = at("received_at");
const PEER = at("peer");
const FRAMING = at("framing");
const APDU = at("apdu");

interface Kept {
  readonly item: Item;
  readonly reason: string;
  readonly text: string;
}

/** Writes the quarantine rows of pushes that have a reason for it. */
export async function quarantinePushes(client: Client, items: readonly Item[]): Promise<void> {
  const kept = items.flatMap((item): Kept[] =>
    item.push.quarantine ? [{ item, ...item.push.quarantine }] : [],
  );
  await insert(client, kept, true);
}

/**
 * The last resort for a push that the database refuses (its meter was deleted meanwhile, a value that no column takes): its octets
 * and the reason, in a transaction of its own.
 */
export async function quarantineUnstorable(client: Client, item: Item, text: string): Promise<void> {
  await insert(client, [{ item, reason: "unstorable", text }], false);
}

async function insert(client: Client, all: readonly Kept[], known: boolean): Promise<void> {
  // What a poll read has no octets that could be kept.
  const kept = all.filter(({ item }) => item.push.frame !== null);
  if (kept.length === 0) return;
  const cells = kept.map(({ item }) => item.push.frame!.cells);
  await client.query(
    `INSERT INTO quarantine (received_at, meter_id, source, identifier, reason, message, framing, apdu, frame_id)
     SELECT to_timestamp(received / 1000.0), m.id, peer, x.identifier, x.reason, x.message, x.framing, x.apdu, x.frame
       FROM unnest($1::float8[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bigint[])
         AS x(received, meter_id, peer, identifier, reason, message, framing, apdu, frame)
       LEFT JOIN public.meters m ON m.id = x.meter_id`,
    [
      cells.map((row) => row[RECEIVED_AT]),
      kept.map(({ item }) => item.push.meterId),
      cells.map((row) => row[PEER]),
      kept.map(({ item }) => item.push.counter?.name.systemTitle ?? null),
      kept.map(({ reason }) => reason),
      kept.map(({ text }) => text.replaceAll("\0", "\ufffd")),
      cells.map((row) => row[FRAMING]),
      cells.map((row) => Buffer.from(row[APDU] as Uint8Array)),
      kept.map(({ item }) => (known ? item.id : null)),
    ],
  );
}
