import { type Aare, type Aarq, writeAcse } from "../acse/apdu.ts";
import { DecodeError } from "../bytes/errors.ts";
import type { Data, DataLimits } from "../encoding/data-types.ts";
import { SecurityError } from "../security/errors.ts";
import { isSecret } from "../security/hls.ts";
import type { SecretKey } from "../security/secret-key.ts";
import { readApdu, writeApdu } from "../xdlms/apdu.ts";
import type { InitiateRequest } from "../xdlms/initiate.ts";
import type { ConfirmedServiceError } from "../xdlms/refusals.ts";
import { LocalProtocolError } from "./errors.ts";
import { answerChallenge, checkAnswer, type HlsMeans } from "./hls-exchange.ts";
import {
  AUTHENTICATION_REQUIREMENT,
  CHALLENGE_MAX,
  CHALLENGE_MIN,
  CONTEXT,
  DLMS_VERSION,
  isHls,
  type Mechanism,
  mechanismOf,
  mechanismOid,
  VAA_NAME_LN,
} from "./mechanisms.ts";
import type { ApduProtection, Opened, Protection } from "./protection.ts";

/** Passes 1 and 2 of an association at the meter's end: what an AARQ says, and the AARE that answers it. */
export interface HandshakePolicy {
  readonly mechanism: Mechanism;
  readonly secret: SecretKey | null;
  readonly ciphered: boolean;
  readonly conformance: number;
}

type Diagnostic = NonNullable<Aare["resultSourceDiagnostic"]>["diagnostic"];

/** What a proposal is refused with. */
export class ProposalRefused extends Error {
  readonly diagnostic: Diagnostic;
  readonly initiateError: ConfirmedServiceError["error"]["value"] | null;

  constructor(
    diagnostic: Diagnostic,
    text: string,
    initiateError: ConfirmedServiceError["error"]["value"] | null = null,
  ) {
    super(text);
    this.name = "ProposalRefused";
    this.diagnostic = diagnostic;
    this.initiateError = initiateError;
  }
}

export interface Proposal {
  readonly initiate: InitiateRequest;
  /** How the InitiateRequest was protected: the answer is protected the same way. */
  readonly protection: Protection;
  /** CtoS of HLS; null for the other mechanisms. */
  readonly challenge: Buffer | null;
}

/** Context, mechanism and password. @throws ProposalRefused */
export function checkProposal(aarq: Aarq, policy: HandshakePolicy): Buffer | null {
  const context = policy.ciphered ? CONTEXT.logicalNamesCiphered : CONTEXT.logicalNames;
  if (aarq.applicationContextName !== context) {
    throw new ProposalRefused("application-context-name-not-supported", "another application context");
  }
  if (policy.ciphered && aarq.callingApTitle?.length !== 8) {
    throw new ProposalRefused("calling-AP-title-not-recognized", "no system title of 8 octets");
  }
  const mechanism = mechanismOf(aarq.mechanismName);
  if (mechanism !== policy.mechanism) {
    const diagnostic =
      aarq.mechanismName === null
        ? "authentication-mechanism-name-required"
        : "authentication-mechanism-name-not-recognised";
    throw new ProposalRefused(diagnostic, "another authentication mechanism");
  }
  const value = aarq.callingAuthenticationValue;
  if (mechanism === 0) return null;
  if (mechanism === 1) {
    if (policy.secret === null || value === null || !isSecret(policy.secret, value)) {
      throw new ProposalRefused("authentication-failure", "wrong password");
    }
    return null;
  }
  if (value === null || value.length < CHALLENGE_MIN || value.length > CHALLENGE_MAX) {
    throw new ProposalRefused("authentication-failure", "no challenge of 8 to 64 octets");
  }
  return Buffer.from(value);
}

/** The InitiateRequest of an AARQ. @throws ProposalRefused */
export function openInitiate(
  aarq: Aarq,
  protection: ApduProtection | null,
  limits: DataLimits,
): { initiate: InitiateRequest; protection: Protection } {
  try {
    if (aarq.userInformation === null) throw new DecodeError("truncated", 0, "no user information");
    const opened: Opened =
      protection === null
        ? { plaintext: aarq.userInformation, protection: { bits: 0, dedicated: false, general: false } }
        : protection.open(aarq.userInformation);
    const initiate = readApdu(opened.plaintext, limits);
    if (initiate.apdu !== "initiate-request") throw new DecodeError("invalid", 0, "no InitiateRequest");
    return { initiate, protection: opened.protection };
  } catch (error) {
    if (error instanceof SecurityError) throw new ProposalRefused("no-reason-given", error.message);
    if (error instanceof DecodeError) {
      throw new ProposalRefused("no-reason-given", error.message, "refused-by-the-vde-handler");
    }
    throw error;
  }
}

