import type { Discarded } from "../bytes/deframed.ts";
import { DecodeError } from "../bytes/errors.ts";
import type { LinkApdu, LinkEnd } from "../bytes/link.ts";
import { type HdlcAddress, hdlcAddress } from "./address.ts";
import { frameType } from "./control.ts";
import { HdlcDeframer } from "./deframer.ts";
import type { HdlcFrame } from "./frame.ts";
import { LLC_RESPONSE, writeApdu } from "./outgoing.ts";
import { HdlcServerLink, type HdlcServerOptions } from "./server-link.ts";

export interface HdlcStationOptions extends HdlcServerOptions {
  /** Lower address; null: whatever it is called by, as on a line of its own. */
  readonly physicalDevice: number | null;
  /** Upper addresses that answer. */
  readonly logicalDevices: readonly number[];
  /** Time between octets of a frame after which it is given up. */
  readonly interOctetMs: number;
}

/** What happens on one of the links; `client` and `server` are the SAPs of its ends. */
export type StationEvent =
  | ((LinkApdu | { readonly kind: "connected" } | Disconnected) & {
      readonly client: number;
      readonly server: number;
    })
  | Discarded;

interface Disconnected {
  readonly kind: "disconnected";
  readonly reason: LinkEnd;
  readonly text: string;
}

interface Opened {
  readonly link: HdlcServerLink;
  readonly client: number;
  readonly server: number;
}

/** Clients that have called one station; more are not answered. */
const LINKS_MAX = 32;

/** A meter on an HDLC line: cuts frames, passes over those for others, and keeps a link for each client and logical device. */
export class HdlcStation {
  readonly #options: HdlcStationOptions;
  readonly #deframer = new HdlcDeframer();
  readonly #links = new Map<number, Opened>();
  readonly #output: Buffer[] = [];
  readonly #events: StationEvent[] = [];
  #lastOctetAt = 0;

  constructor(options: HdlcStationOptions) {
    this.#options = options;
  }

  receive(octets: Buffer, now: number): void {
    this.#lastOctetAt = now;
    this.#deframer.push(octets);
    this.#work(now);
  }

  /** Answers a client on the link it has opened. */
  send(client: number, server: number, apdu: Buffer): void {
    const opened = this.#links.get(key(client, server));
    opened?.link.send(apdu);
    if (opened !== undefined) this.#collect(opened);
  }

  /** A push: UI frames, which nobody acknowledges. */
  push(client: number, server: number, apdu: Buffer, informationOctetsMax = 128): void {
    const source = hdlcAddress(server, this.#options.physicalDevice);
    this.#output.push(
      ...writeApdu({ destination: hdlcAddress(client), source }, LLC_RESPONSE, apdu, informationOctetsMax),
    );
  }

  deadline(): number | null {
    const all = [...this.#links.values()].flatMap(({ link }) => link.deadline() ?? []);
    if (this.#deframer.pendingOctets > 0) all.push(this.#lastOctetAt + this.#options.interOctetMs);
    return all.length === 0 ? null : Math.min(...all);
  }

  handleTimeout(now: number): void {
    if (this.#deframer.pendingOctets > 0 && now >= this.#lastOctetAt + this.#options.interOctetMs) {
      this.#deframer.abandon();
      this.#work(now);
      this.#lastOctetAt = now;
    }
    for (const opened of this.#links.values()) {
      opened.link.handleTimeout(now);
      this.#collect(opened);
    }
  }

  takeOutput(): Buffer | null {
    return this.#output.length === 0 ? null : Buffer.concat(this.#output.splice(0, this.#output.length));
  }

  takeEvent(): StationEvent | null {
    return this.#events.shift() ?? null;
  }

  #work(now: number): void {
    for (let next = this.#deframer.next(); next.kind !== "need-more"; next = this.#deframer.next()) {
      if (next.kind === "discarded") this.#events.push(next);
      else this.#take(next.value, now);
    }
  }

  #take(frame: HdlcFrame, now: number): void {
    const { destination, source } = frame;
    if (!this.#isFor(destination)) return;
    const id = key(source.upper, destination.upper);
    let opened = this.#links.get(id);
    if (opened === undefined) {
      if (this.#links.size >= LINKS_MAX) return;
      if (frameType(frame.control) === "UI") return;
      const link = new HdlcServerLink(source, destination, this.#options);
      opened = { link, client: source.upper, server: destination.upper };
      this.#links.set(id, opened);
    }
    try {
      opened.link.take(frame, now);
    } catch (error) {
      // Parameters of an SNRM that make no sense: as if it had not come.
      if (!(error instanceof DecodeError)) throw error;
    }
    this.#collect(opened);
  }

  #isFor({ upper, lower }: HdlcAddress): boolean {
    const { physicalDevice, logicalDevices } = this.#options;
    const here = lower === null || physicalDevice === null || lower === physicalDevice;
    return here && logicalDevices.includes(upper);
  }

  #collect({ link, client, server }: Opened): void {
    for (let octets = link.takeOutput(); octets !== null; octets = link.takeOutput()) {
      this.#output.push(octets);
    }
    for (let event = link.takeEvent(); event !== null; event = link.takeEvent()) {
      this.#events.push(event.kind === "discarded" ? event : { ...event, client, server });
    }
    if (!link.connected) this.#links.delete(key(client, server));
  }
}

const key = (client: number, server: number) => client * 0x4000 + server;
