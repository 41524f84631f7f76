import type { Database, QueryRow } from "./database.ts";
import type { UnknownFrame, UnknownFrameStore } from "./ingest-stores.ts";

export interface QuarantineLimits {
  /** Frames of one source that are kept while its meter or key is unknown; the oldest go first. */
  readonly framesPerSourceMax: number;
  /** Frames of all unknown sources. */
  readonly framesMax: number;
}

/** A frame that is kept. `meterId` null: its meter or key wasn't known, and it wasn't verified. */
export interface QuarantinedFrame {
  readonly id: number;
  readonly receivedAtMs: number;
  readonly meterId: string | null;
  /** Address it came from. */
  readonly source: string;
  /** What the ring is kept by: system title, or the address. */
  readonly identifier: string | null;
  readonly systemTitle: string | null;
  readonly reason: string;
  readonly message: string;
  readonly framing: string;
  readonly clientSap: number | null;
  readonly serverSap: number | null;
  readonly frameId: number | null;
  readonly apdu: Buffer;
}

/** Frames of one identifier, or of one meter, and why they wait. */
export interface QuarantineSummary {
  readonly identifier: string | null;
  readonly meterId: string | null;
  readonly meterNumber: string | null;
  readonly reason: string;
  readonly message: string;
  readonly frames: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly source: string;
}

export interface QuarantineSelection {
  readonly identifier?: string;
  readonly meterId?: string;
  readonly reason?: string;
}

export interface Quarantine extends UnknownFrameStore {
  list(limit?: number): Promise<QuarantineSummary[]>;
  /** Kept frames in the order in which they came. */
  take(selection: QuarantineSelection, limit?: number): Promise<QuarantinedFrame[]>;
  /** Marks frames as stored after all. */
  markAdopted(ids: readonly number[]): Promise<void>;
}

const WHERE = `state = 'kept' AND ($1::text IS NULL OR identifier = $1) AND ($2::uuid IS NULL OR meter_id = $2)
  AND ($3::text IS NULL OR reason = $3)`;

export function openQuarantine(database: Database, limits: QuarantineLimits): Quarantine {
  return {
    keep: (frames) => keep(database, limits, frames),
    list: async (limit = 1_000) => {
      const rows = await database.query(
        `SELECT q.identifier, q.meter_id, m.meter_number, q.reason, count(*) AS frames, min(q.received_at) AS first,
                max(q.received_at) AS last, (array_agg(q.message ORDER BY q.id DESC))[1] AS message,
                (array_agg(q.source ORDER BY q.id DESC))[1] AS source
           FROM quarantine q LEFT JOIN public.meters m ON m.id = q.meter_id WHERE q.state = 'kept'
          GROUP BY q.identifier, q.meter_id, m.meter_number, q.reason ORDER BY last DESC LIMIT $1`,
        [limit],
      );
      return rows.map((row) => ({
        identifier: row["identifier"],
        meterId: row["meter_id"],
        meterNumber: row["meter_number"],
        reason: row["reason"],
        message: row["message"],
        frames: row["frames"],
        firstAtMs: row["first"],
        lastAtMs: row["last"],
        source: row["source"],
      }));
    },
    take: async ({ identifier, meterId, reason }, limit = 1_000) => {
      const rows = await database.query(
        `SELECT * FROM quarantine WHERE ${WHERE} ORDER BY received_at, id LIMIT $4`,
        [identifier ?? null, meterId ?? null, reason ?? null, limit],
      );
      return rows.map(frame);
    },
    markAdopted: async (ids) => {
      await database.query("UPDATE quarantine SET state = 'adopted', adopted_at = now() WHERE id = ANY($1)", [
        ids,
      ]);
    },
  };
}

function frame(row: QueryRow): QuarantinedFrame {
  return {
    id: row["id"],
    receivedAtMs: row["received_at"],
    meterId: row["meter_id"],
    source: row["source"],
    identifier: row["identifier"],
    systemTitle: row["system_title"],
    reason: row["reason"],
    message: row["message"],
    framing: row["framing"],
    clientSap: row["client_sap"],
    serverSap: row["server_sap"],
    frameId: row["frame_id"],
    apdu: row["apdu"],
  };
}

async function keep(
  database: Database,
  limits: QuarantineLimits,
  frames: readonly UnknownFrame[],
): Promise<void> {
  if (frames.length === 0) return;
  await database.transaction(async (client) => {
    await client.query(
      `INSERT INTO quarantine (received_at, source, identifier, system_title, reason, framing, client_sap, server_sap, apdu)
       SELECT to_timestamp(at / 1000.0), source, identifier, title, reason, framing, client, server, apdu
         FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::int[], $9::bytea[])
           AS x(at, source, identifier, title, reason, framing, client, server, apdu)`,
      [
        frames.map((f) => f.receivedAtMs),
        frames.map((f) => f.peer),
        frames.map((f) => f.source),
        frames.map((f) => f.systemTitle),
        frames.map((f) => f.reason),
        frames.map((f) => f.framing),
        frames.map((f) => f.clientSap),
        frames.map((f) => f.serverSap),
        frames.map((f) => f.apdu),
      ],
    );
    await client.query(
      `DELETE FROM quarantine WHERE id IN (
         SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY identifier ORDER BY id DESC) AS age FROM quarantine
            WHERE state = 'kept' AND meter_id IS NULL AND identifier = ANY($1)) ring WHERE age > $2)`,
      [[...new Set(frames.map((f) => f.source))], limits.framesPerSourceMax],
    );
    await client.query(
      `DELETE FROM quarantine WHERE state = 'kept' AND meter_id IS NULL AND id <= (
         SELECT id FROM quarantine WHERE state = 'kept' AND meter_id IS NULL ORDER BY id DESC OFFSET $1 LIMIT 1)`,
      [limits.framesMax],
    );
  });
}
