import type { DataLimits } from "../dlms/encoding/data.ts";
import { readSecurityHeader, type SecurityHeader } from "../dlms/security/protection.ts";
import { readApdu } from "../dlms/xdlms/apdu.ts";
import type { GeneralBlockTransfer } from "../dlms/xdlms/general-block-transfer.ts";

/** What an APDU is to the ingest before any key was used. */
export type Envelope =
  /** Nothing protects it. */
  | { readonly kind: "plain" }
  | {
      readonly kind: "ciphered";
      /** The originator's, as sent; null for service-specific ciphering, which does not say whose it is. */
      readonly systemTitle: Buffer | null;
      readonly header: SecurityHeader;
      readonly content: Buffer;
    }
  | { readonly kind: "block"; readonly block: GeneralBlockTransfer }
  | { readonly kind: "unsupported"; readonly name: string };

const DATA_NOTIFICATION = 0x0f;
const EVENT_NOTIFICATION = 0xc2;

export function isInClear(apdu: Buffer): boolean {
  return apdu[0] === DATA_NOTIFICATION || apdu[0] === EVENT_NOTIFICATION;
}

/** Throws DecodeError or SecurityError "malformed". A notification in clear is not read yet. */
export function openEnvelope(apdu: Buffer, limits: DataLimits): Envelope {
  if (isInClear(apdu)) return { kind: "plain" };
  const read = readApdu(apdu, limits);
  switch (read.apdu) {
    case "general-glo-ciphering":
      return ciphered(read.systemTitle.length === 0 ? null : read.systemTitle, read.content);
    case "glo-event-notification":
      return ciphered(null, read.content);
    case "general-block-transfer":
      return { kind: "block", block: read };
    default:
      return { kind: "unsupported", name: read.apdu };
  }
}

function ciphered(systemTitle: Buffer | null, content: Buffer): Envelope {
  return { kind: "ciphered", systemTitle, header: readSecurityHeader(content), content };
}
