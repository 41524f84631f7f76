import type { LinkEnd, LinkEvent } from "../bytes/link.ts";
import type { HdlcAddress } from "./address.ts";
import { frameType, isPollFinal, receiveSequence } from "./control.ts";
import { type HdlcFrame, writeHdlcFrame } from "./frame.ts";
import { type HdlcEnds, LLC_RESPONSE, writeReceiveReady } from "./outgoing.ts";
import { agreed, type HdlcParameters, readParameters, writeParameters } from "./parameters.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { SendWindow } from "./send-window.ts";

export interface HdlcServerOptions {
  /** The most that is agreed to. */
  readonly parameters: HdlcParameters;
  /** Silence after which the link is closed (attribute 8 of the HDLC setup). */
  readonly inactivityMs: number;
  /** Where the application needs longer for an answer, RR is sent meanwhile. */
  readonly answerMs: number;
  readonly apduOctetsMax: number;
}

const CONTROL = { UA: 0x73, DM: 0x1f, FRMR: 0x97 } as const;

/**
 * The meter's end of one HDLC link in normal response mode: what it has to say waits until the client polls. It is given frames; an
 * `HdlcStation` cuts them from the octets of a line and knows whose they are.
 */
export class HdlcServerLink {
  readonly #options: HdlcServerOptions;
  readonly #ends: HdlcEnds;
  readonly #sending = new SendWindow();
  readonly #receiving: ReceiveWindow;
  readonly #output: Buffer[] = [];
  readonly #events: LinkEvent[] = [];
  /** null: not connected. */
  #limits: HdlcParameters | null = null;
  /** The client has polled, and is to be answered until then. */
  #answerBy: number | null = null;
  #idleUntil: number | null = null;

  constructor(client: HdlcAddress, server: HdlcAddress, options: HdlcServerOptions) {
    this.#options = options;
    this.#ends = { destination: client, source: server };
    this.#receiving = new ReceiveWindow(options.apduOctetsMax);
  }

  get connected(): boolean {
    return this.#limits !== null;
  }

  send(apdu: Buffer): void {
    if (this.#limits === null) return;
    this.#sending.add(Buffer.concat([LLC_RESPONSE, apdu]), this.#limits.informationTransmit);
    if (this.#answerBy !== null) this.#answer();
  }

  take(frame: HdlcFrame, now: number): void {
    this.#idleUntil = now + this.#options.inactivityMs;
    switch (frameType(frame.control)) {
      case "SNRM":
        this.#open(frame);
        return;
      case "DISC":
        this.#output.push(this.#frame(this.#limits === null ? CONTROL.DM : CONTROL.UA));
        this.#close("peer", "the client has closed the link");
        return;
      case "I":
      case "RR":
      case "RNR":
        this.#takeNumbered(frame, now);
        return;
      case "unknown":
        // W: the control octet means nothing.
        this.#output.push(this.#frame(CONTROL.FRMR, Buffer.from([frame.control, 0, 1])));
        return;
      default:
    }
  }

  deadline(): number | null {
    if (this.#answerBy === null) return this.#idleUntil;
    return Math.min(this.#answerBy, this.#idleUntil ?? Number.POSITIVE_INFINITY);
  }

  handleTimeout(now: number): void {
    if (this.#answerBy !== null && now >= this.#answerBy) this.#answer();
    if (this.#idleUntil !== null && now >= this.#idleUntil) this.#close("timeout", "the client is silent");
  }

  takeOutput(): Buffer | null {
    return this.#output.shift() ?? null;
  }

  takeEvent(): LinkEvent | null {
    return this.#events.shift() ?? null;
  }

  #open(frame: HdlcFrame): void {
    if (this.#limits !== null) this.#close("peer", "the client opens the link again");
    this.#limits = agreed(this.#options.parameters, readParameters(frame.information));
    this.#sending.clear();
    this.#receiving.clear();
    this.#answerBy = null;
    this.#output.push(this.#frame(CONTROL.UA, writeParameters(this.#limits)));
    this.#events.push({ kind: "connected" });
  }

  #close(reason: LinkEnd, text: string): void {
    this.#idleUntil = null;
    this.#answerBy = null;
    if (this.#limits === null) return;
    this.#limits = null;
    this.#events.push({ kind: "disconnected", reason, text });
  }

  #takeNumbered(frame: HdlcFrame, now: number): void {
    if (this.#limits === null) {
      if (isPollFinal(frame.control)) this.#output.push(this.#frame(CONTROL.DM));
      return;
    }
    this.#sending.acknowledge(receiveSequence(frame.control));
    let waits = false;
    if (frameType(frame.control) === "I") {
      const received = this.#receiving.take(frame, this.#limits.windowReceive);
      if (received.kind === "limit") {
        this.#output.push(this.#frame(CONTROL.DM));
        this.#close("protocol", "an APDU is longer than the limit");
        return;
      }
      if (received.kind === "apdu") {
        waits = true;
        const { source, destination } = { source: this.#ends.destination, destination: this.#ends.source };
        this.#events.push({
          kind: "apdu",
          apdu: received.apdu,
          source: source.upper,
          destination: destination.upper,
          unsolicited: false,
        });
      }
    }
    if (!isPollFinal(frame.control)) return;
    this.#sending.rewind();
    if (waits && this.#sending.empty) this.#answerBy = now + this.#options.answerMs;
    else this.#answer();
  }

  /** The client may be spoken to: what waits, or RR. */
  #answer(): void {
    if (this.#limits === null) return;
    this.#answerBy = null;
    const frames = this.#sending.frames(this.#ends, this.#limits.windowTransmit, this.#receiving.next);
    if (frames.length === 0) this.#output.push(writeReceiveReady(this.#ends, this.#receiving.next));
    else this.#output.push(...frames);
  }

  #frame(control: number, information: Buffer | null = null): Buffer {
    return writeHdlcFrame({ ...this.#ends, control, information });
  }
}
