import type { Discarded } from "../bytes/deframed.ts";
import { DecodeError } from "../bytes/errors.ts";
import type { Link, LinkEnd, LinkEvent } from "../bytes/link.ts";
import { formatAddress, type HdlcAddress } from "./address.ts";
import { frameType, isPollFinal, receiveSequence } from "./control.ts";
import { HdlcDeframer } from "./deframer.ts";
import { type HdlcFrame, writeHdlcFrame } from "./frame.ts";
import { type HdlcEnds, LLC_COMMAND, writeReceiveReady } from "./outgoing.ts";
import { agreed, areDefault, type HdlcParameters, readParameters, writeParameters } from "./parameters.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { SegmentReassembly } from "./segments.ts";
import { SendWindow } from "./send-window.ts";

export interface HdlcClientOptions {
  readonly client: HdlcAddress;
  readonly server: HdlcAddress;
  /** What is proposed in SNRM. */
  readonly parameters: HdlcParameters;
  /** Time for an answer to a frame with the poll bit, and how often the frame is sent again without one. */
  readonly responseMs: number;
  readonly retries: number;
  /** A meter that says that it isn't ready (RR, RNR) is asked again after this time, and given up after `busyMs`. */
  readonly pollAgainMs: number;
  readonly busyMs: number;
  /** Longest APDU, LLC header included. */
  readonly apduOctetsMax: number;
}

const CONTROL = { SNRM: 0x93, DISC: 0x53 } as const;

type State =
  | { readonly kind: "disconnected" }
  | { readonly kind: "connecting" }
  | { readonly kind: "connected"; readonly limits: HdlcParameters }
  | { readonly kind: "disconnecting"; readonly reason: LinkEnd; readonly text: string };

/** What is waited for. */
type Wait =
  | { readonly for: "nothing" }
  /** A frame with the final bit; `tries` have been made. */
  | { readonly for: "answer"; readonly until: number; readonly tries: number }
  /** The time to ask a meter again that was not ready; `busy`: it can't take anything either. */
  | { readonly for: "poll"; readonly until: number; readonly busy: boolean };

const NOTHING: Wait = { for: "nothing" };

/** Answers in a row that bring nothing before the meter is given up. */
const FRUITLESS_MAX = 100;

/**
 * The client's end of an HDLC link in normal response mode (IEC 62056-46): SNRM and UA, I frames in windows and segments, RR and RNR,
 * DISC. The meter speaks when it is asked, by a frame with the poll bit; a frame that isn't answered in time is sent again with the same
 * number.
 */
export class HdlcClientLink implements Link {
  readonly #options: HdlcClientOptions;
  readonly #ends: HdlcEnds;
  readonly #deframer = new HdlcDeframer();
  readonly #unnumbered: SegmentReassembly;
  readonly #sending = new SendWindow();
  readonly #receiving: ReceiveWindow;
  readonly #output: Buffer[] = [];
  readonly #events: LinkEvent[] = [];
  #state: State = { kind: "disconnected" };
  #wait: Wait = NOTHING;
  /** An APDU is expected: without one, the meter is asked again. */
  #expecting = false;
  #progressAt = 0;
  #fruitless = 0;

