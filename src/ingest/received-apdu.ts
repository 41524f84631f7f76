import type { HdlcAddress } from "../dlms/hdlc/address.ts";
import type { HdlcFrame } from "../dlms/hdlc/frame.ts";
import type { MbusLongFrame } from "../dlms/mbus/long-frame.ts";
import { type Wpdu, WRAPPER_HEADER_OCTETS } from "../dlms/wrapper/wpdu.ts";
import { type Gateway, throughGateway } from "./gateway-header.ts";
import type { LoneApdu } from "./lone-apdu.ts";

/** An APDU as it came out of its framing. */
export interface ReceivedApdu {
  readonly framing: "hdlc" | "wrapper" | "mbus" | LoneApdu["framing"];
  /** May be a view of what was received: valid until the next `push`. */
  readonly apdu: Buffer;
  /** SAP of the sender: a meter's logical device. */
  readonly sourceAddress: number;
  /** SAP of the receiver: the client to which the meter pushes. */
  readonly destinationAddress: number;
  /** Octets on the line, framing included; in HDLC those of the frame that completed the APDU. */
  readonly octets: number;
  /** Whose APDU it is where a concentrator passes it on. */
  readonly gateway?: Gateway;
  /** What an answer over HDLC needs to know. */
  readonly hdlc?: {
    readonly control: number;
    /** N(S) where an I frame completed the APDU; null for UI frames, which nobody acknowledges. */
    readonly sendSequence: number | null;
    readonly source: HdlcAddress;
    readonly destination: HdlcAddress;
  };
}

export function fromWpdu({ payload, sourceWPort, destinationWPort }: Wpdu): ReceivedApdu {
  return throughGateway({
    framing: "wrapper",
    apdu: payload,
    sourceAddress: sourceWPort,
    destinationAddress: destinationWPort,
    octets: payload.length + WRAPPER_HEADER_OCTETS,
  });
}

/** Where no frame says whose an APDU is, it comes from the management logical device. */
const MANAGEMENT_LOGICAL_DEVICE = 1;

export function fromLone({ framing, apdu, octets }: LoneApdu): ReceivedApdu {
  return throughGateway({
    framing,
    apdu,
    sourceAddress: MANAGEMENT_LOGICAL_DEVICE,
    destinationAddress: 0,
    octets,
  });
}

export function fromFrame(apdu: Buffer, frame: HdlcFrame, sent: number | null): ReceivedApdu {
  const { control, source, destination } = frame;
  return throughGateway({
    framing: "hdlc",
    apdu,
    sourceAddress: source.upper,
    destinationAddress: destination.upper,
    octets: frame.octets,
    hdlc: { control, sendSequence: sent, source, destination },
  });
}

export function fromMbus(
  frame: MbusLongFrame,
  { apdu, octets }: { apdu: Buffer; octets: number },
): ReceivedApdu {
  const { stsap, dtsap } = frame;
  return throughGateway({
    framing: "mbus",
    apdu,
    sourceAddress: stsap,
    destinationAddress: dtsap,
    octets,
  });
}
