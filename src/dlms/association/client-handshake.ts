import { type Aare, type Aarq, writeAcse } from "../acse/apdu.ts";
import { DecodeError } from "../bytes/errors.ts";
import { SecurityError } from "../security/errors.ts";
import type { ActionResponse } from "../xdlms/action.ts";
import { type Apdu, readApdu, writeApdu } from "../xdlms/apdu.ts";
import type { InitiateResponse } from "../xdlms/initiate.ts";
import { rejection } from "./client-exchange.ts";
import type { ClientOptions } from "./client-options.ts";
import { LocalProtocolError, PeerProtocolError } from "./errors.ts";
import { answerChallenge, checkAnswer, type HlsMeans, REPLY_TO_HLS } from "./hls-exchange.ts";
import {
  AUTHENTICATION_REQUIREMENT,
  CHALLENGE_MAX,
  CHALLENGE_MIN,
  CONTEXT,
  contextName,
  DLMS_VERSION,
  isHls,
  mechanismName,
  mechanismOid,
} from "./mechanisms.ts";
import type { ApduProtection, Protection } from "./protection.ts";
import { describeRefusal } from "./requests.ts";

/** Passes 1 and 2 of an association at the client's end: the AARQ, and what the AARE must say. */

const contextOf = ({ ciphered }: ClientOptions) =>
  ciphered ? CONTEXT.logicalNamesCiphered : CONTEXT.logicalNames;

/** In the context without ciphering nothing is protected, whatever keys there are for HLS. */
export function initiateProtection({ ciphered, security }: ClientOptions): Protection {
  return { bits: ciphered ? (security?.bits ?? 0) : 0, dedicated: false, general: false };
}

export function initiateRequest(options: ClientOptions): Buffer {
  return writeApdu({
    apdu: "initiate-request",
    dedicatedKey: options.ciphered ? (options.security?.dedicated?.octets ?? null) : null,
    responseAllowed: true,
    proposedQualityOfService: null,
    proposedDlmsVersionNumber: DLMS_VERSION,
    proposedConformance: options.proposedConformance,
    clientMaxReceivePduSize: options.maxReceivePduSize,
  });
}

const sendsTitle = ({ ciphered, mechanism }: ClientOptions) => ciphered || mechanism >= 5;

/** `userInformation`: the InitiateRequest, ciphered where the context is. @throws LocalProtocolError */
export function aarqOf(options: ClientOptions, userInformation: Buffer): Buffer {
  const { mechanism, secret, challenge, systemTitle } = options;
  if (sendsTitle(options) && systemTitle === null) {
    throw new LocalProtocolError("the association needs a system title of ours");
  }
  if (isHls(mechanism) && challenge === null) throw new LocalProtocolError("HLS needs a challenge");
  if (mechanism === 1 && secret === null) throw new LocalProtocolError("LLS needs a password");
  const authentication =
    mechanism === 0
      ? {}
      : {
          senderAcseRequirements: AUTHENTICATION_REQUIREMENT,
          mechanismName: mechanismOid(mechanism),
          callingAuthenticationValue: mechanism === 1 ? secret!.export() : challenge,
        };
  return writeAcse({
    ...EMPTY_AARQ,
    applicationContextName: contextOf(options),
    callingApTitle: sendsTitle(options) ? systemTitle : null,
    ...authentication,
    userInformation,
  });
}

/** What an AARE has told. */
export interface Accepted {
  readonly initiate: InitiateResponse;
  /** StoC; null without HLS. */
  readonly challenge: Buffer | null;
  readonly meterTitle: Buffer | null;
}

/** @throws PeerProtocolError where it refuses, or isn't what was asked for; SecurityError, DecodeError */
export function checkAare(aare: Aare, options: ClientOptions, protection: ApduProtection | null): Accepted {
  if (aare.result !== "accepted") throw refusal(aare, options);
  if (aare.applicationContextName !== contextOf(options)) {
    throw refused(`the meter answers in context ${contextName(aare.applicationContextName)}`);
  }
  const asked = options.mechanism === 0 ? null : mechanismOid(options.mechanism);
  // Meters that accept without a word about the mechanism accept the one that was asked for.
  if (aare.mechanismName !== null && aare.mechanismName !== asked) {
    throw refused(`the meter answers with mechanism ${mechanismName(aare.mechanismName)}`);
  }
  const meterTitle = titleOf(aare, options);
  if (protection !== null) protection.peerTitle ??= meterTitle;
  const challenge = challengeOf(aare, options);
  return { initiate: initiateOf(aare, options, protection), challenge, meterTitle };
}

const refused = (text: string) => new PeerProtocolError("association_refused", text);

