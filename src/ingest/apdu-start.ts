import { DecodeError } from "../dlms/bytes/errors.ts";
import { Reader } from "../dlms/bytes/reader.ts";
import { type DataLimits, skipData } from "../dlms/encoding/data.ts";
import { readLength } from "../dlms/encoding/length.ts";
import { readApduFrom } from "../dlms/xdlms/apdu.ts";
import { DATA_NOTIFICATION, readDataNotification } from "../dlms/xdlms/data-notification.ts";
import { gatewayHeaderOctets } from "./gateway-header.ts";

/** First octets of what stands in a wrapper PDU that a head-end is sent: APDUs, and the header of a gateway. */
export const APDU_TAGS: ReadonlySet<number> = new Set([
  0x01, 0x08, 0x0e, 0x0f, 0x18, 0x21, 0x28, 0x38, 0x58, 0x60, 0x61, 0x62, 0x63, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4,
  0xc5, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xcf, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd7, 0xd8, 0xd9,
  0xda, 0xdb, 0xdc, 0xdd, 0xdf, 0xe0, 0xe6, 0xe7,
]);

const INFORMATION_REPORT = 0x18;
const EVENT_NOTIFICATION = 0xc2;
const GLO_EVENT_NOTIFICATION = 0xca;
const DED_EVENT_NOTIFICATION = 0xd2;
const ACCESS_RESPONSE = 0xda;
const GENERAL_GLO_CIPHERING = 0xdb;
const GENERAL_DED_CIPHERING = 0xdc;
const GENERAL_BLOCK_TRANSFER = 0xe0;

/** APDUs that meters push without anything around them: notifications, the general envelopes, ACCESS responses. */
const PUSHED_TAGS: ReadonlySet<number> = new Set([
  DATA_NOTIFICATION,
  INFORMATION_REPORT,
  EVENT_NOTIFICATION,
  GLO_EVENT_NOTIFICATION,
  DED_EVENT_NOTIFICATION,
  ACCESS_RESPONSE,
  GENERAL_GLO_CIPHERING,
  GENERAL_DED_CIPHERING,
  0xdd,
  0xdf,
  GENERAL_BLOCK_TRANSFER,
]);

/** Where an APDU ends whose octets begin at `from`: an offset, "need-more", or null where none begins there. */
export function apduEnd(
  octets: Buffer,
  from: number,
  to: number,
  limits: DataLimits,
): number | "need-more" | null {
  if (from >= to) return "need-more";
  if (!PUSHED_TAGS.has(octets[from]!)) return null;
  const reader = new Reader(octets, from, to);
  try {
    return endOf(reader, limits);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    if (error.code === "trailing") return reader.offset;
    return error.code === "truncated" ? "need-more" : null;
  }
}

/** Of ciphered APDUs and blocks the length is known at once; the others have to be read. */
function endOf(reader: Reader, limits: DataLimits): number | "need-more" {
  switch (reader.peek()) {
    case GENERAL_GLO_CIPHERING:
    case GENERAL_DED_CIPHERING: {
      reader.advance(1);
      const title = readLength(reader);
      if (title > 8) throw new DecodeError("invalid", reader.offset, `a system title of ${title} octets`);
      reader.advance(title);
      return endOfOctets(reader);
    }
    case GLO_EVENT_NOTIFICATION:
    case DED_EVENT_NOTIFICATION:
      reader.advance(1);
      return endOfOctets(reader);
    case GENERAL_BLOCK_TRANSFER:
      reader.advance(6);
      return endOfOctets(reader);
    case DATA_NOTIFICATION: {
      const { buffer, end } = reader;
      reader.advance(1);
      const { body } = readDataNotification(reader);
      return endOfBody(new Reader(buffer, end - body.length, end), limits);
    }
    default:
      readApduFrom(reader, limits);
      return reader.offset;
  }
}

function endOfOctets(reader: Reader): number | "need-more" {
  const length = readLength(reader);
  return length > reader.remaining() ? "need-more" : reader.offset + length;
}

