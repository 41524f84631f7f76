import type { Socket } from "node:net";
import { normalisedAddress } from "./address.ts";
import { TransportError } from "./errors.ts";
import { type ProxiedPeer, type ProxyHeader, readProxyHeader } from "./proxy-header.ts";

/** Outcome of waiting for a header: who called, null where the balancer speaks for itself, or what is wrong. */
export type ProxyOutcome = ProxiedPeer | null | TransportError;

/**
 * Waits for the header with which a balancer begins, and calls `done` once, with what came behind the header still to be read. A
 * connection that goes before that, as simple health checks do, is only closed.
 */
export function awaitProxyHeader(
  socket: Socket,
  timeoutMs: number,
  done: (outcome: ProxyOutcome) => void,
): void {
  let octets: Buffer = Buffer.alloc(0);
  const release = () => {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onEnd).off("close", release);
  };
  const finish = (outcome: ProxyOutcome) => {
    release();
    // Behind what Node does a moment later with a stream that nobody waits for any more: it would start one that `done` pauses.
    process.nextTick(() => {
      if (!socket.destroyed) done(outcome);
    });
  };
  const fail = (why: string) => {
    finish(
      new TransportError("EPROTO", `tcp ${normalisedAddress(socket.remoteAddress ?? "unknown")}: ${why}`),
    );
  };
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    octets = Buffer.concat([octets, chunk]);
    let header: ProxyHeader | null;
    try {
      header = readProxyHeader(octets);
    } catch (error) {
      fail((error as TransportError).message);
      return;
    }
    if (header === null) return;
    if (octets.length > header.length) socket.unshift(octets.subarray(header.length));
    finish(header.peer);
  };
  const onEnd = () => {
    if (octets.length > 0) fail("the PROXY protocol's header is cut off");
    else socket.destroy();
  };
  const timer = setTimeout(() => fail(`no PROXY protocol header came within ${timeoutMs} ms`), timeoutMs);
  // What breaks now closes the socket, which is all that there is to know.
  socket.on("error", () => {});
  socket.on("readable", onReadable).on("end", onEnd).on("close", release);
}