  constructor(options: HdlcClientOptions) {
    this.#options = options;
    this.#ends = { destination: options.server, source: options.client };
    this.#receiving = new ReceiveWindow(options.apduOctetsMax);
    this.#unnumbered = new SegmentReassembly({
      apduOctetsMax: options.apduOctetsMax,
      apduMs: options.busyMs,
    });
  }

  connect(now: number): void {
    this.#state = { kind: "connecting" };
    this.#sending.clear();
    this.#receiving.clear();
    this.#expecting = false;
    this.#sendSnrm();
    this.#awaitAnswer(now, 1);
  }

  disconnect(now: number): void {
    if (this.#state.kind !== "connected") {
      this.#end("requested", "closed");
      return;
    }
    this.#leave("requested", "closed", now);
  }

  send(apdu: Buffer, now: number): void {
    if (this.#state.kind !== "connected") return;
    const { informationTransmit } = this.#state.limits;
    this.#sending.add(Buffer.concat([LLC_COMMAND, apdu]), informationTransmit);
    this.#expecting = true;
    this.#progress(now);
    if (this.#wait.for !== "answer") this.#transmit(now);
  }

  poll(now: number): void {
    if (this.#state.kind !== "connected") return;
    this.#expecting = true;
    if (this.#wait.for === "nothing") this.#askAgain(now);
  }

  receive(octets: Buffer, now: number): void {
    this.#deframer.push(octets);
    this.#work(now);
  }

  deadline(): number | null {
    return this.#wait.for === "nothing" ? null : this.#wait.until;
  }

  handleTimeout(now: number): void {
    const lost = this.#unnumbered.expire(now);
    if (lost !== null) this.#events.push(lost);
    if (this.#wait.for === "nothing" || now < this.#wait.until) return;
    if (this.#wait.for === "poll") {
      if (this.#wait.busy) this.#askAgain(now);
      else this.#transmit(now);
      return;
    }
    const { tries } = this.#wait;
    // What has begun and does not go on would swallow the answer to the repetition.
    this.#deframer.abandon();
    this.#work(now);
    if (this.#wait.for !== "answer" || now < this.#wait.until) return;
    if (tries > this.#options.retries) {
      this.#giveUp(tries);
      return;
    }
    this.#repeat(now);
    this.#awaitAnswer(now, tries + 1);
  }

  takeOutput(): Buffer | null {
    if (this.#output.length === 0) return null;
    return this.#output.length === 1
      ? this.#output.pop()!
      : Buffer.concat(this.#output.splice(0, this.#output.length));
  }

  takeEvent(): LinkEvent | null {
    return this.#events.shift() ?? null;
  }

  #work(now: number): void {
    for (let next = this.#deframer.next(); next.kind !== "need-more"; next = this.#deframer.next()) {
      if (next.kind === "frame") this.#take(next.value, now);
      else this.#events.push(next);
    }
  }

  #take(frame: HdlcFrame, now: number): void {
    const type = frameType(frame.control);
    if (type === "UI") {
      this.#takeUnnumbered(frame, now);
      return;
    }
    if (!this.#isOurs(frame)) return;
    switch (type) {
      case "UA":
        this.#takeUa(frame, now);
        return;
      case "DM":
        this.#takeDm();
        return;
      case "FRMR":
        this.#leave("protocol", "the meter rejects a frame (FRMR)", now);
        return;
      case "I":
      case "RR":
      case "RNR":
        if (this.#state.kind === "connected") this.#takeNumbered(frame, type, this.#state.limits, now);
        return;
      default:
    }
  }

  #isOurs({ destination, source }: HdlcFrame): boolean {
    const { client, server } = this.#options;
    if (destination.upper !== client.upper || source.upper !== server.upper) return false;
    return source.lower === null || server.lower === null || source.lower === server.lower;
  }

  #takeUa(frame: HdlcFrame, now: number): void {
    if (this.#state.kind === "disconnecting") {
      this.#end(this.#state.reason, this.#state.text);
      return;
    }
    if (this.#state.kind !== "connecting") return;
    try {
      const limits = agreed(this.#options.parameters, readParameters(frame.information));
      this.#state = { kind: "connected", limits };
      this.#wait = NOTHING;
      this.#events.push({ kind: "connected" });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#leave("protocol", `the meter's link parameters make no sense: ${error.message}`, now);
    }
  }

  #takeDm(): void {
    const { kind } = this.#state;
    if (kind === "disconnecting") this.#end(this.#state.reason, this.#state.text);
    else if (kind === "connecting") this.#end("refused", "the meter doesn't open the link (DM)");
    else if (kind === "connected") this.#end("peer", "the meter has closed the link (DM)");
  }

  #takeNumbered(frame: HdlcFrame, type: "I" | "RR" | "RNR", limits: HdlcParameters, now: number): void {
    // Less than was acknowledged before: an old frame, of which at most the information is new.
    const acknowledged = this.#sending.acknowledge(receiveSequence(frame.control));
    if (acknowledged > 0) this.#progress(now);
    if (acknowledged < 0 && type !== "I") return;
    if (type === "I") {
      const received = this.#receiving.take(frame, limits.windowReceive);
      if (received.kind === "repeated") return;
      if (received.kind === "limit") {
        this.#leave("protocol", "an APDU is longer than the limit", now);
        return;
      }
      if (received.kind !== "gap" && frame.information !== null) this.#progress(now);
      if (received.kind === "apdu") this.#deliver(received.apdu, frame);
    }
    if (!isPollFinal(frame.control) || this.#wait.for !== "answer") return;
    this.#wait = NOTHING;
    if (++this.#fruitless > FRUITLESS_MAX || now - this.#progressAt > this.#options.busyMs) {
      this.#leave("timeout", "the meter answers and does not get on", now);
      return;
    }
    this.#sending.rewind();
    if (type === "I") {
      if (frame.segmented || !this.#sending.empty || this.#gapBehind(frame)) this.#transmit(now);
    } else if (acknowledged > 0 && type === "RR" && !this.#sending.empty) {
      this.#transmit(now);
    } else if (this.#expecting || !this.#sending.empty) {
      this.#wait = { for: "poll", until: now + this.#options.pollAgainMs, busy: type === "RNR" };
    }
  }

  #progress(now: number): void {
    this.#progressAt = now;
    this.#fruitless = 0;
  }

  /** Whether a frame was lost in front of this one. */
  #gapBehind(frame: HdlcFrame): boolean {
    return ((frame.control >> 1) & 7) !== ((this.#receiving.next - 1) & 7);
  }

  #deliver(apdu: Buffer, { source, destination }: HdlcFrame): void {
    this.#expecting = false;
    this.#events.push({
      kind: "apdu",
      apdu,
      source: source.upper,
      destination: destination.upper,
      unsolicited: false,
    });
  }

  #takeUnnumbered(frame: HdlcFrame, now: number): void {
    const outcome = this.#unnumbered.add(frame, now);
    if (outcome.kind === "discarded") this.#events.push(outcome satisfies Discarded);
    if (outcome.kind !== "frame") return;
    this.#events.push({
      kind: "apdu",
      apdu: Buffer.from(outcome.value.apdu),
      source: frame.source.upper,
      destination: frame.destination.upper,
      unsolicited: true,
    });
  }

  /** Sends what the window allows, or else asks for more. */
  #transmit(now: number): void {
    if (this.#state.kind !== "connected") return;
    const frames = this.#sending.frames(this.#ends, this.#state.limits.windowTransmit, this.#receiving.next);
    if (frames.length === 0) {
      this.#askAgain(now);
      return;
    }
    this.#output.push(...frames);
    this.#awaitAnswer(now, 1);
  }

  #askAgain(now: number): void {
    this.#output.push(writeReceiveReady(this.#ends, this.#receiving.next));
    this.#awaitAnswer(now, 1);
  }

  #repeat(now: number): void {
    switch (this.#state.kind) {
      case "connecting":
        this.#sendSnrm();
        return;
      case "disconnecting":
        return void this.#output.push(writeHdlcFrame({ ...this.#ends, control: CONTROL.DISC }));
      case "connected":
        this.#sending.rewind();
        this.#transmit(now);
        return;
      default:
    }
  }

  #sendSnrm(): void {
    const { parameters } = this.#options;
    const information = areDefault(parameters) ? null : writeParameters(parameters, 2);
    this.#output.push(writeHdlcFrame({ ...this.#ends, control: CONTROL.SNRM, information }));
  }

  #awaitAnswer(now: number, tries: number): void {
    this.#wait = { for: "answer", until: now + this.#options.responseMs, tries };
  }

  /** Closes the link from our side. */
  #leave(reason: LinkEnd, text: string, now: number): void {
    this.#state = { kind: "disconnecting", reason, text };
    this.#output.push(writeHdlcFrame({ ...this.#ends, control: CONTROL.DISC }));
    this.#awaitAnswer(now, 1);
  }

  #end(reason: LinkEnd, text: string): void {
    this.#state = { kind: "disconnected" };
    this.#wait = NOTHING;
    this.#sending.clear();
    this.#events.push({ kind: "disconnected", reason, text });
  }

  #giveUp(tries: number): void {
    if (this.#state.kind === "disconnecting") {
      this.#end(this.#state.reason, this.#state.text);
      return;
    }
    const { server, responseMs } = this.#options;
    const text = `no answer from HDLC address ${formatAddress(server)} to ${tries} frames, ${responseMs} ms each`;
    this.#end("timeout", text);
  }
}
