import { createSocket, type Socket } from "node:dgram";
import { formatSocketAddress } from "./address.ts";
import type { ByteConnection } from "./connection.ts";
import { type TransportError, transportError } from "./errors.ts";

/** A socket that exchanges datagrams with one peer; others are not heard. Nothing tells whether the peer is there. @throws TransportError */
export function dialUdp({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<ByteConnection> {
  const what = `udp ${formatSocketAddress({ host, port })}`;
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.once("error", (error) => {
      socket.close();
      reject(transportError(what, error));
    });
    socket.connect(port, host, () => {
      socket.removeAllListeners("error");
      resolve(new UdpConnection(socket, host, port, what));
    });
  });
}

class UdpConnection implements ByteConnection {
  readonly transport = "udp";
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #socket: Socket;
  #error: TransportError | null = null;
  #closed = false;

  constructor(socket: Socket, host: string, port: number, what: string) {
    this.#socket = socket;
    this.remoteAddress = host;
    this.remotePort = port;
    // "Connection refused" comes with the datagram after the one that nobody took.
    socket.on("error", (error) => {
      this.#error ??= transportError(what, error);
      this.close();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  onData(listener: (chunk: Buffer) => void): void {
    this.#socket.on("message", listener);
  }

  onClose(listener: (error: TransportError | null) => void): void {
    this.#socket.once("close", () => listener(this.#error));
  }

  write(octets: Buffer): boolean {
    if (this.#closed) return false;
    this.#socket.send(octets);
    return true;
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  destroy(): void {
    this.close();
  }
}
