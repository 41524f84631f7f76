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
  /** Where the connection is lent: hands an APDU that came beside the conversation to the push line. */
  readonly deliver?: (apdu: Buffer, source: number, destination: number) => void;
}

/** Connections that meters have opened, and that serve polls while pushes go on. */
export interface LentConnections {
  /** The connection of a meter; null where it has none, or the one it has can't be lent now. */
  lend(meterId: string): DialledWire | null;
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

/** Finds the way to a meter: its own connection, or one that is dialled. */
export class Dialler {
  readonly #lent: LentConnections | null;
  readonly #serial: readonly SerialSetting[];
  readonly #timeoutMs: number;

  constructor(lent: LentConnections | null, serial: readonly SerialSetting[], timeoutMs: number) {
    this.#lent = lent;
    this.#serial = serial;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws PollError */
  async dial(meter: MeterAccess, signal?: AbortSignal): Promise<DialledWire> {
    if (signal?.aborted) throw new PollError("aborted", `meter ${meter.meterNumber}: given up`);
    const lent = this.#lent?.lend(meter.id) ?? null;
    if (lent !== null) return lent;
    const { host, meterNumber } = meter;
    if (meter.mode === "listen") {
      throw new PollError("unreachable", `meter ${meterNumber} calls us, and it is not connected here`);
    }
    if (host === null) throw new PollError("not-configured", `meter ${meterNumber} has no host to call`);
    try {
      const connection = await this.#connect(meter, host);
      if (signal?.aborted) {
        connection.destroy();
        throw new PollError("aborted", `meter ${meterNumber}: given up`);
      }
      const framing = framingOf(meter);
      return wireOf(connection, framing);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      throw new PollError("unreachable", `meter ${meterNumber}: ${error.message}`, { cause: error });
    }
  }

  #connect({ transport, port }: MeterAccess, host: string): Promise<ByteConnection> {
    const address = { host, port: port ?? PORT };
    if (transport === "tcp") return dialTcp({ ...address, timeoutMs: this.#timeoutMs });
    if (transport === "udp") return dialUdp(address);
    const line = this.#serial.find(({ path }) => path === host);
    return openSerialLine({
      path: host,
      baudRate: line?.baud_rate ?? BAUD_RATE,
      dataBits: line?.data_bits ?? 8,
      parity: line?.parity ?? "none",
      stopBits: line?.stop_bits ?? 1,
    });
  }
}

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
    close: () => connection.close(),
  };
}