/** Some meters leave out the type tags of attribute descriptors, so that their body is no Data. */
function endOfBody(reader: Reader, limits: DataLimits): number {
  const start = reader.offset;
  try {
    skipUntaggedRows(reader, limits);
    return reader.offset;
  } catch (error) {
    if (!(error instanceof DecodeError) || error.code === "truncated") throw error;
  }
  reader.offset = start;
  skipData(reader, limits);
  return reader.offset;
}

const STRUCTURE_OF_TWO = 0x0202;
const ARRAY = 0x01;
/** Class 2, logical name 6, attribute 1; the last octet of the name is FF. */
const DESCRIPTOR_OCTETS = 9;
const LAST_OF_NAME = 7;

/** 02 02 · Data · 01 count · rows { 02 02 · descriptor without tags · Data }: see mapping/layout-untagged-rows.ts. */
function skipUntaggedRows(reader: Reader, limits: DataLimits): void {
  const other = () => new DecodeError("invalid", reader.offset, "no rows without tags");
  if (reader.unsigned16() !== STRUCTURE_OF_TWO) throw other();
  const first = reader.peek();
  if (first === 0x01 || first === 0x02) throw other();
  skipData(reader, limits);
  if (reader.unsigned8() !== ARRAY) throw other();
  const count = reader.unsigned8();
  if (count === 0 || count >= 0x80) throw other();
  for (let i = 0; i < count; i++) {
    if (reader.unsigned16() !== STRUCTURE_OF_TWO) throw other();
    const at = reader.advance(DESCRIPTOR_OCTETS);
    if (reader.buffer[at] !== 0 || reader.buffer[at + LAST_OF_NAME] !== 0xff) throw other();
    skipData(reader, limits);
  }
}

const LLC_OCTETS = 3;
const ZERO_HEADER_OCTETS = 8;

/** What stands in front of an APDU that no frame holds. */
export interface ApduPrefix {
  readonly framing: "bare" | "llc" | "plc-llc" | "zeroed-wrapper";
  readonly octets: number;
  /** Behind them, of the header of a gateway, which belongs to the APDU. */
  readonly gatewayOctets: number;
}

const NO_PREFIX: ApduPrefix = { framing: "bare", octets: 0, gatewayOctets: 0 };

/**
 * What stands in front of the APDU that may begin at `from`: nothing, the LLC header E6 E7 00 or E6 E6 00, that of power line
 * communication 90 xx xx, eight zeros in place of a wrapper header, or a gateway's header. "need-more" where that can't be told yet, null
 * where no APDU begins.
 */
export function apduPrefix(octets: Buffer, from: number, to: number): ApduPrefix | "need-more" | null {
  const first = octets[from]!;
  if (PUSHED_TAGS.has(first)) return NO_PREFIX;
  if (first === 0x90) return prefixed(octets, from, to, PLC);
  if (first === 0) {
    const end = Math.min(from + ZERO_HEADER_OCTETS, to);
    for (let at = from; at < end; at++) if (octets[at] !== 0) return null;
    return prefixed(octets, from, to, ZEROED);
  }
  const gatewayOctets = gatewayHeaderOctets(octets, from, to);
  if (gatewayOctets === "need-more") return "need-more";
  if (gatewayOctets !== null) return prefixed(octets, from, to, { ...NO_PREFIX, gatewayOctets });
  const isLlc = first === 0xe6 && (octets[from + 1] === 0xe6 || octets[from + 1] === 0xe7);
  return isLlc && octets[from + 2] === 0 ? prefixed(octets, from, to, LLC) : null;
}

const LLC: ApduPrefix = { ...NO_PREFIX, framing: "llc", octets: LLC_OCTETS };
const PLC: ApduPrefix = { ...NO_PREFIX, framing: "plc-llc", octets: LLC_OCTETS };
const ZEROED: ApduPrefix = { ...NO_PREFIX, framing: "zeroed-wrapper", octets: ZERO_HEADER_OCTETS };

function prefixed(
  octets: Buffer,
  from: number,
  to: number,
  prefix: ApduPrefix,
): ApduPrefix | "need-more" | null {
  const at = from + prefix.octets + prefix.gatewayOctets;
  if (at >= to) return "need-more";
  return PUSHED_TAGS.has(octets[at]!) ? prefix : null;
}
