import { type HdlcAddress, hdlcAddress } from "../src/dlms/hdlc/address.ts";
import { UI_CONTROL } from "../src/dlms/hdlc/control.ts";
import { FLAG, writeHdlcFrame } from "../src/dlms/hdlc/frame.ts";
import { type HdlcEnds, LLC_RESPONSE, writeApdu as writeSegments } from "../src/dlms/hdlc/outgoing.ts";
import { writeMbusFrames } from "../src/dlms/mbus/outgoing.ts";
import { writeWpdu } from "../src/dlms/wrapper/wpdu.ts";
import { writeApdu } from "../src/dlms/xdlms/apdu.ts";
import type { Habits } from "./habits.ts";
import { countingItsFlag, HEADERS, STRAYS, signed } from "./strays.ts";

/** The push association of IS 15959: server SAP 1, client SAP 64. */
export const SERVER_SAP = 1;
export const PUSH_CLIENT_SAP = 64;
/** Information field of one HDLC frame; longer APDUs go in segments. */
const INFORMATION_OCTETS = 512;
/** Behind six flags a frame begins as behind one. */
const IDLE_FLAGS = Buffer.alloc(6, FLAG);

/** What stands around APDUs on a line. */
export type LineFraming = "wrapper" | "hdlc" | "mbus";

/** An APDU with its frames around it, in one piece: as it goes over the line. */
export function frame(apdu: Buffer, framing: LineFraming, habits: Habits): Buffer {
  const parts = habits.blockOctets === undefined ? [apdu] : blocks(apdu, habits.blockOctets, habits.repeats);
  const frames = parts.flatMap((part) => framed(part, framing, habits));
  const stray = habits.stray === undefined ? NOTHING : STRAYS[habits.stray]({ ends: endsOf(habits), frames });
  return Buffer.concat([stray, ...frames, habits.trailer ?? NOTHING]);
}

function framed(apdu: Buffer, framing: LineFraming, habits: Habits): Buffer[] {
  if (framing === "hdlc") return hdlc(apdu, habits);
  if (framing === "mbus") return writeMbusFrames(apdu, habits.mbusSaps ?? CONSUMER_INFORMATION);
  return [wrapper(apdu, habits)];
}

/** From logical device 1 to client 103. */
const CONSUMER_INFORMATION = { stsap: 1, dtsap: 103 } as const;
const NOTHING = Buffer.alloc(0);

/** Unsolicited general block transfer: every block at once, none is acknowledged. */
function blocks(apdu: Buffer, octets: number, repeats: Habits["repeats"]): Buffer[] {
  const count = Math.ceil(apdu.length / octets);
  const all = Array.from({ length: count }, (_, index) =>
    writeApdu({
      apdu: "general-block-transfer",
      lastBlock: index === count - 1,
      streaming: index < count - 1,
      window: 1,
      blockNumber: index + 1,
      blockNumberAcknowledged: 0,
      blockData: apdu.subarray(index * octets, (index + 1) * octets),
    }),
  );
  if (repeats === "each-block") return all.flatMap((block) => [block, block]);
  if (repeats === "first-block") return [all[0]!, ...all];
  return repeats === "last-block" ? [all.at(-1)!, ...all] : all;
}

function wrapper(payload: Buffer, { sourceWPort, header }: Habits): Buffer {
  if (header !== undefined) return Buffer.concat([HEADERS[header], payload]);
  return writeWpdu({ sourceWPort: sourceWPort ?? SERVER_SAP, destinationWPort: PUSH_CLIENT_SAP, payload });
}

function hdlc(apdu: Buffer, habits: Habits): Buffer[] {
  const ends = endsOf(habits);
  const octets = habits.informationOctets ?? INFORMATION_OCTETS;
  const llc = habits.llc ?? LLC_RESPONSE;
  const information = Buffer.concat([llc, apdu]);
  const alone = habits.control !== undefined && information.length <= octets;
  const frames = alone
    ? [writeHdlcFrame({ ...ends, control: habits.control ?? UI_CONTROL, information })]
    : writeSegments(ends, llc, apdu, octets);
  if (habits.frames === "counting-their-flag") return frames.map(countingItsFlag);
  if (habits.frames === "signed") return frames.map(signed);
  if (habits.flags === "idle") return frames.flatMap((one) => [IDLE_FLAGS, one]);
  // A flag that ends a frame may begin the next.
  if (habits.flags === "shared") return frames.map((one, index) => (index === 0 ? one : one.subarray(1)));
  return frames;
}

function endsOf(habits: Habits): HdlcEnds {
  const { ends } = habits;
  return ends ?? { destination: hdlcAddress(PUSH_CLIENT_SAP), source: sourceAddress(habits) };
}

function sourceAddress({ physicalDevice }: Habits): HdlcAddress {
  return physicalDevice === undefined
    ? hdlcAddress(SERVER_SAP)
    : { upper: SERVER_SAP, lower: physicalDevice, length: 4 };
}