function refusal(aare: Aare, options: ClientOptions): PeerProtocolError {
  const diagnostic = aare.resultSourceDiagnostic?.diagnostic ?? "no reason";
  let detail = "";
  try {
    if (aare.userInformation !== null) {
      const inner = readApdu(aare.userInformation, options.limits);
      if (inner.apdu === "confirmed-service-error") {
        detail = `; ${describeRefusal({ kind: "rejected", response: inner })}`;
      }
    }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
  return refused(`the meter refuses the association: ${aare.result}, ${diagnostic}${detail}`);
}

function titleOf({ respondingApTitle }: Aare, options: ClientOptions): Buffer | null {
  const known = options.security?.meterTitle ?? null;
  if (respondingApTitle === null) return known;
  if (options.systemTitle?.equals(respondingApTitle)) {
    throw new PeerProtocolError("identity_mismatch", "the meter answers with our own system title");
  }
  if (known !== null && !known.equals(respondingApTitle)) {
    const text = `the meter's system title is ${known.toString("hex")}, and ${respondingApTitle.toString("hex")} answers`;
    throw new PeerProtocolError("identity_mismatch", text);
  }
  return Buffer.from(respondingApTitle);
}

function challengeOf({ respondingAuthenticationValue }: Aare, options: ClientOptions): Buffer | null {
  if (!isHls(options.mechanism)) return null;
  const challenge = respondingAuthenticationValue;
  if (challenge === null || challenge.length < CHALLENGE_MIN || challenge.length > CHALLENGE_MAX) {
    throw new PeerProtocolError("hls_failed", "the meter's challenge doesn't have 8 to 64 octets");
  }
  if (options.challenge?.equals(challenge)) {
    throw new PeerProtocolError("hls_failed", "the meter's challenge is our own");
  }
  return Buffer.from(challenge);
}

function initiateOf(aare: Aare, options: ClientOptions, protection: ApduProtection | null): InitiateResponse {
  if (aare.userInformation === null) throw refused("the meter's AARE has no InitiateResponse");
  const opened = protection?.open(aare.userInformation) ?? null;
  const bits = opened?.protection.bits ?? 0;
  requireBits(options, bits, "InitiateResponse");
  const initiate = readApdu(opened?.plaintext ?? aare.userInformation, options.limits);
  if (initiate.apdu === "confirmed-service-error") {
    throw refused(`the meter refuses: ${describeRefusal({ kind: "rejected", response: initiate })}`);
  }
  if (initiate.apdu !== "initiate-response") throw refused(`the meter's AARE holds an ${initiate.apdu}`);
  const missing = options.requiredConformance & ~initiate.negotiatedConformance;
  if (missing !== 0) {
    throw refused(
      `the meter doesn't offer what is needed: conformance ${missing.toString(16).padStart(6, "0")}`,
    );
  }
  return initiate;
}

/** @throws PeerProtocolError where an answer has less protection than it must have */
export function requireBits({ ciphered, security }: ClientOptions, bits: number, what: string): void {
  const missing = ciphered && security !== null ? security.required & ~bits : 0;
  if (missing === 0) return;
  const reason = bits === 0 ? "plaintext_refused" : "weak_protection";
  throw new PeerProtocolError(reason, `the meter's ${what} has less protection than it must have`);
}

/** What anything thrown at an AARE or at pass 4 means for the association. */
export function handshakeError(error: unknown): PeerProtocolError {
  if (error instanceof PeerProtocolError) return error;
  if (error instanceof SecurityError) {
    const reason =
      error.reason === "unsupported" || error.reason === "malformed" ? "malformed" : error.reason;
    return new PeerProtocolError(reason, `the meter's answer can't be opened: ${error.message}`, {
      cause: error,
    });
  }
  if (error instanceof DecodeError) {
    return new PeerProtocolError("malformed", `the meter's answer makes no sense: ${error.message}`, {
      cause: error,
    });
  }
  throw error;
}

const EMPTY_AARQ: Aarq = {
  apdu: "aarq",
  protocolVersion: null,
  applicationContextName: null,
  calledApTitle: null,
  calledAeQualifier: null,
  calledApInvocationId: null,
  calledAeInvocationId: null,
  callingApTitle: null,
  callingAeQualifier: null,
  callingApInvocationId: null,
  callingAeInvocationId: null,
  senderAcseRequirements: null,
  mechanismName: null,
  callingAuthenticationValue: null,
  implementationInformation: null,
  userInformation: null,
};

/** The challenges of both sides and the meter's title, as passes 1 and 2 have told them. */
export interface Challenges {
  readonly meter: Buffer;
  readonly meterTitle: Buffer;
}

/** Pass 3: our answer to the meter's challenge. @throws LocalProtocolError, SecurityError */
export function pass3(options: ClientOptions, means: HlsMeans, { meter, meterTitle }: Challenges): Buffer {
  const ownTitle = options.systemTitle ?? NO_TITLE;
  const challenges = { received: meter, sent: options.challenge!, ownTitle, peerTitle: meterTitle };
  const reply = answerChallenge(means, challenges);
  if (reply === null) throw new LocalProtocolError("no invocation counter is reserved for the challenge");
  return writeApdu({
    apdu: "action-request",
    kind: "normal",
    invokeIdAndPriority: PASS_3_INVOKE_ID,
    method: REPLY_TO_HLS,
    parameters: { type: "octet-string", value: reply },
  });
}

const NO_TITLE = Buffer.alloc(0);
/** Confirmed, high priority, 1. */
const PASS_3_INVOKE_ID = 0xc1;

/** Pass 4: the meter's answer to ours. @throws PeerProtocolError */
export function checkPass4(
  response: Apdu,
  options: ClientOptions,
  means: HlsMeans,
  { meter, meterTitle }: Challenges,
): void {
  const refusal = rejection(response);
  if (refusal !== null) throw refused(`the meter refuses pass 3: ${describeRefusal(refusal)}`);
  if (response.apdu !== "action-response" || response.kind !== "normal") {
    throw new PeerProtocolError("malformed", `pass 4 is an ${response.apdu}`);
  }
  if (response.result !== "success") {
    throw refused(`the meter doesn't accept our answer to its challenge: ${response.result}`);
  }
  const peerTitle = options.systemTitle ?? NO_TITLE;
  try {
    checkAnswer(means, replyOf(response), {
      received: options.challenge!,
      sent: meter,
      ownTitle: meterTitle,
      peerTitle,
    });
  } catch (error) {
    if (!(error instanceof SecurityError)) throw error;
    throw new PeerProtocolError("hls_failed", "the meter's answer to our challenge is wrong", {
      cause: error,
    });
  }
}

function replyOf({ returnParameters }: ActionResponse & { kind: "normal" }): Buffer {
  if (returnParameters?.kind !== "data" || returnParameters.data.type !== "octet-string") return NO_TITLE;
  return returnParameters.data.value;
}
