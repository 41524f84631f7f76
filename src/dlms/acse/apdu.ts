import type { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import {
  explicit,
  fields,
  objectIdentifier,
  readTagged,
  shortInteger,
  toTheEnd,
  writeTagged,
} from "../encoding/ber.ts";
import { type Codec, enumerated, octets, rest, unsigned8, type ValueOf } from "../encoding/codec.ts";
import type { DataLimits } from "../encoding/data.ts";

/**
 * ACSE (ISO/IEC 8650-1 as IEC 62056-5-3 uses it), in BER:
 *
 *     60 AARQ   A1 application context · A6 calling AP title · 8A 8B mechanism · AC authentication value · BE initiate
 *     61 AARE   A1 application context · A2 result · A3 diagnostic · A4 responding AP title · 88 89 mechanism ·
 *               AA authentication value · BE initiate response
 *     62 RLRQ, 63 RLRE   80 reason · BE
 *     64 ABRT   80 source
 *
 * What stands in `userInformation` is an xDLMS APDU, foreign to this part.
 *
 * Example: 60 1D A1 09 06 07 60857405080101 BE 10 04 0E 01000000065F1F0400007E1F04B0 proposes logical names without
 * ciphering.
 */

/** 07 80: seven bits unused, authentication. */
const requirements: Codec<Buffer> = octets(2);
const octetString = explicit(0x04, rest);
/** Some meters count its octets one short. It is the last field: what is left is part of it. */
const userInformation = toTheEnd(0x04, rest);
const oid = explicit(0x06, objectIdentifier);
const graphicString = explicit(0x80, rest);
const integer = explicit(0x02, unsigned8);

const serviceUserDiagnostic = enumerated({
  0: "null",
  1: "no-reason-given",
  2: "application-context-name-not-supported",
  3: "calling-AP-title-not-recognized",
  4: "calling-AP-invocation-identifier-not-recognized",
  5: "calling-AE-qualifier-not-recognized",
  6: "calling-AE-invocation-identifier-not-recognized",
  7: "called-AP-title-not-recognized",
  8: "called-AP-invocation-identifier-not-recognized",
  9: "called-AE-qualifier-not-recognized",
  10: "called-AE-invocation-identifier-not-recognized",
  11: "authentication-mechanism-name-not-recognised",
  12: "authentication-mechanism-name-required",
  13: "authentication-failure",
  14: "authentication-required",
});

const serviceProviderDiagnostic = enumerated({
  0: "null",
  1: "no-reason-given",
  2: "no-common-acse-version",
});

const user = explicit(0xa1, explicit(0x02, serviceUserDiagnostic));
const provider = explicit(0xa2, explicit(0x02, serviceProviderDiagnostic));

export interface ResultSourceDiagnostic {
  readonly source: "acse-service-user" | "acse-service-provider";
  readonly diagnostic: ValueOf<typeof serviceUserDiagnostic> | ValueOf<typeof serviceProviderDiagnostic>;
}

const resultSourceDiagnostic: Codec<ResultSourceDiagnostic> = {
  read: (reader, limits) =>
    reader.peek() === 0xa2
      ? { source: "acse-service-provider", diagnostic: provider.read(reader, limits) }
      : { source: "acse-service-user", diagnostic: user.read(reader, limits) },
  write: (writer, { source, diagnostic }) => {
    const codec: Codec<ResultSourceDiagnostic["diagnostic"]> =
      source === "acse-service-provider" ? (provider as Codec<never>) : (user as Codec<never>);
    codec.write(writer, diagnostic);
  },
};

export const aarq = fields("an AARQ", {
  protocolVersion: [0x80, rest],
  applicationContextName: [0xa1, oid],
  calledApTitle: [0xa2, rest],
  calledAeQualifier: [0xa3, rest],
  calledApInvocationId: [0xa4, rest],
  calledAeInvocationId: [0xa5, rest],
  callingApTitle: [0xa6, octetString],
  callingAeQualifier: [0xa7, octetString],
  callingApInvocationId: [0xa8, integer],
  callingAeInvocationId: [0xa9, integer],
  senderAcseRequirements: [0x8a, requirements],
  mechanismName: [0x8b, objectIdentifier],
  callingAuthenticationValue: [0xac, graphicString],
  implementationInformation: [0xbd, rest],
  userInformation: [0xbe, userInformation],
});

export const aare = fields("an AARE", {
  protocolVersion: [0x80, rest],
  applicationContextName: [0xa1, oid],
  result: [
    0xa2,
    explicit(0x02, enumerated({ 0: "accepted", 1: "rejected-permanent", 2: "rejected-transient" })),
  ],
  resultSourceDiagnostic: [0xa3, resultSourceDiagnostic],
  respondingApTitle: [0xa4, octetString],
  respondingAeQualifier: [0xa5, octetString],
  respondingApInvocationId: [0xa6, integer],
  respondingAeInvocationId: [0xa7, integer],
  responderAcseRequirements: [0x88, requirements],
  mechanismName: [0x89, objectIdentifier],
  respondingAuthenticationValue: [0xaa, graphicString],
  implementationInformation: [0xbd, rest],
  userInformation: [0xbe, userInformation],
});

export const rlrq = fields("an RLRQ", {
  reason: [0x80, shortInteger(enumerated({ 0: "normal", 1: "urgent", 30: "user-defined" }))],
  userInformation: [0xbe, userInformation],
});

export const rlre = fields("an RLRE", {
  reason: [0x80, shortInteger(enumerated({ 0: "normal", 1: "not-finished", 30: "user-defined" }))],
  userInformation: [0xbe, userInformation],
});

export const abrt = fields("an ABRT", {
  source: [0x80, shortInteger(enumerated({ 0: "acse-service-user", 1: "acse-service-provider" }))],
  diagnostic: [0x81, unsigned8],
  userInformation: [0xbe, userInformation],
});

export type Aarq = { apdu: "aarq" } & ValueOf<typeof aarq>;
export type Aare = { apdu: "aare" } & ValueOf<typeof aare>;
export type Rlrq = { apdu: "rlrq" } & ValueOf<typeof rlrq>;
export type Rlre = { apdu: "rlre" } & ValueOf<typeof rlre>;
export type Abrt = { apdu: "abrt" } & ValueOf<typeof abrt>;

/** Absent fields are null. Buffers are views of what was read. */
export type AcseApdu = Aarq | Aare | Rlrq | Rlre | Abrt;

interface Entry {
  readonly apdu: AcseApdu["apdu"];
  readonly codec: Codec<unknown>;
}

const BY_TAG: ReadonlyMap<number, Entry> = new Map([
  [0x60, { apdu: "aarq", codec: aarq }],
  [0x61, { apdu: "aare", codec: aare }],
  [0x62, { apdu: "rlrq", codec: rlrq }],
  [0x63, { apdu: "rlre", codec: rlre }],
  [0x64, { apdu: "abrt", codec: abrt }],
]);

export function isAcseTag(tag: number): boolean {
  return BY_TAG.has(tag);
}

/** Reads one whole ACSE APDU. Throws DecodeError. `trace` is told what is read. */
export function readAcse(octets: Buffer, limits: DataLimits, trace: Reader["trace"] = null): AcseApdu {
  const { entry, value } = readTagged(octets, BY_TAG, "an ACSE APDU", limits, trace);
  return { apdu: entry.apdu, ...(value as object) } as AcseApdu;
}

/** The octets of an ACSE APDU, tag and length included. */
export function writeAcse(apdu: AcseApdu): Buffer {
  for (const [tag, entry] of BY_TAG) {
    if (entry.apdu === apdu.apdu) {
      const writer = new Writer();
      writeTagged(writer, tag, entry.codec, apdu);
      return writer.finish();
    }
  }
  throw new TypeError(`no ACSE APDU ${apdu.apdu}`);
}

const CONTEXT_ARC = "2.16.756.5.8.1.";
const MECHANISM_ARC = "2.16.756.5.8.2.";

/** 2.16.756.5.8.1.n */
export const applicationContexts = {
  [`${CONTEXT_ARC}1`]: "LN",
  [`${CONTEXT_ARC}2`]: "SN",
  [`${CONTEXT_ARC}3`]: "LN-with-ciphering",
  [`${CONTEXT_ARC}4`]: "SN-with-ciphering",
} as Readonly<Record<string, string>>;

/** 2.16.756.5.8.2.n */
export const mechanisms = {
  [`${MECHANISM_ARC}0`]: "lowest",
  [`${MECHANISM_ARC}1`]: "low-LLS",
  [`${MECHANISM_ARC}2`]: "high-HLS",
  [`${MECHANISM_ARC}3`]: "high-HLS-MD5",
  [`${MECHANISM_ARC}4`]: "high-HLS-SHA1",
  [`${MECHANISM_ARC}5`]: "high-HLS-GMAC",
  [`${MECHANISM_ARC}6`]: "high-HLS-SHA256",
  [`${MECHANISM_ARC}7`]: "high-HLS-ECDSA",
} as Readonly<Record<string, string>>;
