import { type Aarq, isAcseTag, readAcse, writeAcse } from "../acse/apdu.ts";
import { DecodeError } from "../bytes/errors.ts";
import { SecurityError } from "../security/errors.ts";
import { secretKey } from "../security/secret-key.ts";
import { type Apdu, readApdu, writeApdu } from "../xdlms/apdu.ts";
import type { ExceptionResponse } from "../xdlms/refusals.ts";
import { LocalProtocolError } from "./errors.ts";
import { GeneralBlocks } from "./general-blocks.ts";
import { type HlsMeans, isReplyToHls } from "./hls-exchange.ts";
import { CONFORMANCE, isHls } from "./mechanisms.ts";
import {
  ApduProtection,
  type Opened,
  PROTECTION_OCTETS,
  type Protection,
  ReceivedCounter,
  UNPROTECTED,
} from "./protection.ts";
import { serve } from "./server-dispatch.ts";
import { exception, securityException } from "./server-exceptions.ts";
import {
  acceptingAare,
  checkProposal,
  initiateResponse,
  negotiate,
  openInitiate,
  ProposalRefused,
  refusingAare,
  replyToHls,
} from "./server-handshake.ts";
import type { AssociationPolicy, ServerEvent, ServerOptions } from "./server-options.ts";
import { type Answer, ServerServices } from "./server-services.ts";
import { type AssociationInput, type AssociationState, nextState } from "./states.ts";

const CHALLENGE_OCTETS = 16;
const BLOCK_HEADER_OCTETS = 9;
const DEDICATED_OCTETS = 16;

/**
 * The meter's end of an association (IEC 62056-5-3) with one client. Sans-IO: `receive` an APDU, then send what `takeOutput` gives.
 * What the client may not do, or what can't be understood, is answered as the standard provides; nothing throws.
 */
export class ServerAssociation {
  readonly #options: ServerOptions;
  readonly #output: Buffer[] = [];
  readonly #events: ServerEvent[] = [];
  #state: AssociationState = "idle";
  #protection: ApduProtection | null = null;
  #clientMaxReceivePduSize = 0;
  #conformance = 0;
  #services: ServerServices | null = null;
  #challenges: { readonly client: Buffer; readonly server: Buffer; readonly clientTitle: Buffer } | null =
    null;
  #blocks: GeneralBlocks | null = null;
  #lastRequest: Buffer | null = null;
  #lastAnswer: Buffer[] = [];

  constructor(options: ServerOptions) {
    this.#options = options;
    const pre = options.policy?.preEstablished;
    if (pre !== undefined) this.#preEstablish(pre);
  }

  get state(): AssociationState {
    return this.#state;
  }

  receive(apdu: Buffer): void {
    if (this.#options.datagrams && this.#lastRequest?.equals(apdu)) {
      this.#output.push(...this.#lastAnswer);
      return;
    }
    const before = this.#output.length;
    this.#take(apdu);
    if (this.#options.datagrams) {
      this.#lastRequest = Buffer.from(apdu);
      this.#lastAnswer = this.#output.slice(before);
    }
  }

  /** The link has gone, or was opened anew. */
  linkLost(): void {
    this.#move("lost");
    this.#services = null;
    this.#blocks = null;
    this.#challenges = null;
    this.#lastRequest = null;
    const pre = this.#options.policy?.preEstablished;
    if (pre !== undefined) this.#preEstablish(pre);
  }

