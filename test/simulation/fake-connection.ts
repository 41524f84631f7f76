import type { ByteConnection } from "../../src/transports/connection.ts";

/** A connection in memory; what either end sends arrives later, or never. */
export class FakeConnection implements ByteConnection {
  readonly transport = "tcp";
  readonly remotePort = 40_000;
  readonly remoteAddress: string;
  closed = false;
  private readonly onWrite: (octets: Buffer) => void;
  private data: (chunk: Buffer) => void = () => undefined;
  private ended: ((error: null) => void)[] = [];
  private paused = false;
  private waiting: Buffer[] = [];

  constructor(remoteAddress: string, onWrite: (octets: Buffer) => void) {
    this.remoteAddress = remoteAddress;
    this.onWrite = onWrite;
  }

  /** From the meter. */
  receive(octets: Buffer): void {
    if (this.closed) return;
    if (this.paused) this.waiting.push(octets);
    else this.data(octets);
  }

  onData(listener: (chunk: Buffer) => void): void {
    this.data = listener;
  }

  onClose(listener: (error: null) => void): void {
    this.ended.push(listener);
  }

  write(octets: Buffer): boolean {
    if (!this.closed) this.onWrite(octets);
    return true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    while (!this.paused && this.waiting.length > 0) this.data(this.waiting.shift()!);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const listener of this.ended.splice(0)) listener(null);
  }

  destroy(): void {
    this.close();
  }
}
