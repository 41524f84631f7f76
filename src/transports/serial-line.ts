import type { SerialPort, SerialPortMock } from "serialport";
import type { ByteConnection } from "./connection.ts";
import { type TransportError, transportError } from "./errors.ts";

export interface SerialLineOptions {
  /** "/dev/ttyUSB0" */
  readonly path: string;
  readonly baudRate: number;
  readonly dataBits?: 7 | 8;
  readonly parity?: "none" | "even" | "odd";
  readonly stopBits?: 1 | 2;
  /** Another class than `serialport`'s own, as its mock. */
  readonly port?: typeof SerialPort | typeof SerialPortMock;
}

/** Opens a serial line, 8N1 unless told otherwise. @throws TransportError */
export async function openSerialLine(options: SerialLineOptions): Promise<ByteConnection> {
  const { path, baudRate, dataBits = 8, parity = "none", stopBits = 1 } = options;
  try {
    // Only now: a daemon without serial lines needs no native binding.
    const Port = options.port ?? (await import("serialport")).SerialPort;
    const port = new Port({ path, baudRate, dataBits, parity, stopBits, autoOpen: false });
    await new Promise<void>((resolve, reject) => {
      port.open((error) => (error ? reject(error) : resolve()));
    });
    return new SerialLine(path, port);
  } catch (error) {
    throw transportError(`serial line ${path}`, error);
  }
}

class SerialLine implements ByteConnection {
  readonly transport = "serial";
  readonly remoteAddress: string;
  readonly remotePort = 0;
  readonly #port: SerialPort | SerialPortMock;
  #error: TransportError | null = null;
  readonly #closeListeners: ((error: TransportError | null) => void)[] = [];
  #closing = false;
  #gone = false;

  constructor(path: string, port: SerialPort | SerialPortMock) {
    this.remoteAddress = path;
    this.#port = port;
    port.on("error", (error: Error) => {
      this.#error ??= transportError(`serial line ${path}`, error);
      this.destroy();
    });
    // A line that is unplugged closes with an error as argument.
    port.once("close", (error?: Error | null) => {
      this.#gone = true;
      if (error) this.#error ??= transportError(`serial line ${path}`, error);
      for (const listener of this.#closeListeners) listener(this.#error);
    });
  }

  get closed(): boolean {
    return this.#closing || this.#gone;
  }

  onData(listener: (chunk: Buffer) => void): void {
    this.#port.on("data", listener);
  }

  onClose(listener: (error: TransportError | null) => void): void {
    if (this.#gone) listener(this.#error);
    else this.#closeListeners.push(listener);
  }

  write(octets: Buffer): boolean {
    return this.closed ? false : this.#port.write(octets);
  }

  pause(): void {
    this.#port.pause();
  }

  resume(): void {
    this.#port.resume();
  }

  close(): void {
    if (this.closed) return;
    this.#closing = true;
    this.#port.drain(() => this.#closePort());
  }

  destroy(): void {
    if (this.#gone) return;
    this.#closing = true;
    this.#closePort();
  }

  #closePort(): void {
    if (this.#port.isOpen) this.#port.close(() => {});
  }
}
