import type { ByteConnection } from "./connection.ts";
import { type TransportError, transportError } from "./errors.ts";
import { openSerialLine, type SerialLineOptions } from "./serial-line.ts";

export interface SerialListenerOptions extends SerialLineOptions {
  readonly onConnection: (connection: ByteConnection) => void;
  /** The line could not be opened, or was lost; it is tried again after `reopenMs`. */
  readonly onError: (error: TransportError) => void;
  /** 5 s by default. */
  readonly reopenMs?: number;
}

/** Keeps a serial line open: an adapter that is unplugged, or not yet there, is waited for. */
export class SerialListener {
  readonly #options: SerialListenerOptions;
  #connection: ByteConnection | null = null;
  #retry: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: SerialListenerOptions) {
    this.#options = options;
  }

  /** Tries to open the line; a failure is reported and tried again, never thrown. */
  async start(): Promise<void> {
    this.#retry = null;
    let connection: ByteConnection;
    try {
      connection = await openSerialLine(this.#options);
    } catch (error) {
      return this.#lost(transportError(`serial line ${this.#options.path}`, error));
    }
    if (this.#stopped) return connection.destroy();
    this.#connection = connection;
    connection.onClose((error) => this.#lost(error));
    this.#options.onConnection(connection);
  }

  close(): void {
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#connection?.close();
  }

  #lost(error: TransportError | null): void {
    this.#connection = null;
    if (this.#stopped) return;
    if (error !== null) this.#options.onError(error);
    this.#retry = setTimeout(() => void this.start(), this.#options.reopenMs ?? 5_000);
  }
}
