import { type Aare, isAcseTag, readAcse, writeAcse } from "../acse/apdu.ts";
import { SecurityError } from "../security/errors.ts";
import { type Apdu, readApdu, writeApdu } from "../xdlms/apdu.ts";
import { type Exchange, rejection, type ServiceMeans } from "./client-exchange.ts";
import {
  aarqOf,
  type Challenges,
  checkAare,
  checkPass4,
  handshakeError,
  initiateProtection,
  initiateRequest,
  pass3,
  requireBits,
} from "./client-handshake.ts";
import { ClientLine, InvokeIds } from "./client-line.ts";
import type { ClientEvent, ClientOptions } from "./client-options.ts";
import { LocalProtocolError, PeerProtocolError, SilenceError } from "./errors.ts";
import type { HlsMeans } from "./hls-exchange.ts";
import { CONFORMANCE, isHls } from "./mechanisms.ts";
import { ApduProtection, type Protection, ReceivedCounter, UNPROTECTED } from "./protection.ts";
import { describeRefusal, type ReadProgress } from "./requests.ts";
import { type AssociationInput, type AssociationState, nextState } from "./states.ts";

/** Octets of protection around an APDU: tag, lengths, system title, security header, tag. */
const PROTECTION_OCTETS = 35;
const GENERAL_BLOCK_TRANSFER = 0xe0;
/** Meters have told 0 for "any", and sizes in which no answer would fit. */
const PDU_SIZE_MIN = 64;

/** Pushed APDUs: plain, and ciphered for their service. */
const NOTIFICATIONS: ReadonlySet<string> = new Set([
  "data-notification",
  "event-notification",
  "glo-event-notification",
  "ded-event-notification",
  "information-report",
  "glo-information-report",
  "ded-information-report",
]);

/**
 * The client's end of an association (IEC 62056-5-3). Sans-IO: `associate`, then `run` one exchange after the other, then `release`; give
 * it what the link receives, transmit what `takeOutput` gives, and look at `takeEvent` and `deadline` after each call.
 */
