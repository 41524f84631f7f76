import type { Database } from "./database.ts";
import { LENDERS_CHANNEL, LENT_SECONDS } from "./lent-associations.ts";

/** What has become of an association that was asked for. */
export type Borrowed =
  /** Nobody has taken it yet. */
  | { readonly state: "asked"; readonly taken: boolean }
  | { readonly state: "open"; readonly conformance: number; readonly systemTitle: string | null }
  | { readonly state: "failed"; readonly failure: string; readonly reason: string }
  /** The lender is gone. */
  | { readonly state: "gone" };

export type BorrowedAnswer =
  | { readonly kind: "answer"; readonly answer: unknown }
  | { readonly kind: "waiting"; readonly progress: unknown }
  /** The lender is gone, and the association with it. */
  | { readonly kind: "gone" };

/** `lent_associations` and `lent_requests`, as a command sees them. */
export interface BorrowedAssociations {
  /** Asks for an association. Answers the id of its row. */
  ask(meterId: string, clientSap: number, keys: "ACTIVE" | "NEW"): Promise<number>;
  look(id: number): Promise<Borrowed>;
  /** Whether a daemon lives that could take it: any where the meter is called, the one that has its connection where it calls us. */
  lenderLives(meterId: string): Promise<{ readonly any: boolean; readonly connected: boolean }>;
  /** Still wanted. To be called every few seconds. */
  renew(id: number): Promise<void>;
  /** Takes back what nobody has taken. False: somebody has meanwhile. */
  withdraw(id: number): Promise<boolean>;
  request(id: number, position: number, request: unknown): Promise<void>;
  answer(id: number, position: number): Promise<BorrowedAnswer>;
  /** It is needed no longer: the lender releases it, and the row is gone then. */
  done(id: number): Promise<void>;
  isThere(id: number): Promise<boolean>;
  /** It is given up, whatever is going on: the row is gone at once. */
  giveUp(id: number): Promise<void>;
}

const NOTIFY = `SELECT pg_notify('${LENDERS_CHANNEL}', id::text), id FROM row`;
const WANTED = `clock_timestamp() + make_interval(secs => ${LENT_SECONDS})`;

export function openBorrowedAssociations(database: Database): BorrowedAssociations {
  return {
    ask: async (meterId, clientSap, keys) => {
      const [row] = await database.query(
        `WITH row AS (INSERT INTO lent_associations (meter_id, client_sap, key_state, wanted_until)
           VALUES ($1, $2, $3, ${WANTED}) RETURNING id) ${NOTIFY}`,
        [meterId, clientSap, keys],
      );
      return row!["id"];
    },
    look: (id) => look(database, id),
    lenderLives: async (meterId) => {
      const [row] = await database.query(
        `SELECT count(*) > 0 AS any, count(*) FILTER (WHERE EXISTS (
            SELECT FROM meter_connections c WHERE c.daemon_id = d.id AND c.meter_id = $1)) > 0 AS connected
           FROM daemons d WHERE d.alive_until > clock_timestamp()`,
        [meterId],
      );
      return { any: row!["any"], connected: row!["connected"] };
    },
    renew: async (id) => {
      await database.query(`UPDATE lent_associations SET wanted_until = ${WANTED} WHERE id = $1`, [id]);
    },
    withdraw: async (id) => {
      const rows = await database.query(
        "DELETE FROM lent_associations WHERE id = $1 AND lender IS NULL RETURNING id",
        [id],
      );
      return rows.length > 0;
    },
    request: async (id, position, request) => {
      await database.query(
        `WITH row AS (INSERT INTO lent_requests (association_id, position, request)
           SELECT id, $2, $3 FROM lent_associations WHERE id = $1 RETURNING association_id AS id) ${NOTIFY}`,
        [id, position, JSON.stringify(request)],
      );
    },
    answer: (id, position) => answer(database, id, position),
    done: async (id) => {
      await database.query(
        `WITH row AS (UPDATE lent_associations SET state = 'done' WHERE id = $1 RETURNING id) ${NOTIFY}`,
        [id],
      );
    },
    isThere: async (id) => {
      const rows = await database.query("SELECT FROM lent_associations WHERE id = $1", [id]);
      return rows.length > 0;
    },
    giveUp: async (id) => {
      await database.query(
        `WITH row AS (DELETE FROM lent_associations WHERE id = $1 RETURNING id) ${NOTIFY}`,
        [id],
      );
    },
  };
}

async function look(database: Database, id: number): Promise<Borrowed> {
  const [row] = await database.query(
    `SELECT state, lender, lent_until < clock_timestamp() AS late, conformance, system_title, failure, reason
       FROM lent_associations WHERE id = $1`,
    [id],
  );
  if (row === undefined || row["late"] === true) return { state: "gone" };
  switch (row["state"]) {
    case "asked":
      return { state: "asked", taken: row["lender"] !== null };
    case "open":
      return { state: "open", conformance: row["conformance"], systemTitle: row["system_title"] };
    case "failed":
      return { state: "failed", failure: row["failure"], reason: row["reason"] };
    default:
      return { state: "gone" };
  }
}

async function answer(database: Database, id: number, position: number): Promise<BorrowedAnswer> {
  const [row] = await database.query(
    `SELECT r.answer, r.progress, a.lent_until < clock_timestamp() AS late
       FROM lent_associations a JOIN lent_requests r ON r.association_id = a.id WHERE a.id = $1 AND r.position = $2`,
    [id, position],
  );
  if (row === undefined) return { kind: "gone" };
  if (row["answer"] === null) {
    return row["late"] === true ? { kind: "gone" } : { kind: "waiting", progress: row["progress"] };
  }
  await database.query("DELETE FROM lent_requests WHERE association_id = $1 AND position = $2", [
    id,
    position,
  ]);
  return { kind: "answer", answer: row["answer"] };
}
