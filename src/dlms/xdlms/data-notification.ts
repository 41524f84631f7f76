import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import type { Writer } from "../bytes/writer.ts";
import { type CosemDateTime, DATE_TIME_OCTETS, readDateTime, writeDateTime } from "../encoding/date-time.ts";

/**
 * Data-Notification, the service of a push (IEC 62056-5-3):
 *
 *     0F · long-invoke-id-and-priority 4 · date-time: length 00 or 0C and so many octets, no tag · body: Data
 *
 * Example: 0F 00000001 00 02 01 11 05 has no time and the body structure { unsigned 5 }.
 *
 * The body is left as octets so that a body laid out like the last one can be recognised without decoding it. Read by
 * hand: every push passes here.
 */
export interface DataNotification {
  readonly apdu: "data-notification";
  /** Bits 0–23 invoke id, 28 self-descriptive, 29 break on error, 30 confirmed, 31 high priority. */
  readonly longInvokeId: number;
  readonly dateTime: CosemDateTime | null;
  /** Whether the date-time came as tagged Data (09 0C … or 19 …), which the standard does not provide for. */
  readonly dateTimeTagged: boolean;
  /** The undecoded Data: a view of what was read. */
  readonly body: Buffer;
}

export const DATA_NOTIFICATION = 0x0f;

/** The tag has been read. The date-time may also be tagged, be without its length, or be left out altogether. */
export function readDataNotification(reader: Reader): DataNotification {
  const { longInvokeId, dateTime, dateTimeTagged } = readNotificationHeader(reader);
  return {
    apdu: "data-notification",
    longInvokeId,
    dateTime,
    dateTimeTagged,
    body: reader.octets(reader.remaining()),
  };
}

/** The same without the body, at which the reader stands afterwards: there is at least one octet of it. */
export function readNotificationHeader(
  reader: Reader,
): Pick<DataNotification, "longInvokeId" | "dateTime" | "dateTimeTagged"> {
  reader.trace?.begin("longInvokeId", reader.offset);
  const longInvokeId = reader.unsigned32();
  reader.trace?.end(reader.offset, longInvokeId);
  reader.trace?.begin("dateTime", reader.offset);
  const first = reader.peek();
  const dateTimeTagged = first === 0x09 || first === 0x19;
  const dateTime = readNotificationTime(reader, first);
  reader.trace?.end(reader.offset, dateTime);
  if (reader.remaining() === 0)
    throw new DecodeError("truncated", reader.offset, "the notification has no body");
  return { longInvokeId, dateTime, dateTimeTagged };
}

function readNotificationTime(reader: Reader, first: number): CosemDateTime | null {
  switch (first) {
    case 0x00:
      reader.advance(1);
      return null;
    case 0x0c:
    case 0x19:
      reader.advance(1);
      return readTwelve(reader);
    case 0x09: {
      const length = reader.buffer[reader.advance(2) + 1]!;
      if (length === 0) return null;
      if (length === DATE_TIME_OCTETS) return readTwelve(reader);
      throw new DecodeError("invalid", reader.offset - 1, `a date-time of ${length} octets`);
    }
    // An array or structure: the date-time is missing, not even of length 00.
    case 0x01:
    case 0x02:
      return null;
    // The years 1792 to 2303: a date-time without its length.
    case 0x07:
      return readTwelve(reader);
    default:
      throw new DecodeError("invalid", reader.offset, `a date-time of ${first} octets`);
  }
}

function readTwelve(reader: Reader): CosemDateTime {
  return readDateTime(reader.buffer, reader.advance(DATE_TIME_OCTETS));
}

/** Writes the form of the standard unless the date-time is marked as tagged (09 0C). The tag 0F is included. */
export function writeDataNotification(writer: Writer, value: DataNotification): void {
  writer.unsigned8(DATA_NOTIFICATION);
  writer.unsigned32(value.longInvokeId);
  if (value.dateTime === null) {
    writer.unsigned8(0);
  } else {
    if (value.dateTimeTagged) writer.unsigned8(0x09);
    writer.unsigned8(DATE_TIME_OCTETS);
    writer.octets(writeDateTime(value.dateTime));
  }
  writer.octets(value.body);
}
