import type { Socket } from "node:net";
import { normalisedAddress } from "./address.ts";
import type { ByteConnection } from "./connection.ts";
import { TransportError, transportError } from "./errors.ts";
import type { ProxiedPeer } from "./proxy-header.ts";

/** Octets that may wait for a peer that does not read, before it is disconnected. */
const UNSENT_BYTES_MAX = 262_144;

export class TcpConnection implements ByteConnection {
  readonly transport = "tcp";
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #socket: Socket;
  #error: TransportError | null = null;
  readonly #closeListeners: ((error: TransportError | null) => void)[] = [];
  #gone = false;
  #closing = false;

  /** @param peer who called, where a load balancer stands between; null: the socket's own peer */
  constructor(socket: Socket, keepAliveMs: number, peer: ProxiedPeer | null = null) {
    this.#socket = socket;
    this.remoteAddress = peer?.address ?? normalisedAddress(socket.remoteAddress ?? "unknown");
    this.remotePort = peer?.port ?? socket.remotePort ?? 0;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    socket.on("error", (error) => {
      this.#error ??= transportError(`tcp ${this.remoteAddress}`, error);
    });
    socket.once("close", () => {
      this.#gone = true;
      for (const listener of this.#closeListeners) listener(this.#error);
    });
  }

  get closed(): boolean {
    return this.#closing || this.#gone;
  }

  onData(listener: (chunk: Buffer) => void): void {
    this.#socket.on("data", listener);
    // A listener hands it over paused.
    this.#socket.resume();
  }

  onClose(listener: (error: TransportError | null) => void): void {
    if (this.#gone) listener(this.#error);
    else this.#closeListeners.push(listener);
  }

  write(octets: Buffer): boolean {
    if (this.closed || !this.#socket.writable) return false;
    const accepted = this.#socket.write(octets);
    if (this.#socket.writableLength > UNSENT_BYTES_MAX) {
      this.#error ??= new TransportError("EPIPE", `tcp ${this.remoteAddress}: peer does not read`);
      this.destroy();
    }
    return accepted;
  }

  /** Called whenever what had to wait after a `write` that returned false has been sent. */
  onDrain(listener: () => void): void {
    this.#socket.on("drain", listener);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what was written and says that no more will come. It is closed when the peer has read everything and closed it too. */
  end(): void {
    this.#closing = true;
    this.#socket.resume();
    this.#socket.end();
  }

  close(): void {
    this.#closing = true;
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }
}
