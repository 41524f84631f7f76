import { EXIT, UserError } from "./exit.ts";
import type { LineFraming } from "./line-framing.ts";
import type { Log } from "./log.ts";
import type { RefusalReason } from "./refusal.ts";
import type { Config, SerialLineSetting } from "./settings.ts";
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from "./transports/address.ts";
import { parseAddressSet } from "./transports/address-set.ts";
import type { ByteConnection } from "./transports/connection.ts";
import { SerialListener } from "./transports/serial-listener.ts";
import { TcpListener, type TrustedProxies } from "./transports/tcp-listener.ts";
import { type Datagram, UdpListener } from "./transports/udp-listener.ts";

/** What takes over what the listeners bring. */
export interface Receiver {
  attach(connection: ByteConnection, framing: LineFraming): void;
  datagram(datagram: Datagram): void;
  /** A connection was closed before it was attached. */
  refuse(remoteAddress: string, reason: RefusalReason, text: string): void;
}

export interface Listeners {
  /** Where it listens, with the ports that the system chose: `tcp [::]:4059`. */
  readonly addresses: readonly string[];
  readonly tcp: readonly SocketAddress[];
  readonly udp: readonly SocketAddress[];
  /** No new connections; what is open stays. */
  stopAccepting(): void;
  close(): Promise<void>;
}

/** @throws TransportError where an address can't be listened on, UserError with 78 where it is none */
export async function openListeners(config: Config, receiver: Receiver, log: Log): Promise<Listeners> {
  const connections = { open: 0, max: config.limits.connectionsMax };
  const onError = (error: Error) => log.error({ err: error }, "a listener failed");
  const tcp: TcpListener[] = [];
  const udp: UdpListener[] = [];
  const serial: SerialListener[] = [];
  const close = async () => {
    for (const line of serial) line.close();
    await Promise.all([
      ...tcp.map((listener) => listener.close()),
      ...udp.map((listener) => listener.close()),
    ]);
  };
  try {
    for (const text of config.listen.tcp) {
      tcp.push(
        await TcpListener.listen({
          address: socketAddress("listen.tcp", text),
          connections,
          onConnection: (connection) => receiver.attach(connection, config.listen.framing),
          onRefused: (from) => receiver.refuse(from, "limit", "limits.connections_max is reached"),
          proxies: trustedProxies(config, receiver),
          onError,
        }),
      );
    }
    for (const text of config.listen.udp) {
      const address = socketAddress("listen.udp", text);
      udp.push(await UdpListener.listen({ address, onDatagram: (d) => receiver.datagram(d), onError }));
    }
  } catch (error) {
    await close();
    throw error;
  }
  for (const line of config.listen.serial) serial.push(serialListener(line, receiver, log));
  await Promise.all(serial.map((line) => line.start()));
  return {
    addresses: [
      ...tcp.map((listener) => `tcp ${formatSocketAddress(listener.address)}`),
      ...udp.map((listener) => `udp ${formatSocketAddress(listener.address)}`),
      ...config.listen.serial.map(({ path }) => `serial ${path}`),
    ],
    tcp: tcp.map((listener) => listener.address),
    udp: udp.map((listener) => listener.address),
    stopAccepting: () => {
      for (const listener of tcp) listener.stopAccepting();
    },
    close,
  };
}

function trustedProxies({ listen, limits }: Config, receiver: Receiver): TrustedProxies {
  return {
    addresses: parseAddressSet(listen.proxyProtocol),
    headerMs: limits.firstFrameMs,
    onRefused: (from, why) => receiver.refuse(from, "malformed", why.message),
  };
}

function serialListener(line: SerialLineSetting, receiver: Receiver, log: Log): SerialListener {
  return new SerialListener({
    path: line.path,
    baudRate: line.baud_rate,
    dataBits: line.data_bits,
    parity: line.parity,
    stopBits: line.stop_bits,
    onConnection: (connection) => receiver.attach(connection, line.framing),
    onError: (error) => log.warn({ err: error, path: line.path }, "a serial line is away; it is tried again"),
  });
}

/** @throws UserError with 78 */
export function socketAddress(setting: string, text: string): SocketAddress {
  try {
    return parseSocketAddress(text);
  } catch (error) {
    throw new UserError(EXIT.configuration, `${setting}: ${(error as Error).message}`, { cause: error });
  }
}
