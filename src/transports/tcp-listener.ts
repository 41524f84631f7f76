import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { formatSocketAddress, hasNoIpv6, normalisedAddress, type SocketAddress } from "./address.ts";
import type { AddressSet } from "./address-set.ts";
import type { ByteConnection } from "./connection.ts";
import { TransportError, transportError } from "./errors.ts";
import { awaitProxyHeader } from "./proxied-socket.ts";
import type { ProxiedPeer } from "./proxy-header.ts";
import { TcpConnection } from "./tcp-connection.ts";
import { LINE_LIMITS, type LineLimits, WaitingLine } from "./waiting-line.ts";

/** Thousands of meters may call in the same second, after a power cut or at midnight. */
const BACKLOG = 4_096;
const KEEP_ALIVE_MS = 60_000;

/** How many connections there are and may be, on all listeners that share it. */
export interface ConnectionCount {
  open: number;
  readonly max: number;
}

/** Load balancers that say, with the PROXY protocol, whose connection they pass on. */
export interface TrustedProxies {
  /** Connections from here must begin with a header; from anywhere else a header is octets like others. */
  readonly addresses: AddressSet;
  /** Time in which the header must have come. */
  readonly headerMs: number;
  /** A connection was closed because its header was wrong or didn't come. */
  readonly onRefused: (remoteAddress: string, why: TransportError) => void;
}

export interface TcpListenerOptions {
  readonly address: SocketAddress;
  readonly connections: ConnectionCount;
  readonly onConnection: (connection: ByteConnection) => void;
  /** A connection over the limit was closed at once. */
  readonly onRefused?: (remoteAddress: string) => void;
  readonly proxies?: TrustedProxies;
  /** The listening socket failed. */
  readonly onError: (error: TransportError) => void;
  /** Idle time after which the operating system asks whether the peer is still there. */
  readonly keepAliveMs?: number;
  /** Of those who call at the same time. */
  readonly line?: LineLimits;
}

/** Accepts TCP connections. On "::" it serves IPv4 too, and IPv4 only where the machine has no IPv6. */
export class TcpListener {
  readonly #options: TcpListenerOptions;
  readonly #server: Server;
  readonly #open = new Set<TcpConnection>();
  /** Connections whose header hasn't come yet. */
  readonly #unread = new Set<Socket>();
  readonly #line: WaitingLine<Socket>;
  #closed: Promise<unknown> | null = null;

  private constructor(options: TcpListenerOptions) {
    this.#options = options;
    this.#line = new WaitingLine((socket) => this.#letIn(socket), options.line ?? LINE_LIMITS);
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
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
    this.#line.end();
    for (const socket of this.#unread) socket.destroy();
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
    const { connections, onRefused } = this.#options;
    const from = socket.remoteAddress;
    if (connections.open >= connections.max || from === undefined) {
      discard(socket);
      if (from !== undefined) onRefused?.(normalisedAddress(from));
      return;
    }
    connections.open += 1;
    socket.once("close", () => {
      connections.open -= 1;
    });
    // What breaks before it is let in closes the socket, which is all that there is to know.
    socket.on("error", () => {});
    this.#line.add(socket);
  }

  #letIn(socket: Socket): void {
    const { proxies } = this.#options;
    const from = socket.remoteAddress;
    if (from !== undefined && proxies?.addresses.has(from)) {
      this.#readHeader(socket, normalisedAddress(from), proxies);
    } else {
      this.#connect(socket, null);
    }
  }

  #readHeader(socket: Socket, from: string, { headerMs, onRefused }: TrustedProxies): void {
    this.#unread.add(socket);
    socket.once("close", () => this.#unread.delete(socket));
    awaitProxyHeader(socket, headerMs, (outcome) => {
      this.#unread.delete(socket);
      if (outcome instanceof TransportError) {
        discard(socket);
        onRefused(from, outcome);
      } else {
        this.#connect(socket, outcome);
      }
    });
  }

  #connect(socket: Socket, peer: ProxiedPeer | null): void {
    const { onConnection, keepAliveMs } = this.#options;
    const connection = new TcpConnection(socket, keepAliveMs ?? KEEP_ALIVE_MS, peer);
    this.#open.add(connection);
    connection.onClose(() => this.#open.delete(connection));
    onConnection(connection);
  }
}

function discard(socket: Socket): void {
  socket.on("error", () => {}); // it is being closed
  socket.destroy();
}
