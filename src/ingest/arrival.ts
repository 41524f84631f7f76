import type { MeterRecord } from "../storage/meter-record.ts";
import { gatewayName } from "./gateway-header.ts";
import type { ReceivedApdu } from "./received-apdu.ts";

/** An APDU as it arrived, whatever brought it: a connection, a datagram, the quarantine. */
export interface Arrival {
  readonly framing: string;
  /** Without framing. May be a view that is only valid until more is read; what is kept is copied. */
  readonly apdu: Buffer;
  readonly clientSap: number;
  readonly serverSap: number;
  /** Address it came from, without the port. */
  readonly peer: string;
  readonly receivedAtMs: number;
  /** What the concentrator that passed it on calls the meter; absent where it came straight from a meter. */
  readonly behindGateway?: string;
  /** The meter that was last identified on the same connection: whose a frame is that doesn't say so itself. */
  readonly lastMeter: MeterRecord | null;
  /**
   * "live": a counter must be higher than all before. "kept": from the quarantine, where later frames may have been accepted
   * meanwhile; an older counter is no replay then, and moves nothing.
   */
  readonly counterRule: "live" | "kept";
}

/** An APDU as it came out of its framing, just now. */
export function arrivalOf(
  { framing, apdu, gateway, sourceAddress, destinationAddress }: ReceivedApdu,
  { peer, receivedAtMs, lastMeter }: Pick<Arrival, "peer" | "receivedAtMs" | "lastMeter">,
): Arrival {
  const arrival: Arrival = {
    framing,
    apdu,
    clientSap: destinationAddress,
    serverSap: sourceAddress,
    peer,
    receivedAtMs,
    lastMeter,
    counterRule: "live",
  };
  return gateway === undefined ? arrival : { ...arrival, behindGateway: gatewayName(gateway) };
}
