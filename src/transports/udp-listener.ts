import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { formatSocketAddress, hasNoIpv6, normalisedAddress, type SocketAddress } from "./address.ts";
import { type TransportError, transportError } from "./errors.ts";

/** Datagrams wait here while the process is busy; more than the system's default of some 200 KiB. */
const RECEIVE_BUFFER_BYTES = 4_194_304;

export interface Datagram {
  readonly octets: Buffer;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Sends an answer to where the datagram came from. What can't be sent is lost, as datagrams are. */
  readonly reply: (octets: Buffer) => void;
}

export interface UdpListenerOptions {
  readonly address: SocketAddress;
  readonly onDatagram: (datagram: Datagram) => void;
  readonly onError: (error: TransportError) => void;
}

/** Receives datagrams. On "::" it serves IPv4 too, and IPv4 only where the machine has no IPv6. */
export class UdpListener {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** @throws TransportError where the address can't be listened on */
  static async listen(options: UdpListenerOptions): Promise<UdpListener> {
    const { host, port } = options.address;
    const what = `udp ${formatSocketAddress(options.address)}`;
    let socket: Socket;
    try {
      socket = await bind(host, port);
    } catch (error) {
      if (!hasNoIpv6(host, error)) throw transportError(what, error);
      socket = await bind("0.0.0.0", port).catch((second: unknown) => {
        throw transportError(what, second);
      });
    }
    socket.on("error", (error) => options.onError(transportError(what, error)));
    socket.on("message", (octets: Buffer, from: RemoteInfo) => {
      options.onDatagram({
        octets,
        remoteAddress: normalisedAddress(from.address),
        remotePort: from.port,
        reply: (answer) => socket.send(answer, from.port, from.address, () => {}),
      });
    });
    return new UdpListener(socket);
  }

  get address(): SocketAddress {
    const { address, port } = this.#socket.address();
    return { host: address, port };
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

async function bind(host: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4", ipv6Only: false });
  try {
    const listening = once(socket, "listening");
    socket.bind({ address: host, port });
    await listening;
  } catch (error) {
    socket.close();
    throw error;
  }
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // The system allows less: it stays at its default.
  }
  return socket;
}
