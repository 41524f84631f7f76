import type { Database } from "./database.ts";

/** An association of a meter as people look at it: of its secret only whether there is one. */
export interface ListedAssociation {
  readonly clientSap: number;
  readonly mechanism: string;
  readonly context: string;
  readonly hasSecret: boolean;
  readonly preEstablished: boolean;
  /** Six hex digits; null: negotiated. */
  readonly conformance: string | null;
  readonly maxReceivePduSize: number | null;
}

export async function listAssociations(database: Database, meterId: string): Promise<ListedAssociation[]> {
  const rows = await database.query(
    `SELECT client_sap, mechanism, context, secret IS NOT NULL AS has_secret, pre_established,
            upper(lpad(to_hex(conformance), 6, '0')) AS conformance, max_receive_pdu_size
       FROM meter_associations WHERE meter_id = $1 ORDER BY client_sap`,
    [meterId],
  );
  return rows.map((row) => ({
    clientSap: row["client_sap"],
    mechanism: row["mechanism"],
    context: row["context"],
    hasSecret: row["has_secret"],
    preEstablished: row["pre_established"],
    conformance: row["conformance"],
    maxReceivePduSize: row["max_receive_pdu_size"],
  }));
}

/** SQL: whether a meter can be asked as client `sap`, or, where that is null, in any association; `otherwise` is the client where it has none. */
export const hasAssociation = (meter: string, sap: string, otherwise: string): string =>
  `(coalesce(${sap}, ${otherwise}::int) = ${PUBLIC_SAP} OR EXISTS (SELECT FROM meter_associations a
     WHERE a.meter_id = ${meter} AND (${sap} IS NULL OR a.client_sap = ${sap})))`;

/** The public client, whose association needs no row. */
const PUBLIC_SAP = 16;
