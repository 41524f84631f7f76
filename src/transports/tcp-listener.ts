import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { formatSocketAddress, hasNoIpv6, type SocketAddress } from "./address.ts";
import type { ByteConnection } from "./connection.ts";
import { type TransportError, transportError } from "./errors.ts";
import { TcpConnection } from "./tcp-connection.ts";

/** Thousands of meters may call in the same second, after a power cut or at midnight. */
const BACKLOG = 4_096;
const KEEP_ALIVE_MS = 60_000;

/** How many connections there are and may be, on all listeners that share it. */
export interface ConnectionCount {
  open: number;
  readonly max: number;
}

export interface TcpListenerOptions {
  readonly address: SocketAddress;
  readonly connections: ConnectionCount;
  readonly onConnection: (connection: ByteConnection) => void;
  /** A connection over the limit was closed at once. */
  readonly onRefused?: (remoteAddress: string) => void;
  /** The listening socket failed. */
  readonly onError: (error: TransportError) => void;
  /** Idle time after which the operating system asks whether the peer is still there. */
  readonly keepAliveMs?: number;
}

/** Accepts TCP connections. On "::" it serves IPv4 too, and IPv4 only where the machine has no IPv6. */
export class TcpListener {
  readonly #options: TcpListenerOptions;
  readonly #server: Server;
  readonly #open = new Set<TcpConnection>();
  #closed: Promise<unknown> | null = null;

  private constructor(options: TcpListenerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** @throws TransportError where the address can't be listened on */
  static async listen(options: TcpListenerOptions): Promise<TcpListener> {
    const listener = new TcpListener(options);
    const { host, port } = options.address;
    try {
      await listener.#bind(host, port);
    } catch (error) {
      const what = `tcp ${formatSocketAddress(options.address)}`;
      if (!hasNoIpv6(host, error)) throw transportError(what, error);
      await listener.#bind("0.0.0.0", port).catch((second: unknown) => {
        throw transportError(what, second);
      });
    }
    return listener;
  }

  /** Where it listens, with the port that the system chose. */
  get address(): SocketAddress {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") return this.#options.address;
    return { host: bound.address, port: bound.port };
  }

  /** Accepts no more connections; those that are open stay. */
  stopAccepting(): void {
    if (this.#closed !== null) return;
    this.#closed = once(this.#server, "close");
    this.#server.close();
  }

  /** Accepts no more connections, sends what was written on the open ones and closes them. */
  async close(): Promise<void> {
    this.stopAccepting();
    for (const connection of this.#open) connection.close();
    await this.#closed;
  }

  async #bind(host: string, port: number): Promise<void> {
    const listening = once(this.#server, "listening");
    this.#server.listen({ host, port, backlog: BACKLOG, ipv6Only: false });
    await listening;
    this.#server.on("error", (error) => this.#options.onError(transportError("tcp listener", error)));
  }

  #accept(socket: Socket): void {
    const { connections, onConnection, onRefused, keepAliveMs } = this.#options;
    if (connections.open >= connections.max || socket.remoteAddress === undefined) {
      const from = socket.remoteAddress;
      socket.on("error", () => {}); // it is being closed
      socket.destroy();
      if (from !== undefined) onRefused?.(from);
      return;
    }
    connections.open += 1;
    const connection = new TcpConnection(socket, keepAliveMs ?? KEEP_ALIVE_MS);
    this.#open.add(connection);
    socket.once("close", () => {
      connections.open -= 1;
      this.#open.delete(connection);
    });
    onConnection(connection);
  }
}