/** The conformance of both sides. @throws ProposalRefused */
export function negotiate(initiate: InitiateRequest, conformance: number): number {
  if (initiate.proposedDlmsVersionNumber < DLMS_VERSION) {
    throw new ProposalRefused("no-reason-given", "an older DLMS version", "dlms-version-too-low");
  }
  const { clientMaxReceivePduSize } = initiate;
  if (clientMaxReceivePduSize !== 0 && clientMaxReceivePduSize < PDU_MIN) {
    throw new ProposalRefused("no-reason-given", "a PDU size under 12 octets", "pdu-size-too-short");
  }
  const both = initiate.proposedConformance & conformance;
  if (both === 0) {
    throw new ProposalRefused("no-reason-given", "no service in common", "incompatible-conformance");
  }
  return both;
}

const PDU_MIN = 12;

export interface AcceptedFields {
  readonly policy: HandshakePolicy;
  readonly systemTitle: Buffer | null;
  readonly challenge: Buffer | null;
  readonly userInformation: Buffer;
}

export function acceptingAare({ policy, systemTitle, challenge, userInformation }: AcceptedFields): Buffer {
  const hls = isHls(policy.mechanism);
  return writeAcse({
    ...EMPTY_AARE,
    applicationContextName: policy.ciphered ? CONTEXT.logicalNamesCiphered : CONTEXT.logicalNames,
    result: "accepted",
    resultSourceDiagnostic: {
      source: "acse-service-user",
      diagnostic: hls ? "authentication-required" : "null",
    },
    respondingApTitle: systemTitle,
    ...(hls
      ? {
          responderAcseRequirements: AUTHENTICATION_REQUIREMENT,
          mechanismName: mechanismOid(policy.mechanism),
          respondingAuthenticationValue: challenge,
        }
      : {}),
    userInformation,
  });
}

export function initiateResponse(conformance: number, serverMaxReceivePduSize: number): Buffer {
  return writeApdu({
    apdu: "initiate-response",
    negotiatedQualityOfService: null,
    negotiatedDlmsVersionNumber: DLMS_VERSION,
    negotiatedConformance: conformance,
    serverMaxReceivePduSize,
    vaaName: VAA_NAME_LN,
  });
}

export function refusingAare(aarq: Aarq, { diagnostic, initiateError }: ProposalRefused): Buffer {
  const error =
    initiateError === null
      ? null
      : writeApdu({
          apdu: "confirmed-service-error",
          service: "initiate-error",
          error: { kind: "initiate", value: initiateError as "dlms-version-too-low" },
        });
  return writeAcse({
    ...EMPTY_AARE,
    applicationContextName: aarq.applicationContextName ?? CONTEXT.logicalNames,
    result: "rejected-permanent",
    resultSourceDiagnostic: { source: "acse-service-user", diagnostic },
    userInformation: error,
  });
}

const EMPTY_AARE: Aare = {
  apdu: "aare",
  protocolVersion: null,
  applicationContextName: null,
  result: null,
  resultSourceDiagnostic: null,
  respondingApTitle: null,
  respondingAeQualifier: null,
  respondingApInvocationId: null,
  respondingAeInvocationId: null,
  responderAcseRequirements: null,
  mechanismName: null,
  respondingAuthenticationValue: null,
  implementationInformation: null,
  userInformation: null,
};

interface HandshakeChallenges {
  readonly client: Buffer;
  readonly server: Buffer;
  readonly clientTitle: Buffer;
  readonly serverTitle: Buffer;
}

/** Checks pass 3 and gives what pass 4 says; null where the client's answer is wrong. */
export function replyToHls(
  means: HlsMeans,
  parameters: Data | null,
  { client, server, clientTitle, serverTitle }: HandshakeChallenges,
): Data | null {
  const given = parameters?.type === "octet-string" ? parameters.value : Buffer.alloc(0);
  try {
    checkAnswer(means, given, {
      received: server,
      sent: client,
      ownTitle: clientTitle,
      peerTitle: serverTitle,
    });
  } catch (error) {
    if (error instanceof SecurityError) return null;
    throw error;
  }
  const value = answerChallenge(means, {
    received: client,
    sent: server,
    ownTitle: serverTitle,
    peerTitle: clientTitle,
  });
  if (value === null) throw new LocalProtocolError("the meter's invocation counter is used up");
  return { type: "octet-string", value };
}
