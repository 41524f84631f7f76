import type { ByteConnection } from "../src/transports/connection.ts";
import { openSerialLine } from "../src/transports/serial-line.ts";
import { dialUdp } from "../src/transports/udp-dialler.ts";
import type { Dial, Uplink } from "./uplink.ts";

/** Datagrams: what a meter writes in one go is one. Nothing tells whether anybody is there. */
export const dialUdpTarget: Dial = async (target) => uplinkOf(await dialUdp(target));

/** A serial line whose path is the target's host; all meters of a fleet share it. */
export function serialDial(baudRate: number): Dial {
  return async ({ host: path }) => uplinkOf(await openSerialLine({ path, baudRate }));
}

/** Neither kind has an end of its own: what was written is sent, and then it is closed. */
function uplinkOf(connection: ByteConnection): Uplink {
  return {
    get closed() {
      return connection.closed;
    },
    write: (octets) => connection.write(octets),
    onData: (listener) => connection.onData(listener),
    onClose: (listener) => connection.onClose(listener),
    onDrain: () => {},
    end: () => connection.close(),
    close: () => connection.close(),
    destroy: () => connection.destroy(),
  };
}
