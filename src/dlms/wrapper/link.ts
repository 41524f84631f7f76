import type { Link, LinkEvent } from "../bytes/link.ts";
import { WrapperDeframer } from "./deframer.ts";
import { writeWpdu } from "./wpdu.ts";

export interface WrapperLinkOptions {
  /** wPort of this side and of the other one. */
  readonly own: number;
  readonly peer: number;
  readonly payloadOctetsMax: number;
  /** First octets of APDUs, by which a start is found again after octets that belong to nothing. */
  readonly apduTags?: ReadonlySet<number>;
}

/**
 * One client or server on a wrapper connection (IEC 62056-47): no opening, no acknowledgement, no repetition. What is for another wPort
 * of this side is handed on as unsolicited: a push goes to a client of its own.
 */
export class WrapperLink implements Link {
  readonly #options: WrapperLinkOptions;
  readonly #deframer: WrapperDeframer;
  readonly #output: Buffer[] = [];
  readonly #events: LinkEvent[] = [];

  constructor(options: WrapperLinkOptions) {
    this.#options = options;
    this.#deframer = new WrapperDeframer(options);
  }

  connect(): void {
    this.#events.push({ kind: "connected" });
  }

  disconnect(): void {
    this.#events.push({ kind: "disconnected", reason: "requested", text: "closed" });
  }

  send(apdu: Buffer): void {
    const { own, peer } = this.#options;
    this.#output.push(writeWpdu({ sourceWPort: own, destinationWPort: peer, payload: apdu }));
  }

  poll(): void {}

  receive(octets: Buffer): void {
    this.#deframer.push(octets);
    for (let next = this.#deframer.next(); next.kind !== "need-more"; next = this.#deframer.next()) {
      if (next.kind === "discarded") {
        this.#events.push(next);
        continue;
      }
      const { sourceWPort, destinationWPort, payload } = next.value;
      const { own, peer } = this.#options;
      this.#events.push({
        kind: "apdu",
        // A copy: the deframer's views last until more is received.
        apdu: Buffer.from(payload),
        source: sourceWPort,
        destination: destinationWPort,
        unsolicited: sourceWPort !== peer || destinationWPort !== own,
      });
    }
  }

  handleTimeout(): void {
    this.#deframer.abandon();
  }

  deadline(): number | null {
    return null;
  }

  takeOutput(): Buffer | null {
    return this.#output.length === 0 ? null : Buffer.concat(this.#output.splice(0, this.#output.length));
  }

  takeEvent(): LinkEvent | null {
    return this.#events.shift() ?? null;
  }
}
