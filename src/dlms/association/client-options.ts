import type { DataLimits } from "../encoding/data-types.ts";
import type { ProtectionKeys } from "../security/protection.ts";
import type { SecretKey } from "../security/secret-key.ts";
import type { SecuritySuite } from "../security/security-control.ts";
import type { MeterQuirks } from "./client-exchange.ts";
import type { Mechanism } from "./mechanisms.ts";
import type { ReceivedCounter, SentCounter } from "./protection.ts";

export interface ClientOptions {
  readonly mechanism: Mechanism;
  /** Password of LLS, secret of HLS 2, 3, 4 and 6. */
  readonly secret: SecretKey | null;
  /** Our challenge: 8 to 64 random octets, never used before; null without HLS. */
  readonly challenge: Buffer | null;
  /** Logical names with ciphering, or in clear. */
  readonly ciphered: boolean;
  /** 8 octets; needed in ciphered contexts and with HLS 5 and 6. */
  readonly systemTitle: Buffer | null;
  /** Needed in ciphered contexts and with HLS 5. */
  readonly security: ClientSecurity | null;
  readonly proposedConformance: number;
  /** Bits without which the association is of no use. */
  readonly requiredConformance: number;
  readonly maxReceivePduSize: number;
  readonly limits: DataLimits;
  /** Octets of an answer that is put together from blocks. */
  readonly bytesMax: number;
  /** Blocks of general block transfer that the meter may send at once. */
  readonly blockWindow: number;
  /** Time for an answer; null: the link sees to it. */
  readonly responseMs: number | null;
  /** How often a request is sent again without an answer, octet for octet: over datagrams, where it may be lost. */
  readonly repeats: number;
  readonly quirks: MeterQuirks;
  /** It stands as soon as the link does, without AARQ. */
  readonly preEstablished?: { readonly conformance: number; readonly serverMaxReceivePduSize: number };
}

export interface ClientSecurity {
  readonly suite: SecuritySuite;
  readonly keys: ProtectionKeys;
  readonly sent: SentCounter;
  readonly received: ReceivedCounter;
  /** Bits of the security control that our APDUs have: 0x10, 0x20 or 0x30. */
  readonly bits: number;
  /** Bits that the meter's must have. */
  readonly required: number;
  /** A key for this association only, with its octets for the InitiateRequest; null: the global one does. */
  readonly dedicated: { readonly key: SecretKey; readonly octets: Buffer } | null;
  /** general-glo/ded-ciphering for every service, instead of the services' own tags. */
  readonly general: boolean;
  /** The meter's system title where it is known beforehand: another one is refused. */
  readonly meterTitle: Buffer | null;
}

export type ClientEvent =
  | { readonly kind: "associated"; readonly conformance: number; readonly meterTitle: Buffer | null }
  /** The association doesn't stand, or stands no longer. */
  | { readonly kind: "failed"; readonly error: Error }
  /** The exchange that was run has its result. */
  | { readonly kind: "done"; readonly value: unknown }
  /** The exchange came to nothing; the association stands. */
  | { readonly kind: "exchange-failed"; readonly error: Error }
  /** Octets of an APDU that isn't an answer: for the push line. */
  | { readonly kind: "notification"; readonly apdu: Buffer }
  /** A counter is used up as far as it was reserved: `resume` once there is more. */
  | { readonly kind: "counter-wanted" }
  | { readonly kind: "released" };
