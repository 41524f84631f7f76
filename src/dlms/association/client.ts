import { type Aare, readAcse, writeAcse } from "../acse/apdu.ts";
import type { Apdu } from "../xdlms/apdu.ts";
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
} from "./client-handshake.ts";
import { InvokeIds } from "./client-line.ts";
import type { ClientEvent, ClientOptions } from "./client-options.ts";
import { LocalProtocolError, PeerProtocolError, SilenceError } from "./errors.ts";
import type { HlsMeans } from "./hls-exchange.ts";
import { isHls } from "./mechanisms.ts";
import { ProtectedLine } from "./protected-line.ts";
import { describeRefusal, type ReadProgress } from "./requests.ts";
import { type AssociationInput, type AssociationState, nextState } from "./states.ts";

/**
 * The client's end of an association (IEC 62056-5-3). Sans-IO: `associate`, then `run` one exchange after the other, then `release`; give
 * it what the link receives, transmit what `takeOutput` gives, and look at `takeEvent` and `deadline` after each call.
 */
export class ClientAssociation {
  readonly #options: ClientOptions;
  readonly #line: ProtectedLine;
  readonly #invokeIds = new InvokeIds();
  readonly #events: ClientEvent[] = [];
  #state: AssociationState = "idle";
  #conformance = 0;
  #challenges: Challenges | null = null;
  #exchange: Exchange<unknown> | null = null;
  #progress: (progress: ReadProgress) => void = () => {};

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#line = new ProtectedLine(options);
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
      this.#agree(preEstablished.conformance, preEstablished.serverMaxReceivePduSize);
      this.#tellAssociated();
      return;
    }
    this.#move("aarq");
    const plaintext = initiateRequest(this.#options);
    const userInformation = this.#line.sealInitiate(plaintext);
    if (userInformation === null && this.#options.ciphered) {
      throw new LocalProtocolError("no invocation counter is reserved for the association");
    }
    this.#line.sendAcse(aarqOf(this.#options, userInformation ?? plaintext), now);
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
    this.#wantCounter(this.#line.resume(now));
  }

  release(now: number): void {
    if (this.#options.preEstablished !== undefined || !this.#move("rlrq")) {
      this.#end();
      this.#events.push({ kind: "released" });
      return;
    }
    const sealed = this.#options.ciphered ? this.#line.sealInitiate(initiateRequest(this.#options)) : null;
    this.#line.sendAcse(writeAcse({ apdu: "rlrq", reason: "normal", userInformation: sealed }), now);
  }

  linkLost(): void {
    this.#move("lost");
    this.#end();
  }

  receive(apdu: Buffer, now: number): void {
    try {
      const whole = this.#line.whole(apdu, now);
      if (whole !== null) this.#take(whole, now);
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
    const { limits, bytesMax, quirks } = this.#options;
    return {
      conformance: this.#conformance,
      requestOctetsMax: this.#line.requestOctetsMax,
      limits,
      bytesMax,
      quirks,
      nextInvokeId: () => this.#invokeIds.next(),
      onProgress: (progress) => this.#progress(progress),
    };
  }

  #take(octets: Buffer, now: number): void {
    const found = this.#line.opened(octets);
    if (found.kind === "acse") this.#takeAcse(octets, now);
    else if (found.kind === "answer") this.#takeAnswer(found.apdu, now);
    else this.#events.push({ kind: "notification", apdu: octets });
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
    const { initiate, challenge, meterTitle } = checkAare(aare, this.#options, this.#line.protection);
    this.#line.settle();
    this.#agree(
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
    const reply = pass3(this.#options, this.#hls(), this.#challenges);
    this.#wantCounter(this.#line.send(reply, initiateProtection(this.#options), now));
  }

  #agree(conformance: number, serverMaxPdu: number): void {
    this.#conformance = conformance;
    this.#line.open(conformance, serverMaxPdu);
  }

  #associated(): void {
    this.#line.useDedicatedKey();
    this.#tellAssociated();
  }

  #tellAssociated(): void {
    const meterTitle = this.#line.protection?.peerTitle ?? null;
    this.#events.push({ kind: "associated", conformance: this.#conformance, meterTitle });
  }

  #hls(): HlsMeans {
    const { mechanism, secret } = this.#options;
    return { mechanism, secret, protection: this.#line.protection };
  }

  #takeAnswer(apdu: Apdu, now: number): void {
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
    else this.#wantCounter(this.#line.request(step.value, now));
  }

  #wantCounter(sent: boolean): void {
    if (!sent) this.#events.push({ kind: "counter-wanted" });
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
    this.#line.end();
    this.#exchange = null;
    this.#challenges = null;
  }
}
