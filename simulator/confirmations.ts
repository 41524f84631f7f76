import { WrapperDeframer } from "../src/dlms/wrapper/deframer.ts";
import { writeWpdu } from "../src/dlms/wrapper/wpdu.ts";
import { readApdu } from "../src/dlms/xdlms/apdu.ts";
import type { Heard } from "./uplink.ts";

const DATA_NOTIFICATION_CONFIRM = 0x10;
const LIMITS = { depthMax: 4, elementsMax: 16 };

/**
 * A connection without the confirmations of pushes that come over it, in wrapper PDUs: they go to `onConfirmed`, what else comes to whoever
 * listens.
 */
export function withoutConfirmations(connection: Heard, onConfirmed: (longInvokeId: number) => void): Heard {
  const deframer = new WrapperDeframer();
  const listeners: ((chunk: Buffer) => void)[] = [];
  connection.onData((chunk) => {
    deframer.push(chunk);
    for (let next = deframer.next(); next.kind !== "need-more"; next = deframer.next()) {
      if (next.kind !== "frame") continue;
      const { payload } = next.value;
      if (payload[0] !== DATA_NOTIFICATION_CONFIRM) {
        const pdu = writeWpdu(next.value);
        for (const listener of listeners) listener(pdu);
        continue;
      }
      const apdu = readApdu(payload, LIMITS);
      if (apdu.apdu === "data-notification-confirm") onConfirmed(apdu.longInvokeId);
    }
  });
  return {
    get closed() {
      return connection.closed;
    },
    onClose: (listener) => connection.onClose(listener),
    write: (octets) => connection.write(octets),
    onData: (listener) => listeners.push(listener),
  };
}
