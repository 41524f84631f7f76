import type { TransportError } from "./errors.ts";

/**
 * Octets both ways between us and one peer, whatever carries them. Nothing is read before `onData` has been called.
 * Chunks are handed over as they came; they are the receiver's.
 */
export interface ByteConnection {
  readonly transport: "tcp" | "udp" | "serial";
  /** IP address, an IPv4 address mapped into IPv6 written as IPv4; the path of a serial line. */
  readonly remoteAddress: string;
  /** 0 for a serial line. */
  readonly remotePort: number;
  /** Whether `close` was called or the peer has gone. */
  readonly closed: boolean;
  onData(listener: (chunk: Buffer) => void): void;
  /** Each listener is called once; with null where the connection was closed without an error. */
  onClose(listener: (error: TransportError | null) => void): void;
  /** False where the octets have to wait; a peer that never reads is disconnected. Does nothing once closed. */
  write(octets: Buffer): boolean;
  /** Stops reading, so that the peer has to wait. */
  pause(): void;
  resume(): void;
  /** Sends what was written and closes. */
  close(): void;
  /** Closes at once, what was written is lost. */
  destroy(): void;
}
