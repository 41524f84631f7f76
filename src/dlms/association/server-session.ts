import { HdlcStation, type HdlcStationOptions } from "../hdlc/station.ts";
import { WrapperDeframer } from "../wrapper/deframer.ts";
import { writeWpdu } from "../wrapper/wpdu.ts";
import type { ServerAssociation } from "./server.ts";

export type ServerSessionOptions = {
  /** The association of a client with a logical device; null: nobody answers there. Asked once each. */
  readonly associationOf: (clientSap: number, serverSap: number) => ServerAssociation | null;
} & (
  | { readonly framing: "wrapper"; readonly payloadOctetsMax: number }
  | { readonly framing: "hdlc"; readonly station: HdlcStationOptions }
);

/** Tags of requests and answers that a gateway passes on to the meters behind it (Green Book 10.11). */
const GATEWAY_REQUEST = 0xe6;
const GATEWAY_RESPONSE = 0xe7;

/**
 * All associations on one connection to a meter, or to a concentrator with several logical devices: octets in, octets out. Sans-IO.
 */
export class ServerSession {
  readonly #options: ServerSessionOptions;
  readonly #associations = new Map<number, ServerAssociation | null>();
  readonly #station: HdlcStation | null;
  readonly #wrapper: WrapperDeframer | null;
  readonly #output: Buffer[] = [];

  constructor(options: ServerSessionOptions) {
    this.#options = options;
    this.#station = options.framing === "hdlc" ? new HdlcStation(options.station) : null;
    this.#wrapper = options.framing === "wrapper" ? new WrapperDeframer(options) : null;
  }

  receive(octets: Buffer, now: number): void {
    if (this.#station !== null) {
      this.#station.receive(octets, now);
      this.#takeStation();
      return;
    }
    const wrapper = this.#wrapper!;
    wrapper.push(octets);
    for (let next = wrapper.next(); next.kind !== "need-more"; next = wrapper.next()) {
      if (next.kind !== "frame") continue;
      const { sourceWPort, destinationWPort, payload } = next.value;
      this.#takeWpdu(sourceWPort, destinationWPort, Buffer.from(payload));
    }
  }

  /** A push of a logical device to a client. */
  push(clientSap: number, serverSap: number, apdu: Buffer): void {
    if (this.#station === null) this.#sendWpdu(clientSap, serverSap, apdu);
    else this.#station.push(clientSap, serverSap, apdu);
  }

  deadline(): number | null {
    return this.#station?.deadline() ?? null;
  }

  handleTimeout(now: number): void {
    this.#station?.handleTimeout(now);
    this.#takeStation();
  }

  takeOutput(): Buffer | null {
    const framed = this.#station?.takeOutput() ?? null;
    if (framed !== null) return framed;
    return this.#output.length === 0 ? null : Buffer.concat(this.#output.splice(0, this.#output.length));
  }

  /** The association, if the client has ever called. */
  associationOf(clientSap: number, serverSap: number): ServerAssociation | null {
    const key = clientSap * 0x1_0000 + serverSap;
    let association = this.#associations.get(key);
    if (association === undefined) {
      association = this.#options.associationOf(clientSap, serverSap);
      this.#associations.set(key, association);
    }
    return association;
  }

  #takeWpdu(clientSap: number, serverSap: number, payload: Buffer): void {
    const association = this.associationOf(clientSap, serverSap);
    if (association === null) return;
    const header = payload[0] === GATEWAY_REQUEST ? 3 + (payload[2] ?? 0) : 0;
    association.receive(payload.subarray(header));
    const gateway = Buffer.from(payload.subarray(0, header));
    if (header > 0) gateway[0] = GATEWAY_RESPONSE;
    for (let apdu = association.takeOutput(); apdu !== null; apdu = association.takeOutput()) {
      this.#sendWpdu(clientSap, serverSap, header > 0 ? Buffer.concat([gateway, apdu]) : apdu);
    }
  }

  #sendWpdu(clientSap: number, serverSap: number, payload: Buffer): void {
    this.#output.push(writeWpdu({ sourceWPort: serverSap, destinationWPort: clientSap, payload }));
  }

  #takeStation(): void {
    const station = this.#station;
    if (station === null) return;
    for (let event = station.takeEvent(); event !== null; event = station.takeEvent()) {
      if (event.kind === "discarded") continue;
      const { client, server } = event;
      const association = this.associationOf(client, server);
      if (association === null) continue;
      if (event.kind !== "apdu") {
        association.linkLost();
        continue;
      }
      association.receive(event.apdu);
      for (let apdu = association.takeOutput(); apdu !== null; apdu = association.takeOutput()) {
        station.send(client, server, apdu);
      }
    }
  }
}
