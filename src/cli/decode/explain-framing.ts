import type { Label } from "./explain-lines.ts";
import { type Framing, framingOf, withoutGateway } from "./framing.ts";

/** What the octets around the APDUs are. Empty where there are none. */
export function framingLabels(octets: Buffer, named: Framing): Label[] {
  const framing = named === "auto" ? framingOf(octets) : named;
  switch (framing) {
    case "hdlc":
    case "hdlc+trailer":
    case "hdlc-noflags":
      return hdlcLabels(octets);
    case "wrapper":
      return wrapperLabels(octets);
    case "mbus":
    case "mbus-badlen":
      return mbusLabels(octets);
    case "hdlc-info":
      return [label(0, 3, `LLC ${llcText(octets[1])}`), label(3, octets.length, "APDU")];
    case "zeroed-wrapper":
      return [label(0, 8, "zeros in place of a wrapper header"), label(8, octets.length, "APDU")];
    case "plc-llc":
      return [label(0, 3, "LLC of power line communication"), label(3, octets.length, "APDU")];
    case "raw-apdu":
      return gatewayLabels(octets, octets.length - withoutGateway(octets).length);
    default:
      return [];
  }
}

function gatewayLabels(octets: Buffer, end: number): Label[] {
  if (end === 0) return [];
  return [
    label(0, 1, octets[0] === 0xe6 ? "gateway request" : "gateway response"),
    label(1, 2, `network ${octets[1]}`),
    label(2, 3, `length ${octets[2]}`),
    label(3, end, "address of the meter behind the gateway"),
    label(end, octets.length, "APDU"),
  ];
}

function label(from: number, to: number, text: string, depth = 0): Label {
  return { from, to, depth, text };
}

function wrapperLabels(octets: Buffer): Label[] {
  const labels: Label[] = [];
  let at = 0;
  while (at + 8 <= octets.length) {
    const length = octets.readUInt16BE(at + 6);
    const end = Math.min(at + 8 + length, octets.length);
    labels.push(
      label(at, at + 2, `wrapper version ${octets.readUInt16BE(at)}`),
      label(at + 2, at + 4, `source wPort ${octets.readUInt16BE(at + 2)}`),
      label(at + 4, at + 6, `destination wPort ${octets.readUInt16BE(at + 4)}`),
      label(at + 6, at + 8, `length ${length}`),
    );
    if (end > at + 8) labels.push(label(at + 8, end, "APDU"));
    at = end;
  }
  if (at < octets.length) labels.push(label(at, octets.length, "cut off"));
  return labels;
}

/** Frames are found by their stop octet where the length is wrong: the deframer knows where each ends, this only shows. */
function mbusLabels(octets: Buffer): Label[] {
  const labels: Label[] = [];
  let at = 0;
  while (at + 11 <= octets.length && octets[at] === 0x68) {
    let end = at + 4 + octets[at + 1]! + 2;
    if (octets[end - 1] !== 0x16 && octets[end + 255] === 0x16) end += 256;
    if (end > octets.length) break;
    labels.push(
      label(at, at + 4, `M-Bus long frame, length ${octets[at + 1]}`),
      label(at + 4, at + 6, "control and address", 1),
      label(at + 6, at + 7, `CI ${octets[at + 6]!.toString(16).padStart(2, "0")}`, 1),
      label(at + 7, at + 9, `STSAP ${octets[at + 7]}, DTSAP ${octets[at + 8]}`, 1),
      label(at + 9, end - 2, "data", 1),
      label(end - 2, end, "checksum and stop", 1),
    );
    at = end;
  }
  if (at < octets.length) labels.push(label(at, octets.length, "no frame"));
  return labels;
}

const FLAG = 0x7e;

function hdlcLabels(octets: Buffer): Label[] {
  const labels: Label[] = [];
  let at = 0;
  while (at < octets.length) {
    if (octets[at] === FLAG) {
      labels.push(label(at, ++at, "flag"));
      continue;
    }
    const end = frameEnd(octets, at);
    const frame = end === null ? null : frameLabels(octets, at, end);
    if (frame === null) {
      const start = at++;
      while (at < octets.length && octets[at] !== FLAG) at++;
      labels.push(label(start, at, "no frame"));
    } else {
      labels.push(...frame);
      at = end!;
    }
  }
  return labels;
}

function frameEnd(octets: Buffer, at: number): number | null {
  if (octets[at]! >> 4 !== 0xa || at + 1 >= octets.length) return null;
  const length = ((octets[at]! & 0x07) << 8) | octets[at + 1]!;
  return length >= 7 && at + length <= octets.length ? at + length : null;
}

function frameLabels(octets: Buffer, from: number, end: number): Label[] | null {
  const destination = addressEnd(octets, from + 2, end);
  const source = addressEnd(octets, destination, end);
  const control = source + 1;
  const segmented = (octets[from]! & 0x08) !== 0;
  if (control + 2 > end) return null;
  const labels = [
    label(from, from + 2, `HDLC frame of ${end - from} octets${segmented ? ", more segments follow" : ""}`),
    label(from + 2, destination, `destination address ${addressText(octets, from + 2, destination)}`, 1),
    label(destination, source, `source address ${addressText(octets, destination, source)}`, 1),
    label(source, control, `control ${controlText(octets[source]!)}`, 1),
  ];
  if (end - control > 2) {
    labels.push(label(control, control + 2, "header check sequence", 1));
    let information = control + 2;
    if (octets[information] === 0xe6 && end - information > 5) {
      labels.push(label(information, information + 3, `LLC ${llcText(octets[information + 1])}`, 1));
      information += 3;
    }
    if (end - 2 > information) labels.push(label(information, end - 2, "information", 1));
  }
  labels.push(label(end - 2, end, "frame check sequence", 1));
  return labels;
}

const llcText = (octet: number | undefined) => (octet === 0xe6 ? "to the meter" : "from the meter");

function addressEnd(octets: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && (octets[at]! & 1) === 0) at++;
  return Math.min(at + 1, end);
}

/** Seven bits an octet; two halves where there are two or four octets. */
function addressText(octets: Buffer, from: number, end: number): string {
  const bits = [...octets.subarray(from, end)].map((octet) => octet >> 1);
  if (bits.length === 2) return `${bits[0]}, physical ${bits[1]}`;
  if (bits.length === 4) return `${bits[0]! * 128 + bits[1]!}, physical ${bits[2]! * 128 + bits[3]!}`;
  return String(bits[0] ?? "");
}

function controlText(control: number): string {
  const poll = (control & 0x10) !== 0 ? ", P/F" : "";
  if ((control & 0x01) === 0) return `I N(S)=${(control >> 1) & 7} N(R)=${control >> 5}${poll}`;
  if ((control & 0x0f) === 0x01) return `RR N(R)=${control >> 5}${poll}`;
  if ((control & 0x0f) === 0x05) return `RNR N(R)=${control >> 5}${poll}`;
  return `${UNNUMBERED.get(control & 0xef) ?? "unknown"}${poll}`;
}

const UNNUMBERED = new Map([
  [0x83, "SNRM"],
  [0x43, "DISC"],
  [0x63, "UA"],
  [0x0f, "DM"],
  [0x87, "FRMR"],
  [0x03, "UI"],
]);
