import { setTimeout as delay } from "node:timers/promises";
import type { MeterAccess } from "../storage/meter-access.ts";
import type { ByteConnection } from "../transports/connection.ts";
import { TransportError } from "../transports/errors.ts";
import { openSerialLine } from "../transports/serial-line.ts";
import { dialTcp } from "../transports/tcp-dialler.ts";
import { dialUdp } from "../transports/udp-dialler.ts";
import type { Wire } from "./driver.ts";
import { PollError } from "./meter-association.ts";

export interface DialledWire extends Wire {
  readonly framing: "hdlc" | "wrapper";
  readonly peer: string;
  /** Where the connection is lent: hands a push that came in a frame for our client to the push line. */
  readonly deliver?: (apdu: Buffer, source: number, destination: number) => void;
}

/** Connections that meters have opened, and that serve polls while pushes go on. */
export interface LentConnections {
  /** The connection of a meter, for what this client asks; "busy" where it can't be lent in this moment; null where it has none. */
  lend(meterId: string, clientSap: number): DialledWire | "busy" | null;
  /** A name for it: meters behind one concentrator share a connection. null: it has none. */
  connectionOf(meterId: string): string | null;
}

export interface SerialSetting {
  readonly path: string;
  readonly baud_rate: number;
  readonly data_bits: 7 | 8;
  readonly parity: "none" | "even" | "odd";
  readonly stop_bits: 1 | 2;
}

/** Registered for DLMS/COSEM, TCP and UDP. */
const PORT = 4059;
const BAUD_RATE = 9600;
/** How often is looked whether a connection that is busy can be lent. */
const BUSY_MS = 20;

/** Finds the way to a meter: its own connection, or one that is dialled. */
export class Dialler {
  readonly #lent: LentConnections | null;
  readonly #serial: readonly SerialSetting[];
  readonly #timeoutMs: number;
  readonly #openSerial: typeof openSerialLine;

  constructor(
    lent: LentConnections | null,
    serial: readonly SerialSetting[],
    timeoutMs: number,
    openSerial = openSerialLine,
  ) {
    this.#lent = lent;
    this.#serial = serial;
    this.#timeoutMs = timeoutMs;
    this.#openSerial = openSerial;
  }

  /** A name for the connection that the meter has opened; null: it has none here. */
  connectionOf(meterId: string): string | null {
    return this.#lent?.connectionOf(meterId) ?? null;
  }

  /** @throws PollError */
  async dial(meter: MeterAccess, clientSap: number, signal?: AbortSignal): Promise<DialledWire> {
    const lent = await this.#borrow(meter, clientSap, signal);
    if (lent !== null) return lent;
    const { host, meterNumber } = meter;
    if (meter.mode === "listen") {
      throw new PollError("unreachable", `meter ${meterNumber} calls us, and it is not connected here`);
    }
    if (host === null) throw new PollError("not-configured", `meter ${meterNumber} has no host to call`);
    try {
      const connection = await unlessAborted(this.#connect(meter, host), signal, () => givenUp(meter));
      const framing = framingOf(meter);
      return wireOf(connection, framing);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      throw new PollError("unreachable", `meter ${meterNumber}: ${error.message}`, { cause: error });
    }
  }

  /** The connection that the meter has opened, between two of its pushes; null where it has none. @throws PollError */
  async #borrow(
    meter: MeterAccess,
    clientSap: number,
    signal: AbortSignal | undefined,
  ): Promise<DialledWire | null> {
    const deadline = performance.now() + this.#timeoutMs;
    for (;;) {
      if (signal?.aborted) throw givenUp(meter);
      const lent = this.#lent?.lend(meter.id, clientSap) ?? null;
      if (lent !== "busy") return lent;
      if (performance.now() > deadline) {
        throw new PollError(
          "unreachable",
          `meter ${meter.meterNumber}: its connection is taken up by a push`,
        );
      }
      await delay(BUSY_MS);
    }
  }

  #connect({ transport, port }: MeterAccess, host: string): Promise<ByteConnection> {
    const address = { host, port: port ?? PORT };
    if (transport === "tcp") return dialTcp({ ...address, timeoutMs: this.#timeoutMs });
    if (transport === "udp") return dialUdp(address);
    const line = this.#serial.find(({ path }) => path === host);
    return this.#openSerial({
      path: host,
      baudRate: line?.baud_rate ?? BAUD_RATE,
      dataBits: line?.data_bits ?? 8,
      parity: line?.parity ?? "none",
      stopBits: line?.stop_bits ?? 1,
    });
  }
}

/** What `connecting` comes to; where it is given up before, nobody waits for it, and it is closed when it stands. */
function unlessAborted(
  connecting: Promise<ByteConnection>,
  signal: AbortSignal | undefined,
  error: () => PollError,
): Promise<ByteConnection> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      connecting.then(
        (connection) => connection.destroy(),
        () => undefined,
      );
      reject(error());
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort, { once: true });
    connecting.finally(() => signal?.removeEventListener("abort", abort)).then(resolve, reject);
  });
}

const givenUp = ({ meterNumber }: MeterAccess) => new PollError("aborted", `meter ${meterNumber}: given up`);

/** Where nothing is said, serial lines speak HDLC and networks the wrapper. */
function framingOf({ framing, transport }: MeterAccess): "hdlc" | "wrapper" {
  if (framing !== "auto") return framing;
  return transport === "serial" ? "hdlc" : "wrapper";
}

function wireOf(connection: ByteConnection, framing: "hdlc" | "wrapper"): DialledWire {
  return {
    framing,
    peer: connection.remoteAddress,
    write: (octets) => void connection.write(octets),
    onData: (listener) => connection.onData(listener),
    onClose: (listener) => connection.onClose(listener),
    close: () => (connection.transport === "serial" ? closed(connection) : connection.close()),
  };
}

/** Time for what is written and not yet sent to leave a serial line before it is closed all the same. */
const DRAIN_MS = 2_000;

/** A serial line can't be opened again before it is closed. */
function closed(connection: ByteConnection): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => connection.destroy(), DRAIN_MS);
    connection.onClose(() => {
      clearTimeout(timer);
      resolve();
    });
    connection.close();
  });
}
