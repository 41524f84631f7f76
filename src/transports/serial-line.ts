import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { SerialPort, SerialPortMock } from "serialport";
import type { ByteConnection } from "./connection.ts";
import { TransportError, transportError } from "./errors.ts";

export interface SerialLineOptions {
  /** "/dev/ttyUSB0" */
  readonly path: string;
  readonly baudRate: number;
  readonly dataBits?: 7 | 8;
  readonly parity?: "none" | "even" | "odd";
  readonly stopBits?: 1 | 2;
  /** Another class than `serialport`'s own, as its mock. */
  readonly port?: typeof SerialPort | typeof SerialPortMock;
  /** How often to look whether the device is still there; 2 s by default. */
  readonly presenceMs?: number;
}

/**
 * A line that has just been closed may be locked for a moment still: the lock goes when the last read of it returns, in another thread. Whoever
 * else has it keeps it for longer than this.
 */
const LOCKED_MS = 1_000;
const LOOK_AGAIN_MS = 20;

/** Opens a serial line, 8N1 unless told otherwise. @throws TransportError */
export async function openSerialLine(options: SerialLineOptions): Promise<ByteConnection> {
  const { path, baudRate, dataBits = 8, parity = "none", stopBits = 1 } = options;
  try {
    // Only now: a daemon without serial lines needs no native binding.
    const Port = options.port ?? (await import("serialport")).SerialPort;
    const port = new Port({ path, baudRate, dataBits, parity, stopBits, autoOpen: false });
    const deadline = performance.now() + LOCKED_MS;
    while (!(await isOpened(port))) {
      if (performance.now() > deadline) throw new Error("another program has locked it");
      await delay(LOOK_AGAIN_MS);
    }
    return new SerialLine(path, port, options.presenceMs ?? 2_000);
  } catch (error) {
    throw transportError(`serial line ${path}`, error);
  }
}

/** false: it is locked. */
function isOpened(port: SerialPort | SerialPortMock): Promise<boolean> {
  return new Promise((resolve, reject) => {
    port.open((error) => {
      if (!error) resolve(true);
      else if (/Cannot lock port/.test(error.message)) resolve(false);
      else reject(error);
    });
  });
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

  constructor(path: string, port: SerialPort | SerialPortMock, presenceMs: number) {
    this.remoteAddress = path;
    this.#port = port;
    port.on("error", (error: Error) => {
      this.#error ??= transportError(`serial line ${path}`, error);
      this.destroy();
    });
    // A line that is unplugged closes with an error as argument, if reading fails. See also #watch.
    const watch = existsSync(path) ? this.#watch(presenceMs) : undefined;
    port.once("close", (error?: Error | null) => {
      this.#gone = true;
      clearInterval(watch);
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

  /**
   * Reading from a terminal that has hung up gives nothing instead of an error, and the binding then reads again and
   * again without end. So the device's file is looked for.
   */
  #watch(presenceMs: number): NodeJS.Timeout {
    return setInterval(() => {
      if (this.closed || existsSync(this.remoteAddress)) return;
      this.#error ??= new TransportError("ENODEV", `serial line ${this.remoteAddress}: device has gone`);
      this.destroy();
    }, presenceMs);
  }

  #closePort(): void {
    if (this.#port.isOpen) this.#port.close(() => {});
  }
}
