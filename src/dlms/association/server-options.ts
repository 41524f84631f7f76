import type { DataLimits } from "../encoding/data-types.ts";
import type { ProtectionKeys } from "../security/protection.ts";
import type { SecuritySuite } from "../security/security-control.ts";
import type { MeterObjects } from "./meter-objects.ts";
import type { ReceivedCounter, SentCounter } from "./protection.ts";
import type { HandshakePolicy } from "./server-handshake.ts";

/** What a meter allows one of its clients. */
export interface AssociationPolicy extends HandshakePolicy {
  /** Keys and counters of ciphered contexts, and of HLS with GMAC; null where neither is used. */
  readonly security: {
    readonly suite: SecuritySuite;
    readonly keys: ProtectionKeys;
    /** Counter under which the meter sends. */
    readonly sent: SentCounter;
    readonly received: ReceivedCounter;
    /** Bits of the security control that every request must have: 0, 0x10, 0x20 or 0x30. */
    readonly required: number;
  } | null;
  /** It stands as soon as the link does, without AARQ; the client's system title where it is known. */
  readonly preEstablished?: { readonly clientTitle: Buffer | null; readonly clientMaxReceivePduSize: number };
}

export interface ServerOptions {
  readonly clientSap: number;
  readonly serverSap: number;
  /** 8 octets. */
  readonly systemTitle: Buffer;
  /** null: the meter doesn't know this client. */
  readonly policy: AssociationPolicy | null;
  readonly objects: MeterObjects;
  readonly randomOctets: (count: number) => Buffer;
  readonly maxReceivePduSize: number;
  readonly limits: DataLimits;
  /** Longest APDU that is put together from blocks. */
  readonly apduOctetsMax: number;
  /** Window and octets of general block transfer. */
  readonly blockWindow?: number;
  /** Datagrams may come twice: the same octets are answered with the same octets, and not worked on again. */
  readonly datagrams?: boolean;
}

export type ServerEvent =
  | { readonly kind: "associated"; readonly conformance: number }
  | { readonly kind: "refused"; readonly text: string }
  | { readonly kind: "released" };
