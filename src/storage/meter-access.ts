import type { KeyObject } from "node:crypto";
import type { KeyRing } from "../keys/key-ring.ts";
import type { Database, QueryRow } from "./database.ts";
import { loadKeys } from "./meter-keys.ts";
import type { MeterKey } from "./meter-record.ts";

export type MechanismName = "none" | "lls" | "hls2" | "hls3" | "hls4" | "hls5" | "hls6" | "hls7";

/** A meter as a poll needs it: how it is reached, and what opens an association with it. */
export interface MeterAccess {
  /** uuid */
  readonly id: string;
  readonly meterNumber: string;
  readonly meterType: string;
  readonly mode: "listen" | "dial";
  readonly transport: "tcp" | "udp" | "serial";
  readonly framing: "auto" | "hdlc" | "wrapper";
  /** Address or name; the path of a serial line. */
  readonly host: string | null;
  readonly port: number | null;
  readonly serverSap: number;
  /** Lower HDLC address; null: none. */
  readonly physicalAddress: number | null;
  readonly gateway: { readonly networkId: number; readonly physicalAddress: Buffer } | null;
  readonly systemTitle: Buffer | null;
  readonly securitySuite: 0 | 1 | 2;
  /** Security control bits that its APDUs must have in ciphered contexts. */
  readonly requiredProtection: number;
  readonly counterMayStandStill: boolean;
  readonly keys: readonly MeterKey[];
  /** null: nothing is configured for this client. */
  readonly association: {
    readonly mechanism: MechanismName;
    readonly context: "auto" | "plain" | "ciphered";
    readonly secret: KeyObject | null;
    /** It stands without AARQ: conformance bits, and octets of an APDU that the meter takes; null: it is negotiated. */
    readonly preEstablished: {
      readonly conformance: number;
      readonly serverMaxReceivePduSize: number;
    } | null;
  } | null;
  readonly quirks: ReadonlySet<string>;
}

/** null where there is no such meter, or it is disabled. @throws EnvelopeError where the secret can't be opened */
export async function loadMeterAccess(
  database: Database,
  ring: KeyRing,
  meterId: string,
  clientSap: number,
  onUnusableKey: (error: Error) => void = () => undefined,
): Promise<MeterAccess | null> {
  return database.withClient(async (client) => {
    const { rows } = await client.query(
      `SELECT m.id, m.meter_number, m.meter_type, m.mode, m.transport, m.framing, m.host, m.port, m.server_sap, m.physical_address,
         m.gateway_network_id, m.gateway_address, m.system_title, m.security_suite, m.required_protection, m.counter_may_stand_still,
         a.id AS association_id, a.mechanism, a.context, a.secret, a.pre_established, a.conformance, a.max_receive_pdu_size,
         (SELECT coalesce(array_agg(q.quirk), '{}') FROM meter_type_quirks q WHERE q.meter_type = m.meter_type) AS quirks
       FROM public.meters m LEFT JOIN meter_associations a ON a.meter_id = m.id AND a.client_sap = $2
       WHERE m.id = $1 AND m.status = 'active'`,
      [meterId, clientSap],
    );
    const row = rows[0] as QueryRow | undefined;
    if (row === undefined) return null;
    const keys = await loadKeys(client, ring, [meterId], onUnusableKey);
    return access(row, keys.get(meterId) ?? [], ring);
  });
}

function access(row: QueryRow, keys: readonly MeterKey[], ring: KeyRing): MeterAccess {
  const meterId = row["id"] as string;
  const keyId = row["association_id"] as number | null;
  const secret =
    row["secret"] === null || keyId === null
      ? null
      : ring.open(row["secret"], { meterId, kind: "secret", keyId, systemTitle: null });
  return {
    id: meterId,
    meterNumber: row["meter_number"],
    meterType: row["meter_type"],
    mode: row["mode"],
    transport: row["transport"],
    framing: row["framing"],
    host: row["host"],
    port: row["port"],
    serverSap: row["server_sap"] ?? 1,
    physicalAddress: row["physical_address"],
    gateway:
      row["gateway_address"] === null
        ? null
        : {
            networkId: row["gateway_network_id"] ?? 0,
            physicalAddress: Buffer.from(row["gateway_address"], "hex"),
          },
    systemTitle: row["system_title"] === null ? null : Buffer.from(row["system_title"], "hex"),
    securitySuite: row["security_suite"],
    requiredProtection: row["required_protection"],
    counterMayStandStill: row["counter_may_stand_still"],
    keys,
    association: keyId === null ? null : association(row, secret),
    quirks: new Set(row["quirks"] as string[]),
  };
}

function association(row: QueryRow, secret: KeyObject | null): MeterAccess["association"] {
  return {
    mechanism: row["mechanism"],
    context: row["context"],
    secret,
    preEstablished: row["pre_established"]
      ? { conformance: row["conformance"], serverMaxReceivePduSize: row["max_receive_pdu_size"] }
      : null,
  };
}

/** Remembers what meters of a type refuse. */
export async function learnQuirk(database: Database, meterType: string, quirk: string): Promise<void> {
  await database.query(
    "INSERT INTO meter_type_quirks (meter_type, quirk) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    [meterType, quirk],
  );
}
