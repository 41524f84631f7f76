import { Reader } from "../bytes/reader.ts";
import type { Span } from "../bytes/span.ts";
import { Writer } from "../bytes/writer.ts";
import { choice, octetString, optional, sequence, unsigned8, type ValueOf } from "../encoding/codec.ts";
import { readLength } from "../encoding/length.ts";

/**
 * Envelopes of ciphered APDUs. What stands in `content` is for the security part: security control 1, invocation
 * counter 4, octets, and where it is authenticated a tag of 12.
 *
 * general-glo-ciphering (DB), general-ded-ciphering (DC): system title (length 00 or 08) · content with its length
 * Service-specific (C8 glo-get-request …): content with its length
 */
export const generalGloCiphering = sequence({ systemTitle: octetString, content: octetString });

export type GeneralGloCiphering = {
  apdu: "general-glo-ciphering" | "general-ded-ciphering";
} & ValueOf<typeof generalGloCiphering>;

/** What `generalGloCiphering` reads, without the combinators. */
export function readGeneralGloCiphering(reader: Reader): GeneralGloCiphering {
  const systemTitle = reader.octets(readLength(reader));
  const content = reader.octets(readLength(reader));
  reader.expectEnd();
  return { apdu: "general-glo-ciphering", systemTitle, content };
}

/** Where title and content stand in a general-glo-ciphering or general-ded-ciphering APDU. Most pushes of a fleet pass here. */
export function findGloCiphering(apdu: Buffer): { readonly systemTitle: Span; readonly content: Span } {
  const reader = new Reader(apdu, 1);
  const systemTitle = reader.span(readLength(reader));
  const content = reader.span(readLength(reader));
  reader.expectEnd();
  return { systemTitle, content };
}

export const serviceSpecificCiphering = sequence({ content: octetString });

const agreedKey = sequence({ parameters: octetString, cipheredData: octetString });
const wrappedKey = sequence({ keyEncryptionKeyId: unsigned8, cipheredKey: octetString });
const identifiedKey = sequence({ keyId: unsigned8 });

const keyInfo = choice("Key-Info", {
  0: ["identified-key", identifiedKey],
  1: ["wrapped-key", wrappedKey],
  2: ["agreed-key", agreedKey],
});

export type KeyInfo = ValueOf<typeof keyInfo>;

const header = {
  transactionId: octetString,
  originatorSystemTitle: octetString,
  recipientSystemTitle: octetString,
  dateTime: octetString,
  otherInformation: octetString,
};

/** general-ciphering (DD): the header's five octet-strings · key-info 00, or 01 and a choice · content. */
export const generalCiphering = sequence({
  ...header,
  keyInfo: optional(keyInfo),
  content: octetString,
});

export type GeneralCiphering = { apdu: "general-ciphering" } & ValueOf<typeof generalCiphering>;

type Header = Pick<GeneralCiphering, keyof typeof header>;

/** What the header adds to the authenticated data of its content: the five octet-strings, each with its length. */
export function authenticatedHeader(apdu: Header): Buffer {
  const writer = new Writer();
  writeHeader(writer, apdu);
  return writer.finish();
}

function writeHeader(writer: Writer, apdu: Header): void {
  for (const name of Object.keys(header) as (keyof Header)[]) octetString.write(writer, apdu[name]);
}

/** general-signing (DF): the header's five octet-strings · content · signature (raw r and s). */
export const generalSigning = sequence({ ...header, content: octetString, signature: octetString });

export type GeneralSigning = { apdu: "general-signing" } & ValueOf<typeof generalSigning>;

/** What a signature is over: the header's five octet-strings and the content, each with its length. */
export function signedOctets(apdu: Header & Pick<GeneralSigning, "content">): Buffer {
  const writer = new Writer();
  writeHeader(writer, apdu);
  octetString.write(writer, apdu.content);
  return writer.finish();
}
