import { randomBytes } from "node:crypto";
import { SerialPortMock } from "serialport";
import { ReceivedCounter } from "../../src/dlms/association/protection.ts";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import { ServerSession } from "../../src/dlms/association/server-session.ts";
import type { ByteConnection } from "../../src/transports/connection.ts";
import { openSerialLine, type SerialLineOptions } from "../../src/transports/serial-line.ts";
import { LIMITS, SERVER_TITLE } from "./associations.ts";
import { openPseudoTerminals } from "./pseudo-terminals.ts";
import { paper, policies } from "./road-ends.ts";

/** Meters that hang on one line: each hears everything, and speaks where it is addressed. */
export class SerialMeters {
  /** Frames of the head-end, in hex. */
  readonly heard: string[] = [];
  readonly #sessions = new Map<string, ServerSession>();
  readonly #answer: (octets: Buffer) => void;

  /** `physical`: lower HDLC addresses; null: a meter that answers to whatever it is called by, as behind an optical head. */
  constructor(physical: readonly (number | null)[], answer: (octets: Buffer) => void) {
    this.#answer = answer;
    for (const address of physical) this.#sessions.set(String(address), this.#meter(address));
  }

  hear(octets: Buffer): void {
    this.heard.push(octets.toString("hex"));
    for (const session of this.#sessions.values()) {
      session.receive(octets, performance.now());
      for (let out = session.takeOutput(); out !== null; out = session.takeOutput()) this.#answer(out);
    }
  }

  #meter(physicalDevice: number | null): ServerSession {
    const objects = paper(`METER ${physicalDevice}`);
    const policy = policies(new ReceivedCounter(4_999));
    const sizes = { informationTransmit: 128, informationReceive: 128, windowTransmit: 7, windowReceive: 7 };
    return new ServerSession({
      framing: "hdlc",
      associationOf: (clientSap, serverSap) =>
        new ServerAssociation({
          clientSap,
          serverSap,
          systemTitle: SERVER_TITLE,
          policy: policy(clientSap),
          objects,
          randomOctets: randomBytes,
          maxReceivePduSize: 400,
          limits: LIMITS,
          apduOctetsMax: 65_536,
        }),
      station: {
        parameters: sizes,
        inactivityMs: 120_000,
        answerMs: 500,
        apduOctetsMax: 65_536,
        physicalDevice,
        logicalDevices: [1],
        interOctetMs: 1_000,
      },
    });
  }
}

/** A line with meters at its far end, and how the near end is opened. */
export interface SerialLineOfMeters {
  readonly path: string;
  readonly openSerial: typeof openSerialLine;
  readonly meters: SerialMeters;
  readonly open: Opened;
  close(): Promise<void>;
}

/** How often the near end is open now, and was at most at a time; and when it was opened, in ms. */
interface Opened {
  now: number;
  most: number;
  readonly at: number[];
}

function counted(open: Opened, connection: ByteConnection): void {
  open.at.push(performance.now());
  open.now++;
  open.most = Math.max(open.most, open.now);
  connection.onClose(() => open.now--);
}

/** Two ends of a pseudo-terminal pair, opened by the library as any device; null where the machine can make none. */
export async function pseudoTerminalLine(
  physical: readonly (number | null)[],
): Promise<SerialLineOfMeters | null> {
  const pair = await openPseudoTerminals();
  if (pair === null) return null;
  const far = await openSerialLine({ path: pair.paths[1], baudRate: 9_600 });
  const meters = new SerialMeters(physical, (octets) => far.write(octets));
  far.onData((octets) => meters.hear(octets));
  const open: Opened = { now: 0, most: 0, at: [] };
  return {
    path: pair.paths[0],
    meters,
    open,
    openSerial: async (options) => {
      const connection = await openSerialLine(options);
      counted(open, connection);
      return connection;
    },
    close: async () => {
      far.destroy();
      await pair.unplug();
    },
  };
}

const MOCK_PATH = "/dev/mock-bus";

/** The mock binding of serialport: what is written is heard by the meters, and what they say is emitted as data. */
export function mockLine(physical: readonly (number | null)[]): SerialLineOfMeters {
  SerialPortMock.binding.createPort(MOCK_PATH);
  const ports: SerialPortMock[] = [];
  const meters = new SerialMeters(physical, (octets) => ports.at(-1)?.port?.emitData(octets));
  class Bus extends SerialPortMock {
    constructor(options: ConstructorParameters<typeof SerialPortMock>[0]) {
      super(options);
      ports.push(this);
    }
    override _write(chunk: Buffer, encoding: BufferEncoding, done: (error: Error | null) => void): void {
      super._write(chunk, encoding, (error) => {
        done(error);
        meters.hear(Buffer.from(chunk));
      });
    }
  }
  const open: Opened = { now: 0, most: 0, at: [] };
  return {
    path: MOCK_PATH,
    meters,
    open,
    openSerial: async (options: SerialLineOptions) => {
      const connection = await openSerialLine({ ...options, port: Bus });
      counted(open, connection);
      return connection;
    },
    close: async () => SerialPortMock.binding.reset(),
  };
}
