import type { Link, LinkEvent } from "../bytes/link.ts";

/** A meter behind a gateway: its network there, and its address as the gateway names it. */
export interface GatewayAddress {
  readonly networkId: number;
  readonly physicalAddress: Buffer;
}

const REQUEST = 0xe6;
const RESPONSE = 0xe7;

/**
 * A link to a meter behind a gateway (Green Book 10.11): each APDU has the header E6 or E7 · network id · address with its length in
 * front. What comes without that header, or with another meter's, is beside the conversation.
 */
export class GatewayLink implements Link {
  readonly #link: Link;
  readonly #request: Buffer;
  readonly #response: Buffer;

  constructor(link: Link, { networkId, physicalAddress }: GatewayAddress) {
    this.#link = link;
    this.#request = Buffer.concat([
      Buffer.from([REQUEST, networkId, physicalAddress.length]),
      physicalAddress,
    ]);
    this.#response = Buffer.from(this.#request);
    this.#response[0] = RESPONSE;
  }

  connect(now: number): void {
    this.#link.connect(now);
  }

  disconnect(now: number): void {
    this.#link.disconnect(now);
  }

  send(apdu: Buffer, now: number): void {
    this.#link.send(Buffer.concat([this.#request, apdu]), now);
  }

  poll(now: number): void {
    this.#link.poll(now);
  }

  receive(octets: Buffer, now: number): void {
    this.#link.receive(octets, now);
  }

  handleTimeout(now: number): void {
    this.#link.handleTimeout(now);
  }

  deadline(): number | null {
    return this.#link.deadline();
  }

  takeOutput(): Buffer | null {
    return this.#link.takeOutput();
  }

  takeEvent(): LinkEvent | null {
    const event = this.#link.takeEvent();
    if (event?.kind !== "apdu" || event.unsolicited) return event;
    const length = this.#response.length;
    if (event.apdu.compare(this.#response, 0, length, 0, length) !== 0)
      return { ...event, unsolicited: true };
    return { ...event, apdu: event.apdu.subarray(length) };
  }
}
