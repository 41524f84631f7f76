import { connect } from "node:net";
import { formatSocketAddress, type SocketAddress } from "./address.ts";
import { transportError } from "./errors.ts";

/**
 * Makes a connection, sends `octets`, and waits until the peer has closed it too: it has read everything then. With nothing
 * around it, for load generators that do this thousands of times a second.
 * @throws TransportError
 */
export function sendOnce(address: SocketAddress, octets: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.host, port: address.port });
    socket.on("error", (error) => reject(transportError(`tcp ${formatSocketAddress(address)}`, error)));
    socket.on("close", () => resolve());
    socket.resume();
    socket.end(octets);
  });
}