  /**
   * An APDU of the meter's own, as a notification, protected as the association is.
   * null where the association doesn't stand.
   */
  protect(plaintext: Buffer, bits: number): Buffer | null {
    if (this.#state !== "associated") return null;
    if (this.#protection === null || bits === 0) return plaintext;
    return this.#protection.seal(plaintext, { bits, dedicated: false, general: true });
  }

  takeOutput(): Buffer | null {
    return this.#output.shift() ?? null;
  }

  takeEvent(): ServerEvent | null {
    return this.#events.shift() ?? null;
  }

  #move(input: AssociationInput): boolean {
    const next = nextState(this.#state, input);
    if (next !== null) this.#state = next;
    return next !== null;
  }

  #take(apdu: Buffer): void {
    try {
      if (apdu.length > 0 && isAcseTag(apdu[0]!)) this.#takeAcse(apdu);
      else if (apdu[0] === GENERAL_BLOCK_TRANSFER) this.#takeBlock(apdu);
      else this.#takeService(apdu, false);
    } catch (error) {
      if (error instanceof SecurityError) this.#except(securityException(error, this.#protection));
      else if (error instanceof DecodeError) this.#except(exception("service-unknown", "other-reason"));
      else throw error;
    }
  }

  #takeAcse(octets: Buffer): void {
    const acse = readAcse(octets, this.#options.limits);
    if (acse.apdu === "aarq") this.#associate(acse);
    else if (acse.apdu === "rlrq") this.#release(acse.userInformation !== null);
    else this.#except(exception("service-not-allowed", "operation-not-possible"));
  }

  #associate(aarq: Aarq): void {
    const { policy } = this.#options;
    this.#services = null;
    this.#blocks = null;
    if (!this.#move("aarq")) {
      this.#except(exception("service-not-allowed", "operation-not-possible"));
      return;
    }
    try {
      if (policy === null) throw new ProposalRefused("no-reason-given", "not a client of this meter");
      const challenge = checkProposal(aarq, policy);
      this.#protection = this.#protectionFor(aarq.callingApTitle, policy);
      const { initiate, protection } = openInitiate(aarq, this.#protection, this.#options.limits);
      this.#accept(aarq, policy, initiate, protection, challenge);
    } catch (error) {
      if (!(error instanceof ProposalRefused)) throw error;
      this.#move("aare-rejected");
      this.#events.push({ kind: "refused", text: error.message });
      this.#output.push(refusingAare(aarq, error));
    }
  }

  #protectionFor(clientTitle: Buffer | null, { security }: AssociationPolicy): ApduProtection | null {
    if (security === null) return null;
    const { suite, keys, sent, received } = security;
    const title = clientTitle === null ? null : Buffer.from(clientTitle);
    return new ApduProtection(suite, this.#options.systemTitle, title, { keys, sent, received });
  }

  #accept(
    aarq: Aarq,
    policy: AssociationPolicy,
    initiate: ReturnType<typeof openInitiate>["initiate"],
    protection: Protection,
    challenge: Buffer | null,
  ): void {
    const conformance = negotiate(initiate, policy.conformance);
    this.#requireBits(protection, policy);
    this.#useDedicatedKey(initiate.dedicatedKey, policy);
    const answer = initiateResponse(conformance, this.#options.maxReceivePduSize);
    const userInformation = this.#sealed(answer, protection);
    const own = challenge === null ? null : this.#options.randomOctets(CHALLENGE_OCTETS);
    this.#open(conformance, initiate.clientMaxReceivePduSize);
    if (challenge !== null) {
      const clientTitle = Buffer.from(aarq.callingApTitle ?? Buffer.alloc(0));
      this.#challenges = { client: challenge, server: own!, clientTitle };
    }
    const titled = policy.ciphered || policy.mechanism >= 5;
    const systemTitle = titled ? this.#options.systemTitle : null;
    this.#output.push(acceptingAare({ policy, systemTitle, challenge: own, userInformation }));
    this.#move(isHls(policy.mechanism) ? "aare-authentication-required" : "aare-accepted");
    if (this.#state === "associated") this.#events.push({ kind: "associated", conformance });
  }

  #requireBits({ bits }: Protection, { ciphered, security }: AssociationPolicy): void {
    if (!ciphered || security === null || (security.required & ~bits) === 0) return;
    throw new ProposalRefused("no-reason-given", "the InitiateRequest is not protected as it must be");
  }

  #useDedicatedKey(octets: Buffer | null, { ciphered, security }: AssociationPolicy): void {
    if (octets === null || !ciphered || security === null) return;
    const expected = security.suite === 2 ? DEDICATED_OCTETS * 2 : DEDICATED_OCTETS;
    if (octets.length !== expected) {
      throw new ProposalRefused("no-reason-given", `a dedicated key of ${octets.length} octets`);
    }
    let counter = 0;
    this.#protection!.useDedicated({
      keys: { encryption: secretKey(octets), authentication: security.keys.authentication },
      sent: { take: () => ++counter },
      received: new ReceivedCounter(),
    });
  }

  #open(conformance: number, clientMaxReceivePduSize: number): void {
    const { objects, limits, apduOctetsMax } = this.#options;
    const size = clientMaxReceivePduSize === 0 ? 0xffff : clientMaxReceivePduSize;
    this.#conformance = conformance;
    this.#clientMaxReceivePduSize = size;
    const ciphered = this.#options.policy?.ciphered === true;
    const answerOctetsMax = Math.max(PDU_MIN, size - (ciphered ? PROTECTION_OCTETS : 0));
    this.#services = new ServerServices({ objects, conformance, answerOctetsMax, apduOctetsMax, limits });
  }

  #preEstablish(pre: NonNullable<AssociationPolicy["preEstablished"]>): void {
    const policy = this.#options.policy!;
    this.#protection = this.#protectionFor(pre.clientTitle, policy);
    this.#open(policy.conformance, pre.clientMaxReceivePduSize);
    this.#state = "associated";
  }

  #release(withUserInformation: boolean): void {
    // An association that stands as soon as the link does can't be released.
    if (this.#options.policy?.preEstablished !== undefined || !this.#move("rlrq")) {
      this.#except(exception("service-not-allowed", "operation-not-possible"));
      return;
    }
    const answer = initiateResponse(this.#conformance, this.#options.maxReceivePduSize);
    const bits = this.#options.policy?.ciphered ? (this.#options.policy.security?.required ?? 0) : 0;
    const sealed = this.#sealed(answer, { bits, dedicated: false, general: false });
    this.#output.push(
      writeAcse({ apdu: "rlre", reason: "normal", userInformation: withUserInformation ? sealed : null }),
    );
    this.#move("rlre");
    this.#services = null;
    this.#events.push({ kind: "released" });
  }

  #takeBlock(octets: Buffer): void {
    const block = readApdu(octets, this.#options.limits);
    if (block.apdu !== "general-block-transfer" || !this.#has(CONFORMANCE.generalBlockTransfer)) {
      this.#except(exception("service-unknown", "service-not-supported"));
      return;
    }
    const begins = block.blockNumber === 1 && block.blockData.length > 0;
    if (begins && this.#blocks?.delivered) this.#blocks = null;
    this.#blocks ??= this.#newBlocks();
    const outcome = this.#blocks.receive(block);
    if (outcome.kind === "limit") {
      this.#blocks = null;
      this.#except(exception("service-not-allowed", "pdu-too-long"));
      return;
    }
    if (outcome.kind === "complete") this.#takeService(outcome.apdu, true);
    this.#flushBlocks();
  }

  #newBlocks(): GeneralBlocks {
    const { apduOctetsMax, blockWindow = 1 } = this.#options;
    const blockOctets = Math.max(1, this.#clientMaxReceivePduSize - BLOCK_HEADER_OCTETS);
    return new GeneralBlocks({ blockOctets, window: blockWindow, apduOctetsMax });
  }

  #flushBlocks(): void {
    for (let block = this.#blocks?.takeOutput() ?? null; block !== null; block = this.#blocks!.takeOutput()) {
      this.#output.push(writeApdu({ apdu: "general-block-transfer", ...block }));
    }
  }

  /** `inBlocks`: the request came by general block transfer, and is answered the same way. */
  #takeService(octets: Buffer, inBlocks: boolean): void {
    const { policy, limits, clientSap, serverSap } = this.#options;
    if (this.#services === null || policy === null) {
      this.#except(exception("service-not-allowed", "operation-not-possible"));
      return;
    }
    const opened = this.#opened(octets);
    const required = policy.ciphered ? (policy.security?.required ?? 0) : 0;
    if ((required & ~opened.protection.bits) !== 0) {
      this.#except(exception("service-not-allowed", "operation-not-possible"));
      return;
    }
    const request = readApdu(opened.plaintext, limits);
    if (this.#state === "authenticating") {
      this.#authenticate(request, opened.protection);
      return;
    }
    if (!this.#move("service")) {
      this.#except(exception("service-not-allowed", "operation-not-possible"));
      return;
    }
    const by = { clientSap, serverSap, protection: opened.protection.bits };
    const answer = serve(request, by, this.#services, this.#conformance);
    if (answer === null) {
      this.#except(exception("service-unknown", "service-not-supported"));
      return;
    }
    if (answer !== "nothing") this.#answer(answer, opened.protection, inBlocks);
  }

  #opened(octets: Buffer): Opened {
    if (this.#protection === null) return { plaintext: octets, protection: UNPROTECTED };
    return this.#protection.open(octets);
  }

  #has(bit: number): boolean {
    return (this.#conformance & bit) !== 0;
  }

  #answer({ apdu, responseBits }: Answer, request: Protection, inBlocks: boolean): void {
    const bits = this.#protection === null ? 0 : request.bits | responseBits;
    const sealed = this.#sealed(apdu, { ...request, bits });
    if (!inBlocks && sealed.length <= this.#clientMaxReceivePduSize) {
      this.#output.push(sealed);
      return;
    }
    if (!this.#has(CONFORMANCE.generalBlockTransfer)) {
      this.#except(exception("service-not-allowed", "pdu-too-long"));
      return;
    }
    this.#blocks ??= this.#newBlocks();
    this.#blocks.send(sealed);
    this.#flushBlocks();
  }

  /** Pass 3, which is checked, and pass 4, which answers it. */
  #authenticate(request: Apdu, protection: Protection): void {
    if (request.apdu !== "action-request" || request.kind !== "normal" || !isReplyToHls(request.method)) {
      this.#except(exception("service-not-allowed", "operation-not-possible"));
      return;
    }
    const { policy, systemTitle } = this.#options;
    const { mechanism, secret } = policy!;
    const means: HlsMeans = { mechanism, secret, protection: this.#protection };
    const reply = replyToHls(means, request.parameters, { ...this.#challenges!, serverTitle: systemTitle });
    this.#challenges = null;
    const result = reply === null ? "read-write-denied" : "success";
    const returnParameters = reply === null ? null : ({ kind: "data", data: reply } as const);
    const { invokeIdAndPriority } = request;
    this.#move(reply === null ? "hls-failed" : "hls-passed");
    if (reply === null) {
      this.#services = null;
      this.#events.push({ kind: "refused", text: "the client's answer to the challenge is wrong" });
    } else {
      this.#events.push({ kind: "associated", conformance: this.#conformance });
    }
    const fields = { kind: "normal", invokeIdAndPriority, result, returnParameters } as const;
    this.#output.push(this.#sealed(writeApdu({ apdu: "action-response", ...fields }), protection));
  }

  #sealed(apdu: Buffer, how: Protection): Buffer {
    if (this.#protection === null) return apdu;
    const sealed = this.#protection.seal(apdu, how);
    if (sealed === null) throw new LocalProtocolError("the meter's invocation counter is used up");
    return sealed;
  }

  #except(response: ExceptionResponse): void {
    this.#output.push(writeApdu(response));
  }
}

const GENERAL_BLOCK_TRANSFER = 0xe0;
const PDU_MIN = 12;