export class ClientAssociation {
  readonly #options: ClientOptions;
  readonly #protection: ApduProtection | null;
  readonly #line: ClientLine;
  readonly #invokeIds = new InvokeIds();
  readonly #events: ClientEvent[] = [];
  #state: AssociationState = "idle";
  #conformance = 0;
  #challenges: Challenges | null = null;
  #exchange: Exchange<unknown> | null = null;
  #progress: (progress: ReadProgress) => void = () => {};
  /** An APDU for which no counter is reserved yet. */
  #parked: { readonly plaintext: Buffer; readonly how: Protection } | null = null;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#line = new ClientLine(options);
    const { security, systemTitle } = options;
    this.#protection =
      security === null || systemTitle === null
        ? null
        : new ApduProtection(security.suite, systemTitle, security.meterTitle, security);
  }

  get state(): AssociationState {
    return this.#state;
  }

  /** Whether an answer is still to come. */
  get waiting(): boolean {
    return this.#line.waiting;
  }

  associate(now: number): void {
    const { preEstablished } = this.#options;
    if (preEstablished !== undefined) {
      this.#state = "associated";
      this.#open(preEstablished.conformance, preEstablished.serverMaxReceivePduSize);
      this.#events.push({
        kind: "associated",
        conformance: this.#conformance,
        meterTitle: this.#protection?.peerTitle ?? null,
      });
      return;
    }
    this.#move("aarq");
    const plaintext = initiateRequest(this.#options);
    const userInformation = this.#protection?.seal(plaintext, initiateProtection(this.#options)) ?? null;
    if (userInformation === null && this.#options.ciphered) {
      throw new LocalProtocolError("no invocation counter is reserved for the association");
    }
    this.#line.send(aarqOf(this.#options, userInformation ?? plaintext), false, now);
  }

  /** Runs a service; "done" or "exchange-failed" follows. One at a time. */
  run(
    service: (means: ServiceMeans) => Exchange<unknown>,
    now: number,
    onProgress: (progress: ReadProgress) => void = () => {},
  ): void {
    if (this.#state !== "associated" || this.#exchange !== null) {
      throw new LocalProtocolError("a request outside an association, or within another request");
    }
    this.#progress = onProgress;
    this.#exchange = service(this.#means());
    this.#step(null, now);
  }

  /** Counters were reserved: sends what had to wait for one. */
  resume(now: number): void {
    const parked = this.#parked;
    this.#parked = null;
    if (parked !== null) this.#transmit(parked.plaintext, parked.how, now);
  }

  release(now: number): void {
    if (this.#options.preEstablished !== undefined || !this.#move("rlrq")) {
      this.#end();
      this.#events.push({ kind: "released" });
      return;
    }
    const { ciphered } = this.#options;
    const sealed = ciphered
      ? (this.#protection?.seal(initiateRequest(this.#options), initiateProtection(this.#options)) ?? null)
      : null;
    this.#line.send(writeAcse({ apdu: "rlrq", reason: "normal", userInformation: sealed }), false, now);
  }

  linkLost(): void {
    this.#move("lost");
    this.#end();
  }

  receive(apdu: Buffer, now: number): void {
    try {
      if (apdu[0] !== GENERAL_BLOCK_TRANSFER) this.#take(apdu, now);
      else if (!this.#line.waiting) this.#events.push({ kind: "notification", apdu });
      else {
        const whole = this.#line.takeBlock(apdu, now);
        if (whole !== null) this.#take(whole, now);
      }
    } catch (error) {
      if (error instanceof LocalProtocolError) throw error;
      const problem = handshakeError(error);
      if (this.#isStray(problem)) return;
      if (this.#exchange === null) this.#fail(problem);
      else {
        this.#line.settle();
        this.#step(problem, now);
      }
    }
  }

  /** Nobody waits for it; or it is a datagram that came twice. */
  #isStray({ reason }: PeerProtocolError): boolean {
    if (!this.#line.waiting && this.#state === "associated") return true;
    return reason === "replay" && this.#options.repeats > 0;
  }

  deadline(): number | null {
    return this.#line.deadline;
  }

  handleTimeout(now: number): void {
    if (this.#line.handleTimeout(now) !== "silent") return;
    if (this.#state === "releasing") this.#released();
    else this.#fail(new SilenceError(`no answer within ${this.#options.responseMs} ms`));
  }

  takeOutput(): Buffer | null {
    return this.#line.takeOutput();
  }

  takeEvent(): ClientEvent | null {
    return this.#events.shift() ?? null;
  }

  #move(input: AssociationInput): boolean {
    const next = nextState(this.#state, input);
    if (next !== null) this.#state = next;
    return next !== null;
  }

  #means(): ServiceMeans {
    const { limits, bytesMax, quirks, ciphered } = this.#options;
    return {
      conformance: this.#conformance,
      requestOctetsMax: this.#line.pduOctetsMax - (ciphered ? PROTECTION_OCTETS : 0),
      limits,
      bytesMax,
      quirks,
      nextInvokeId: () => this.#invokeIds.next(),
      onProgress: (progress) => this.#progress(progress),
    };
  }

  #take(octets: Buffer, now: number): void {
    if (octets.length > 0 && isAcseTag(octets[0]!)) this.#takeAcse(octets, now);
    else this.#takeService(octets, now);
  }

  #takeAcse(octets: Buffer, now: number): void {
    const acse = readAcse(octets, this.#options.limits);
    if (acse.apdu === "aare" && this.#state === "associating") {
      this.#takeAare(acse, now);
      return;
    }
    if (acse.apdu === "rlre" && this.#state === "releasing") {
      this.#released();
      return;
    }
    // A repetition of what came before says nothing new.
    if (acse.apdu === "abrt")
      throw new PeerProtocolError("association_refused", "the meter aborts the association");
  }

  #takeAare(aare: Aare, now: number): void {
    const { initiate, challenge, meterTitle } = checkAare(aare, this.#options, this.#protection);
    this.#line.settle();
    this.#open(
      initiate.negotiatedConformance & this.#options.proposedConformance,
      initiate.serverMaxReceivePduSize,
    );
    if (!isHls(this.#options.mechanism)) {
      this.#move("aare-accepted");
      this.#associated();
      return;
    }
    this.#move("aare-authentication-required");
    this.#challenges = { meter: challenge!, meterTitle: meterTitle ?? Buffer.alloc(0) };
    this.#transmit(
      pass3(this.#options, this.#hls(), this.#challenges),
      initiateProtection(this.#options),
      now,
    );
  }

  #open(conformance: number, serverMaxPdu: number): void {
    this.#conformance = conformance;
    this.#line.pduOctetsMax = serverMaxPdu === 0 ? 0xffff : Math.max(PDU_SIZE_MIN, serverMaxPdu);
  }

  #associated(): void {
    const { security, ciphered } = this.#options;
    if (ciphered && security !== null && security.dedicated !== null) {
      let counter = 0;
      this.#protection!.useDedicated({
        keys: { encryption: security.dedicated.key, authentication: security.keys.authentication },
        sent: { take: () => ++counter },
        received: new ReceivedCounter(),
      });
    }
    this.#events.push({
      kind: "associated",
      conformance: this.#conformance,
      meterTitle: this.#protection?.peerTitle ?? null,
    });
  }

  #hls(): HlsMeans {
    const { mechanism, secret } = this.#options;
    return { mechanism, secret, protection: this.#protection };
  }

  #takeService(octets: Buffer, now: number): void {
    const apdu = this.#answerIn(octets);
    if (apdu === null || NOTIFICATIONS.has(apdu.apdu)) {
      this.#events.push({ kind: "notification", apdu: octets });
      return;
    }
    if (!this.#line.waiting || (this.#state === "associated" && !this.#invokeIds.isAnswer(apdu))) return;
    if (this.#state === "associating") {
      const refusal = rejection(apdu);
      const text = refusal === null ? `the meter answers AARQ with ${apdu.apdu}` : describeRefusal(refusal);
      throw new PeerProtocolError("association_refused", text, { cause: apdu });
    }
    if (this.#state === "releasing") {
      this.#released();
      return;
    }
    this.#line.settle();
    if (this.#state === "authenticating") {
      checkPass4(apdu, this.#options, this.#hls(), this.#challenges!);
      this.#challenges = null;
      this.#move("hls-passed");
      this.#associated();
    } else if (this.#exchange !== null) this.#step(apdu, now);
  }

  /** The APDU in clear; null where it is none that belongs to this association. */
  #answerIn(octets: Buffer): Apdu | null {
    const { limits } = this.#options;
    if (this.#protection === null || !this.#options.ciphered) return readApdu(octets, limits);
    let opened: ReturnType<ApduProtection["open"]>;
    try {
      opened = this.#protection.open(octets);
    } catch (error) {
      // A push may be ciphered in other ways: whoever takes it judges it. An answer that can't be opened is no push.
      const general = octets[0] === 0xdb || octets[0] === 0xdc || octets[0] === 0xdd;
      if (error instanceof SecurityError && general && this.#options.security?.general !== true) return null;
      throw error;
    }
    const apdu = readApdu(opened.plaintext, limits);
    if (NOTIFICATIONS.has(apdu.apdu)) return apdu;
    // Refusals are often in clear: what can't be deciphered has no key to answer with.
    if (rejection(apdu) === null) requireBits(this.#options, opened.protection.bits, apdu.apdu);
    return apdu;
  }

  /** `answer`: null begins the exchange; an error is an answer that can't be read, for which the exchange may have another way. */
  #step(answer: Apdu | PeerProtocolError | null, now: number): void {
    const exchange = this.#exchange!;
    let step: IteratorResult<Apdu, unknown>;
    try {
      step =
        answer instanceof PeerProtocolError
          ? exchange.throw(answer)
          : exchange.next(answer === null ? (undefined as never) : answer);
    } catch (error) {
      if (!(error instanceof PeerProtocolError || error instanceof LocalProtocolError)) throw error;
      this.#finish({ kind: "exchange-failed", error });
      return;
    }
    if (step.done) this.#finish({ kind: "done", value: step.value });
    else this.#request(step.value, now);
  }

  #request(apdu: Apdu, now: number): void {
    const { ciphered, security } = this.#options;
    const how: Protection =
      ciphered && security !== null
        ? { bits: security.bits, dedicated: this.#protection!.hasDedicated, general: security.general }
        : UNPROTECTED;
    this.#transmit(writeApdu(apdu), how, now);
  }

  #transmit(plaintext: Buffer, how: Protection, now: number): void {
    const sealed = this.#protection === null ? plaintext : this.#protection.seal(plaintext, how);
    if (sealed === null) {
      this.#parked = { plaintext, how };
      this.#events.push({ kind: "counter-wanted" });
      return;
    }
    this.#line.send(sealed, (this.#conformance & CONFORMANCE.generalBlockTransfer) !== 0, now);
  }

  #finish(event: ClientEvent): void {
    this.#line.settle();
    this.#exchange = null;
    this.#events.push(event);
  }

  #released(): void {
    this.#move("rlre");
    this.#end();
    this.#events.push({ kind: "released" });
  }

  #fail(error: Error): void {
    this.#move("lost");
    this.#end();
    this.#events.push({ kind: "failed", error });
  }

  #end(): void {
    this.#line.settle();
    this.#exchange = null;
    this.#parked = null;
    this.#challenges = null;
  }
}
