import type { ByteConnection } from "../src/transports/connection.ts";
import type { TcpConnection } from "../src/transports/tcp-connection.ts";
import { dialTcp } from "../src/transports/tcp-dialler.ts";

/** As much of a connection as a meter uses. */
export type Uplink = Pick<
  TcpConnection,
  "write" | "end" | "close" | "destroy" | "onClose" | "onDrain" | "closed"
> &
  /** Without it the meter does not hear what the head-end says. */
  Partial<Pick<TcpConnection, "onData">>;

/** As much of a connection as a meter needs to answer on it. */
export type Heard = Pick<ByteConnection, "onData" | "onClose" | "write" | "closed">;

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Address to call from; any where absent. */
  readonly localAddress?: string;
}

export type Dial = (target: Target) => Promise<Uplink>;

export const dialTarget: Dial = (target) => dialTcp(target);

/**
 * Whether the other side has read everything and closed too. What it has not read of a connection that is closed on both sides may be
 * lost, or be read too late.
 */
export function endedInOrder(uplink: Uplink, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      uplink.destroy();
    }, timeoutMs);
    uplink.onClose((error) => {
      clearTimeout(timer);
      resolve(!late && error === null);
    });
    uplink.end();
  });
}
