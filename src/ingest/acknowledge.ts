import { writeReceiveNotReady, writeReceiveReady } from "../dlms/hdlc/outgoing.ts";
import { writeWpdu } from "../dlms/wrapper/wpdu.ts";
import { writeApdu } from "../dlms/xdlms/apdu.ts";
import { toGateway } from "./gateway-header.ts";
import type { ReceivedApdu } from "./received-apdu.ts";

/**
 * What is sent once a push is durable: RR for an HDLC I frame, and a data-notification-confirm over the wrapper where the push
 * asked for one. Empty for the usual push, which expects nothing. Not `inTime`: nobody waits for the confirmation any more; an RR still
 * says what is true, and lets a meter go on that was told RNR. RR is for the I frame `hdlc.sendSequence` and all before it.
 */
export function acknowledgements(
  received: AcknowledgedBy,
  confirm: number | null,
  inTime: boolean,
): Buffer[] {
  const answers: Buffer[] = [];
  const { hdlc } = received;
  if (hdlc !== undefined && hdlc.sendSequence !== null) {
    const ends = { destination: hdlc.source, source: hdlc.destination };
    answers.push(writeReceiveReady(ends, hdlc.sendSequence + 1));
  }
  if (confirm !== null && inTime && received.framing === "wrapper") {
    const apdu = writeApdu({ apdu: "data-notification-confirm", longInvokeId: confirm, dateTime: null });
    const { sourceAddress, destinationAddress, gateway } = received;
    const payload = gateway === undefined ? apdu : toGateway(gateway, apdu);
    answers.push(writeWpdu({ sourceWPort: destinationAddress, destinationWPort: sourceAddress, payload }));
  }
  return answers;
}

/** What is sent when a push takes too long to become durable: RNR for an HDLC I frame, which stays unacknowledged. */
export function notYet({ hdlc }: AcknowledgedBy): Buffer | null {
  if (hdlc === undefined || hdlc.sendSequence === null) return null;
  return writeReceiveNotReady({ destination: hdlc.source, source: hdlc.destination }, hdlc.sendSequence);
}

/** As much of a received APDU as its acknowledgement needs; outlives the octets. */
export type AcknowledgedBy = Pick<
  ReceivedApdu,
  "framing" | "sourceAddress" | "destinationAddress" | "hdlc" | "gateway"
>;
