import { DecodeError } from "../bytes/errors.ts";

/**
 * Parameters of a link as SNRM and UA negotiate them (IEC 62056-46, 6.4.4.4.3.2), each seen from who sends the frame:
 *
 *     81 80 LL · 05 n maximum information field, transmit · 06 n the same, receive · 07 04 window, transmit · 08 04 window, receive
 *
 * Left out, a parameter is 128 octets, or one frame. Example: 81 80 12 05 01 80 06 01 80 07 04 00000001 08 04 00000001.
 */
export interface HdlcParameters {
  readonly informationTransmit: number;
  readonly informationReceive: number;
  readonly windowTransmit: number;
  readonly windowReceive: number;
}

export const DEFAULT_PARAMETERS: HdlcParameters = {
  informationTransmit: 128,
  informationReceive: 128,
  windowTransmit: 1,
  windowReceive: 1,
};

const FORMAT = 0x81;
const GROUP = 0x80;
const NAMES: Readonly<Record<number, keyof HdlcParameters>> = {
  5: "informationTransmit",
  6: "informationReceive",
  7: "windowTransmit",
  8: "windowReceive",
};

/** Some meters count the group wrongly: its parameters are read until the field ends. @throws DecodeError */
export function readParameters(information: Buffer | null): HdlcParameters {
  if (information === null || information.length === 0) return DEFAULT_PARAMETERS;
  if (information[0] !== FORMAT || information[1] !== GROUP) {
    throw new DecodeError("invalid", 0, "negotiation does not begin with 81 80");
  }
  const found: { -readonly [K in keyof HdlcParameters]: number } = { ...DEFAULT_PARAMETERS };
  let at = 3;
  while (at + 1 < information.length) {
    const length = information[at + 1]!;
    if (length === 0 || length > 4 || at + 2 + length > information.length) {
      throw new DecodeError("truncated", at, "a link parameter is cut off");
    }
    const name = NAMES[information[at]!];
    if (name !== undefined) found[name] = bounded(name, information.readUIntBE(at + 2, length));
    at += 2 + length;
  }
  return found;
}

/** Information fields of fewer octets would not carry an address. */
const INFORMATION_MIN = 11;
const INFORMATION_MAX = 2_030;
const WINDOW_MAX = 7;

/** What a meter says beyond the format's range is taken as the end of the range. */
function bounded(name: keyof HdlcParameters, value: number): number {
  return name.startsWith("window")
    ? Math.min(Math.max(value, 1), WINDOW_MAX)
    : Math.min(Math.max(value, INFORMATION_MIN), INFORMATION_MAX);
}

/** The information field; `sizeOctets` 2 writes lengths in two octets even where one would do, as some meters expect. */
export function writeParameters(parameters: HdlcParameters, sizeOctets: 1 | 2 = 1): Buffer {
  const size = (id: number, value: number) =>
    value > 0xff || sizeOctets === 2 ? [id, 2, value >> 8, value & 0xff] : [id, 1, value];
  const body = [
    ...size(5, parameters.informationTransmit),
    ...size(6, parameters.informationReceive),
    ...[7, 4, 0, 0, 0, parameters.windowTransmit],
    ...[8, 4, 0, 0, 0, parameters.windowReceive],
  ];
  return Buffer.from([FORMAT, GROUP, body.length, ...body]);
}

export function areDefault(parameters: HdlcParameters): boolean {
  return Object.entries(DEFAULT_PARAMETERS).every(
    ([name, value]) => parameters[name as keyof HdlcParameters] === value,
  );
}

/** What one side may do: its own limits, and those that the other side has told. */
export function agreed(own: HdlcParameters, peer: HdlcParameters): HdlcParameters {
  return {
    informationTransmit: Math.min(own.informationTransmit, peer.informationReceive),
    informationReceive: Math.min(own.informationReceive, peer.informationTransmit),
    windowTransmit: Math.min(own.windowTransmit, peer.windowReceive),
    windowReceive: Math.min(own.windowReceive, peer.windowTransmit),
  };
}
