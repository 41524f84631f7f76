import { connect } from "node:net";
import { formatSocketAddress } from "./address.ts";
import { TransportError, transportError } from "./errors.ts";
import { TcpConnection } from "./tcp-connection.ts";

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** Time in which the connection must stand; 10 s by default. */
  readonly timeoutMs?: number;
  readonly keepAliveMs?: number;
  /** Local address to call from. */
  readonly localAddress?: string;
}

/** @throws TransportError */
export function dialTcp(options: DialOptions): Promise<TcpConnection> {
  const { host, port, timeoutMs = 10_000, keepAliveMs = 60_000, localAddress } = options;
  const what = `tcp ${formatSocketAddress({ host, port })}`;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
    const timer = setTimeout(() => {
      socket.destroy(new TransportError("ETIMEDOUT", `${what}: no connection within ${timeoutMs} ms`));
    }, timeoutMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(transportError(what, error));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", fail);
      resolve(new TcpConnection(socket, keepAliveMs));
    });
  });
}
