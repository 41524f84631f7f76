import { DecodeError } from "../dlms/bytes/errors.ts";
import { type Span, spanOf } from "../dlms/bytes/span.ts";
import type { DataLimits } from "../dlms/encoding/data.ts";
import { readSecurityHeaderIn, type SecurityHeader } from "../dlms/security/protection.ts";
import { readAsciiPush } from "../dlms/text/ascii-push.ts";
import { TELEGRAM_START } from "../dlms/text/p1-telegram.ts";
import { readApdu } from "../dlms/xdlms/apdu.ts";
import {
  authenticatedHeader,
  findGloCiphering,
  type GeneralSigning,
  type KeyInfo,
  signedOctets,
} from "../dlms/xdlms/ciphered.ts";
import type { GeneralBlockTransfer } from "../dlms/xdlms/general-block-transfer.ts";

/** Which of a meter's keys a ciphered APDU needs. */
export type NamedKey =
  | { readonly kind: "global" }
  /** Of an association; for pushes a key that was configured. */
  | { readonly kind: "dedicated" }
  | { readonly kind: "broadcast" }
  /** Came along, wrapped with the master key. */
  | { readonly kind: "wrapped"; readonly wrapped: Buffer }
  | { readonly kind: "agreed" };

/** What somebody has put his signature to. */
export interface Signature {
  /** Of who signed; empty where the header leaves it out. */
  readonly systemTitle: Buffer;
  readonly message: Buffer;
  /** r and s; empty where nobody has signed, as GB meters leave it. */
  readonly signature: Buffer;
}

interface Signed {
  /** The outermost first; absent where nothing was signed. */
  readonly signatures?: readonly Signature[];
}

/** What an APDU is to the ingest before any key was used. */
export type Envelope =
  /** Nothing protects it. `apdu` is without what it was signed with. */
  | ({ readonly kind: "plain"; readonly apdu: Buffer } & Signed)
  | ({
      readonly kind: "ciphered";
      /** The originator's, as sent; null for service-specific ciphering, which does not say whose it is. */
      readonly systemTitle: Span | null;
      readonly header: SecurityHeader;
      readonly content: Span;
      readonly key: NamedKey;
      /** What the header of general-ciphering adds to the authenticated data. */
      readonly additional: Buffer | null;
    } & Signed)
  | { readonly kind: "block"; readonly block: GeneralBlockTransfer }
  | { readonly kind: "unsupported"; readonly name: string };

export type Ciphered = Extract<Envelope, { kind: "ciphered" }>;

const PLAIN_TAGS: ReadonlySet<number> = new Set([
  0x0f, // data-notification
  0x18, // information-report
  0xc2, // event-notification
  0xda, // access-response
  TELEGRAM_START,
]);

const GENERAL_GLO_CIPHERING = 0xdb;
const GENERAL_DED_CIPHERING = 0xdc;

const GLOBAL: NamedKey = { kind: "global" };
const DEDICATED: NamedKey = { kind: "dedicated" };
/** Signatures around signatures are nothing that a meter sends. */
const SIGNATURES_MAX = 2;

/** Whether nothing has to be taken away before the push can be read. */
export function isInClear(apdu: Buffer): boolean {
  return PLAIN_TAGS.has(apdu[0]!) || readAsciiPush(apdu) !== null;
}

/**
 * Throws DecodeError or SecurityError "malformed". A notification in clear is not read yet. Signatures are taken away and kept beside:
 * they can be checked when it is known whose they ought to be.
 */
export function openEnvelope(apdu: Buffer, limits: DataLimits, signatures = 0): Envelope {
  if (apdu[0] === GENERAL_GLO_CIPHERING) return gloCiphered(apdu, GLOBAL);
  if (apdu[0] === GENERAL_DED_CIPHERING) return gloCiphered(apdu, DEDICATED);
  if (isInClear(apdu)) return { kind: "plain", apdu };
  const read = readApdu(apdu, limits);
  switch (read.apdu) {
    case "glo-event-notification":
    case "glo-information-report":
      return ciphered(null, spanOf(read.content), GLOBAL);
    case "ded-event-notification":
    case "ded-information-report":
      return ciphered(null, spanOf(read.content), DEDICATED);
    case "general-ciphering":
      return ciphered(
        spanOf(read.originatorSystemTitle),
        spanOf(read.content),
        namedKey(read.keyInfo),
        authenticatedHeader(read),
      );
    case "general-signing":
      if (signatures >= SIGNATURES_MAX) throw new DecodeError("limit", 0, "too many signatures");
      return withSignature(openEnvelope(read.content, limits, signatures + 1), read);
    case "general-block-transfer":
      return { kind: "block", block: read };
    default:
      return { kind: "unsupported", name: read.apdu };
  }
}

function gloCiphered(apdu: Buffer, key: NamedKey): Envelope {
  const { systemTitle, content } = findGloCiphering(apdu);
  return ciphered(systemTitle, content, key);
}

function withSignature(inside: Envelope, signed: GeneralSigning): Envelope {
  if (inside.kind !== "plain" && inside.kind !== "ciphered") return inside;
  const { originatorSystemTitle: systemTitle, signature } = signed;
  const outer = { systemTitle, message: signedOctets(signed), signature };
  return { ...inside, signatures: [outer, ...(inside.signatures ?? [])] };
}

function ciphered(
  title: Span | null,
  content: Span,
  key: NamedKey,
  additional: Buffer | null = null,
): Envelope {
  const systemTitle = title === null || title.from === title.to ? null : title;
  return { kind: "ciphered", systemTitle, header: readSecurityHeaderIn(content), content, key, additional };
}

const UNICAST = 0;
const BROADCAST = 1;
const MASTER = 0;

/** Which key general-ciphering names. Throws DecodeError where it names none. */
export function namedKey(info: KeyInfo | null): NamedKey {
  if (info === null) return GLOBAL;
  if (info.kind === "agreed-key") return { kind: "agreed" };
  if (info.kind === "wrapped-key") {
    if (info.keyEncryptionKeyId === MASTER) return { kind: "wrapped", wrapped: info.cipheredKey };
    throw new DecodeError("invalid", 0, `${info.keyEncryptionKeyId} identifies no key-encryption key`);
  }
  if (info.keyId === UNICAST) return GLOBAL;
  if (info.keyId === BROADCAST) return { kind: "broadcast" };
  throw new DecodeError("invalid", 0, `${info.keyId} identifies no key`);
}
