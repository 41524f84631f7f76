import { Writer } from "../bytes/writer.ts";

const ID_OCTETS = 17;
const COMMA = 0x2c;
const ALARM_OCTETS = 4;
const NAME_OCTETS = 6;

/**
 * What a DSMR 4 meter sends to the port for pushes, which is no APDU: `EXXXX123456789012,` and 4 octets of its alarm register, or the 6
 * octets of the logical name of what made it call.
 */
export interface AsciiPush {
  readonly identifier: string;
  /** null where a logical name was sent. */
  readonly alarms: number | null;
  /** Logical name; null where the alarm register was sent. */
  readonly pushSetup: Buffer | null;
}

/** null where the octets are none. */
export function readAsciiPush(octets: Buffer): AsciiPush | null {
  const rest = octets.length - ID_OCTETS - 1;
  if (rest !== ALARM_OCTETS && rest !== NAME_OCTETS) return null;
  if (asciiPushEnd(octets, 0, octets.length, true) !== octets.length) return null;
  const identifier = octets.toString("latin1", 0, ID_OCTETS);
  const value = octets.subarray(ID_OCTETS + 1);
  return rest === ALARM_OCTETS
    ? { identifier, alarms: value.readUInt32BE(0), pushSetup: null }
    : { identifier, alarms: null, pushSetup: value };
}

const ALARM_MONITOR = "0001190900ff";

/**
 * The body with which an SMR 5 meter says the same: structure { identifier, logical name of the push setup, alarm register where there
 * is one }.
 */
export function asciiPushBody({ identifier, alarms, pushSetup }: AsciiPush): Buffer {
  const writer = new Writer();
  writer.unsigned8(0x02);
  writer.unsigned8(alarms === null ? 2 : 3);
  writer.unsigned8(0x09);
  writer.unsigned8(ID_OCTETS);
  writer.octets(Buffer.from(identifier, "latin1"));
  writer.unsigned8(0x09);
  writer.unsigned8(NAME_OCTETS);
  writer.octets(pushSetup ?? Buffer.from(ALARM_MONITOR, "hex"));
  if (alarms !== null) {
    writer.unsigned8(0x06);
    writer.unsigned32(alarms);
  }
  return writer.finish();
}

/**
 * Where such a push ends: an offset, "need-more", or null where none begins at `from`. Four octets that might be the beginning of a
 * push setup's name are only believed to be alarms where `atEnd` says that nothing more comes.
 */
export function asciiPushEnd(
  octets: Buffer,
  from: number,
  to: number,
  atEnd: boolean,
): number | "need-more" | null {
  const seen = Math.min(to, from + ID_OCTETS);
  for (let at = from; at < seen; at++) if (!isAlphanumeric(octets[at]!)) return null;
  if (to <= from + ID_OCTETS) return "need-more";
  if (octets[from + ID_OCTETS] !== COMMA) return null;
  const value = from + ID_OCTETS + 1;
  if (to < value + ALARM_OCTETS) return "need-more";
  if (!mayBeginName(octets, value)) return value + ALARM_OCTETS;
  if (to >= value + NAME_OCTETS && octets[value + NAME_OCTETS - 1] === 0xff) return value + NAME_OCTETS;
  return to >= value + NAME_OCTETS || atEnd ? value + ALARM_OCTETS : "need-more";
}

/** 0.0.2.3 (the wake-up by short message) or 0.b.25.9 (push setups). */
function mayBeginName(octets: Buffer, at: number): boolean {
  if (octets[at] !== 0) return false;
  return (octets[at + 2] === 2 && octets[at + 3] === 3) || (octets[at + 2] === 25 && octets[at + 3] === 9);
}

function isAlphanumeric(octet: number): boolean {
  return (
    (octet >= 0x30 && octet <= 0x39) || (octet >= 0x41 && octet <= 0x5a) || (octet >= 0x61 && octet <= 0x7a)
  );
}
