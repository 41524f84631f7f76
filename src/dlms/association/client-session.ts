import type { Discarded } from "../bytes/deframed.ts";
import type { Link, LinkApdu, LinkEvent } from "../bytes/link.ts";
import { ClientAssociation } from "./client.ts";
import type { Exchange, ServiceMeans } from "./client-exchange.ts";
import type { ClientEvent, ClientOptions } from "./client-options.ts";
import { SilenceError } from "./errors.ts";
import type { ReadProgress } from "./requests.ts";

/** What happens between opening a link and closing it. */
export type SessionEvent =
  | Exclude<ClientEvent, { kind: "notification" }>
  /** Beside the conversation: for the push line. */
  | {
      readonly kind: "notification";
      readonly apdu: Buffer;
      readonly source: number;
      readonly destination: number;
    }
  | Discarded
  /** The link is closed, the last event. */
  | { readonly kind: "closed" };

/**
 * A client association on its link: opens the link, associates, runs exchanges, releases, closes. Sans-IO, as both of its parts.
 */
export class ClientSession {
  readonly #link: Link;
  readonly #association: ClientAssociation;
  readonly #events: SessionEvent[] = [];
  #stage: "opening" | "open" | "closing" | "closed" = "opening";
  #from: { readonly source: number; readonly destination: number } = { source: 0, destination: 0 };

  constructor(link: Link, options: ClientOptions) {
    this.#link = link;
    this.#association = new ClientAssociation(options);
  }

  open(now: number): void {
    this.#link.connect(now);
    this.#turn(now);
  }

  run(
    service: (means: ServiceMeans) => Exchange<unknown>,
    now: number,
    onProgress?: (progress: ReadProgress) => void,
  ): void {
    this.#association.run(service, now, onProgress);
    this.#turn(now);
  }

  /** Counters were reserved. */
  resume(now: number): void {
    this.#association.resume(now);
    this.#turn(now);
  }

  /** Releases the association, then closes the link; "closed" follows. */
  close(now: number): void {
    if (this.#stage === "open") {
      this.#stage = "closing";
      this.#association.release(now);
    } else {
      this.#stage = "closing";
      this.#link.disconnect(now);
    }
    this.#turn(now);
  }

  receive(octets: Buffer, now: number): void {
    this.#link.receive(octets, now);
    this.#turn(now);
  }

  /** An APDU that was taken out of its framing elsewhere. */
  receiveApdu(apdu: LinkApdu, now: number): void {
    this.#takeApdu(apdu, now);
    this.#turn(now);
  }

  deadline(): number | null {
    const link = this.#link.deadline();
    const association = this.#association.deadline();
    return link === null ? association : association === null ? link : Math.min(link, association);
  }

  handleTimeout(now: number): void {
    this.#link.handleTimeout(now);
    this.#association.handleTimeout(now);
    this.#turn(now);
  }

  takeOutput(): Buffer | null {
    return this.#link.takeOutput();
  }

  takeEvent(): SessionEvent | null {
    return this.#events.shift() ?? null;
  }

  /** Lets both parts work until neither has anything for the other. */
  #turn(now: number): void {
    for (;;) {
      this.#flush(now);
      const event = this.#link.takeEvent();
      if (event === null) return;
      this.#takeLinkEvent(event, now);
    }
  }

  #flush(now: number): void {
    for (let apdu = this.#association.takeOutput(); apdu !== null; apdu = this.#association.takeOutput()) {
      this.#link.send(apdu, now);
    }
    for (let event = this.#association.takeEvent(); event !== null; event = this.#association.takeEvent()) {
      this.#takeEvent(event, now);
    }
  }

  #takeEvent(event: ClientEvent, now: number): void {
    if (event.kind === "notification") {
      this.#events.push({ ...event, ...this.#from });
      return;
    }
    if (event.kind === "associated") this.#stage = "open";
    const over = event.kind === "failed" || event.kind === "released";
    this.#events.push(event);
    if (over && this.#stage !== "closed") {
      this.#stage = "closing";
      this.#link.disconnect(now);
    }
  }

  #takeLinkEvent(event: LinkEvent, now: number): void {
    switch (event.kind) {
      case "connected":
        this.#association.associate(now);
        return;
      case "apdu":
        this.#takeApdu(event, now);
        return;
      case "disconnected":
        this.#linkGone(event.reason, event.text);
        return;
      default:
        this.#events.push(event);
    }
  }

  #takeApdu(event: LinkApdu, now: number): void {
    const { apdu, source, destination, unsolicited } = event;
    if (unsolicited) {
      this.#events.push({ kind: "notification", apdu, source, destination });
      return;
    }
    this.#from = { source, destination };
    this.#association.receive(apdu, now);
    this.#flush(now);
    // A notification in between, or one of several blocks: the answer itself is still to be fetched.
    if (this.#association.waiting) this.#link.poll(now);
  }

  #linkGone(reason: string, text: string): void {
    const wanted = this.#stage === "closing";
    this.#stage = "closed";
    this.#association.linkLost();
    if (!wanted) {
      const error =
        reason === "timeout" || reason === "refused" ? new SilenceError(text) : new LinkLostError(text);
      this.#events.push({ kind: "failed", error });
    }
    this.#events.push({ kind: "closed" });
  }
}

/** The other side closed the link, or broke its rules. */
export class LinkLostError extends Error {
  constructor(text: string) {
    super(text);
    this.name = "LinkLostError";
  }
}
