import { DecodeError } from "../bytes/errors.ts";
import type { Reader } from "../bytes/reader.ts";
import type { Codec } from "../encoding/codec.ts";
import { type CosemDateTime, DATE_TIME_OCTETS, readDateTime, writeDateTime } from "../encoding/date-time.ts";
import { readLength } from "../encoding/length.ts";

/** An octet-string without a tag that is empty (null) or a date-time: 00, or 0C and twelve octets. */
export const dateTimeField: Codec<CosemDateTime | null> = {
  read: readDateTimeField,
  write: (writer, value) => {
    writer.unsigned8(value === null ? 0 : DATE_TIME_OCTETS);
    if (value !== null) writer.octets(writeDateTime(value));
  },
};

function readDateTimeField(reader: Reader): CosemDateTime | null {
  const at = reader.offset;
  const length = readLength(reader);
  if (length === 0) return null;
  if (length !== DATE_TIME_OCTETS) throw new DecodeError("invalid", at, `a date-time of ${length} octets`);
  return readDateTime(reader.buffer, reader.advance(DATE_TIME_OCTETS));
}

/** OPTIONAL date-time: 00, or 01 0C and twelve octets. Meters also send 09 0C, as if it were tagged Data. */
export const optionalDateTime: Codec<CosemDateTime | null> = {
  read: (reader) => {
    const at = reader.offset;
    const present = reader.unsigned8();
    if (present === 0x00) return null;
    if (present === 0x01 || present === 0x09) return readDateTimeField(reader);
    throw new DecodeError("invalid", at, `${present.toString(16).padStart(2, "0")} in place of a date-time`);
  },
  write: (writer, value) => {
    writer.unsigned8(value === null ? 0 : 1);
    if (value !== null) dateTimeField.write(writer, value);
  },
};
