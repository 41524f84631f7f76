import type { Database, QueryRow } from "./database.ts";
import { heldByAnother, lockMeters } from "./held-meters.ts";

/** Told of the id of a row of `lent_associations` in which a command has written something. */
export const LENDERS_CHANNEL = "hes_lenders";
/** Told of the id of one in which a lender has. */
export const BORROWERS_CHANNEL = "hes_borrowers";
/** How long lender and borrower count as there without renewing the row; by the database's clock. */
export const LENT_SECONDS = 60;

/** An association that a command has asked for. */
export interface AskedAssociation {
  /** Row of `lent_associations`. */
  readonly id: number;
  readonly meterId: string;
  readonly clientSap: number;
  readonly keys: "ACTIVE" | "NEW";
}

export interface AskedMeter {
  /** uuid */
  readonly id: string;
  readonly meterNumber: string;
  /** It calls us, or we call it. */
  readonly mode: "listen" | "dial";
}

/** What a lender finds in a row that it has taken. */
export type NextRequest =
  /** The command is gone. */
  | { readonly kind: "gone" }
  /** It needs the association no longer. */
  | { readonly kind: "done" }
  | { readonly kind: "nothing" }
  | { readonly kind: "request"; readonly position: number; readonly request: unknown };

/** `lent_associations` and `lent_requests`, as a lender sees them. */
export interface LentAssociations {
  /**
   * Takes what was asked for and is nobody's: where a meter's connection, a poll or an association of it is another one's, that one takes it, or it
   * waits. `may`: whether this lender reaches the meter. `only`: no other row than this.
   */
  take(may: (meter: AskedMeter) => boolean, only?: number): Promise<AskedAssociation[]>;
  /** Whether anything waits for being taken. */
  waiting(): Promise<boolean>;
  /** The association stands. False: the command is gone. */
  opened(id: number, conformance: number, systemTitle: string | null): Promise<boolean>;
  failed(id: number, failure: string, reason: string): Promise<void>;
  next(id: number): Promise<NextRequest>;
  progress(id: number, position: number, progress: unknown): Promise<void>;
  answer(id: number, position: number, answer: unknown): Promise<void>;
  /** The meter was let go. */
  ended(id: number): Promise<void>;
  /** Keeps what was taken, and deletes what nobody wants any more. */
  renew(): Promise<void>;
}

export function openLentAssociations(database: Database, lender: string): LentAssociations {
  return {
    take: (may, only) => take(database, lender, may, only ?? null),
    waiting: async () => {
      const [row] = await database.query(
        "SELECT EXISTS (SELECT FROM lent_associations WHERE lender IS NULL AND state = 'asked') AS waiting",
      );
      return row!["waiting"];
    },
    opened: async (id, conformance, systemTitle) => {
      const rows = await database.query(
        `WITH row AS (UPDATE lent_associations SET state = 'open', conformance = $3, system_title = $4
           WHERE id = $1 AND lender = $2 AND state = 'asked' RETURNING id)
         SELECT pg_notify('${BORROWERS_CHANNEL}', id::text) FROM row`,
        [id, lender, conformance, systemTitle],
      );
      return rows.length > 0;
    },
    failed: async (id, failure, reason) => {
      await database.query(
        `WITH row AS (UPDATE lent_associations SET state = 'failed', failure = $3, reason = $4, lender = NULL, lent_until = NULL
           WHERE id = $1 AND lender = $2 RETURNING id)
         SELECT pg_notify('${BORROWERS_CHANNEL}', id::text) FROM row`,
        [id, lender, failure, reason],
      );
    },
    next: (id) => next(database, lender, id),
    progress: async (id, position, progress) => {
      await database.query(
        `WITH row AS (UPDATE lent_requests SET progress = $3 WHERE association_id = $1 AND position = $2 RETURNING association_id)
         SELECT pg_notify('${BORROWERS_CHANNEL}', association_id::text) FROM row`,
        [id, position, JSON.stringify(progress)],
      );
    },
    answer: async (id, position, answer) => {
      await database.query(
        `WITH row AS (UPDATE lent_requests SET answer = $3 WHERE association_id = $1 AND position = $2 RETURNING association_id)
         SELECT pg_notify('${BORROWERS_CHANNEL}', association_id::text) FROM row`,
        [id, position, JSON.stringify(answer)],
      );
    },
    ended: async (id) => {
      await database.query(
        `WITH row AS (DELETE FROM lent_associations WHERE id = $1 AND lender = $2 RETURNING id)
         SELECT pg_notify('${BORROWERS_CHANNEL}', id::text) FROM row`,
        [id, lender],
      );
    },
    renew: async () => {
      await database.query("DELETE FROM lent_associations WHERE wanted_until < clock_timestamp()");
      await database.query(
        `UPDATE lent_associations SET lent_until = clock_timestamp() + make_interval(secs => ${LENT_SECONDS}) WHERE lender = $1`,
        [lender],
      );
    },
  };
}

const NOBODYS = `a.lender IS NULL AND a.state = 'asked' AND a.wanted_until > clock_timestamp()
  AND NOT ${heldByAnother("a.meter_id", "$1::uuid")}`;

async function take(
  database: Database,
  lender: string,
  may: (meter: AskedMeter) => boolean,
  only: number | null,
): Promise<AskedAssociation[]> {
  const found = await database.query(
    `SELECT a.id, a.meter_id, m.meter_number, m.mode FROM lent_associations a JOIN public.meters m ON m.id = a.meter_id
      WHERE ${NOBODYS} AND ($2::bigint IS NULL OR a.id = $2) ORDER BY a.id`,
    [lender, only],
  );
  const reached = found.filter((row) =>
    may({ id: row["meter_id"], meterNumber: row["meter_number"], mode: row["mode"] }),
  );
  if (reached.length === 0) return [];
  return database.transaction(async (client) => {
    const mine = await lockMeters(
      client,
      reached.map((row) => row["meter_id"]),
    );
    const ids = reached.filter((row) => mine.has(row["meter_id"])).map((row) => row["id"]);
    if (ids.length === 0) return [];
    const taken = await client.query(
      `UPDATE lent_associations a SET lender = $1, lent_until = clock_timestamp() + make_interval(secs => ${LENT_SECONDS})
        WHERE a.id = ANY($2::bigint[]) AND ${NOBODYS} RETURNING a.id, a.meter_id, a.client_sap, a.key_state`,
      [lender, ids],
    );
    return taken.rows.map(asked);
  });
}

const asked = (row: QueryRow): AskedAssociation => ({
  id: row["id"],
  meterId: row["meter_id"],
  clientSap: row["client_sap"],
  keys: row["key_state"],
});

async function next(database: Database, lender: string, id: number): Promise<NextRequest> {
  const [row] = await database.query(
    `SELECT a.state, r.position, r.request FROM lent_associations a
       LEFT JOIN LATERAL (SELECT position, request FROM lent_requests
          WHERE association_id = a.id AND answer IS NULL ORDER BY position LIMIT 1) r ON true
      WHERE a.id = $1 AND a.lender = $2 AND a.wanted_until > clock_timestamp()`,
    [id, lender],
  );
  if (row === undefined) return { kind: "gone" };
  if (row["state"] === "done") return { kind: "done" };
  if (row["position"] === null) return { kind: "nothing" };
  return { kind: "request", position: row["position"], request: row["request"] };
}
