import { SerialPortMock } from "serialport";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import type { ByteConnection } from "../../src/transports/connection.ts";
import type { TransportError } from "../../src/transports/errors.ts";
import { openSerialLine } from "../../src/transports/serial-line.ts";
import { SerialListener } from "../../src/transports/serial-listener.ts";
import { HDLC_VECTORS, PUSH } from "../dlms/hdlc-vectors.ts";
import { Arrivals } from "../support/arrivals.ts";
import { hex } from "../support/framing.ts";
import { openPseudoTerminals, type PseudoTerminals } from "../support/pseudo-terminals.ts";

const FRAME = hex(HDLC_VECTORS.find(({ what }) => what === "UI frame with a push")!.octets);
const PATH = "/dev/mock";

/** The APDUs that come over the line, in hex. */
function apdusOf(connection: ByteConnection): Arrivals<string> {
  const apdus = new Arrivals<string>();
  const deframer = new StreamDeframer({ framing: "hdlc", limits: DEFAULT_LIMITS });
  connection.onData((chunk) => {
    deframer.push(chunk, 0);
    for (let found = deframer.next(0); found.kind !== "need-more"; found = deframer.next(0)) {
      if (found.kind === "frame") apdus.add(found.value.apdu.toString("hex").toUpperCase());
    }
  });
  return apdus;
}

describe("a serial line on the mock binding", () => {
  afterEach(() => SerialPortMock.binding.reset());

  const open = () => openSerialLine({ path: PATH, baudRate: 9_600, parity: "even", port: SerialPortMock });

  it("hands over what comes and sends what is written", async () => {
    SerialPortMock.binding.createPort(PATH, { echo: true, record: true });
    const line = await open();
    const apdus = apdusOf(line);
    line.write(FRAME);
    expect(await apdus.next()).toBe(PUSH);
    expect(line).toMatchObject({ transport: "serial", remoteAddress: PATH, remotePort: 0, closed: false });
    const closed = new Promise((resolve) => line.onClose(resolve));
    line.close();
    expect(await closed).toBeNull();
    expect(line.write(FRAME)).toBe(false);
  });

  it("that is not there is a TransportError with its path", async () => {
    await expect(open()).rejects.toThrow(/serial line \/dev\/mock: .*does not exist/);
    await expect(open()).rejects.toMatchObject({ name: "TransportError" });
  });

  it("is waited for by the listener until it is there", async () => {
    const connections = new Arrivals<ByteConnection>();
    const errors = new Arrivals<TransportError>();
    const listener = new SerialListener({
      path: PATH,
      baudRate: 9_600,
      port: SerialPortMock,
      reopenMs: 1,
      onConnection: connections.add,
      onError: errors.add,
    });
    await listener.start();
    expect((await errors.next()).message).toMatch(/does not exist/);
    SerialPortMock.binding.createPort(PATH, { echo: true });
    const first = await connections.next();
    first.destroy(); // as if it had been unplugged: the listener opens it again
    const second = await connections.next();
    const apdus = apdusOf(second);
    second.write(FRAME);
    expect(await apdus.next()).toBe(PUSH);
    const closed = new Promise((resolve) => second.onClose(resolve));
    listener.close();
    await closed;
  });
});

describe("a serial line on a pseudo-terminal pair", () => {
  let pair: PseudoTerminals | null = null;
  beforeAll(async () => {
    pair = await openPseudoTerminals();
    if (pair === null) console.warn("SKIPPED: pseudo-terminals want socat or python3 on this machine");
    return () => pair?.unplug();
  });

  it("is waited for while it is locked still, and not for ever", async (context) => {
    if (pair === null) return context.skip("neither socat nor python3 on this machine");
    const open = () => openSerialLine({ path: pair!.paths[0], baudRate: 9_600 });
    const first = await open();
    await expect(open()).rejects.toThrow(/^serial line \/dev\/\S+: another program has locked it$/);
    const second = open();
    first.close();
    const line = await second;
    expect(line.closed).toBe(false);
    await new Promise<void>((resolve) => {
      line.onClose(() => resolve());
      line.close();
    });
  });

  it("carries HDLC frames of every octet value both ways, and closes with an error when unplugged", async (context) => {
    if (pair === null) return context.skip("neither socat nor python3 on this machine");
    const [ours, theirs] = await Promise.all(
      pair.paths.map((path) => openSerialLine({ path, baudRate: 115_200, presenceMs: 5 })),
    );
    const [atHes, atMeter] = [new Arrivals<Buffer>(), new Arrivals<Buffer>()];
    ours!.onData(atHes.add);
    theirs!.onData(atMeter.add);
    const every = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
    theirs!.write(every);
    expect(await gathered(atHes, 256)).toEqual(every);
    ours!.write(every);
    expect(await gathered(atMeter, 256)).toEqual(every);
    const apdus = apdusOf(ours!);
    theirs!.write(FRAME);
    expect(await apdus.next()).toBe(PUSH);
    const closed = [ours!, theirs!].map((line) => new Promise((resolve) => line.onClose(resolve)));
    await pair.unplug();
    const disconnected = expect.objectContaining({ name: "TransportError" });
    expect(await Promise.all(closed)).toEqual([disconnected, disconnected]);
    expect(ours!.closed).toBe(true);
  });
});

async function gathered(arrivals: Arrivals<Buffer>, octets: number): Promise<Buffer> {
  let all = Buffer.alloc(0);
  while (all.length < octets) all = Buffer.concat([all, await arrivals.next()]);
  return all;
}
