import { writeReceiveReady } from "../dlms/hdlc/outgoing.ts";
import { writeWpdu } from "../dlms/wrapper/wpdu.ts";
import { writeApdu } from "../dlms/xdlms/apdu.ts";
import type { ReceivedApdu } from "./deframer.ts";
import { toGateway } from "./gateway-header.ts";

/**
 * What is sent once a push is durable: RR for an HDLC I frame, and a data-notification-confirm over the wrapper where the push
 * asked for one. Empty for the usual push, which expects nothing.
 */
export function acknowledgements(received: AcknowledgedBy, confirm: number | null): Buffer[] {
  const answers: Buffer[] = [];
  const { hdlc } = received;
  if (hdlc !== undefined && hdlc.sendSequence !== null) {
    const ends = { destination: hdlc.source, source: hdlc.destination };
    answers.push(writeReceiveReady(ends, hdlc.sendSequence + 1));
  }
  if (confirm !== null && received.framing === "wrapper") {
    const apdu = writeApdu({ apdu: "data-notification-confirm", longInvokeId: confirm, dateTime: null });
    const { sourceAddress, destinationAddress, gateway } = received;
    const payload = gateway === undefined ? apdu : toGateway(gateway, apdu);
    answers.push(writeWpdu({ sourceWPort: destinationAddress, destinationWPort: sourceAddress, payload }));
  }
  return answers;
}

/** As much of a received APDU as its acknowledgement needs; outlives the octets. */
export type AcknowledgedBy = Pick<
  ReceivedApdu,
  "framing" | "sourceAddress" | "destinationAddress" | "hdlc" | "gateway"
>;
