import type { Data } from "../../encoding/data-types.ts";
import {
  type CosemDateTime,
  readDate,
  readDateTime,
  readTime,
  UNSPECIFIED,
  writeDate,
  writeDateTime,
  writeTime,
} from "../../encoding/date-time.ts";
import { type ObisCode, obisFromOctets, obisToOctets } from "../obis-code.ts";
import { type DataCodec, DataMismatch, dataCodec, describeType } from "./data-codec.ts";

/** An octet-string of any length, as it is. */
export const octetString: DataCodec<Buffer> = dataCodec("octet-string", octetsOf, (value) => ({
  type: "octet-string",
  value,
}));

function octetsOf(data: Data): Buffer | null {
  if (data.type === "octet-string") return data.value;
  if (data.type === "visible-string") return Buffer.from(data.value, "latin1");
  return data.type === "utf8-string" ? Buffer.from(data.value, "utf8") : null;
}

/** An octet-string that holds text, a character an octet, such as a name or an address. */
export const text: DataCodec<string> = dataCodec(
  "octet-string",
  (data) => octetsOf(data)?.toString("latin1") ?? null,
  (value) => ({ type: "octet-string", value: Buffer.from(value, "latin1") }),
);

export const visibleString: DataCodec<string> = dataCodec(
  "visible-string",
  (data) => octetsOf(data)?.toString("latin1") ?? null,
  (value) => ({ type: "visible-string", value }),
);

/** Six octets. */
export const logicalName: DataCodec<ObisCode> = dataCodec(
  "octet-string (6 octets)",
  (data) => (data.type === "octet-string" && data.value.length === 6 ? obisFromOctets(data.value, 0) : null),
  (value) => ({ type: "octet-string", value: obisToOctets(value) }),
);

/** A time in an octet-string, or in its own type. An empty string, which meters give for what was never set, reads as unspecified. */
function timeCodec(
  type: "date-time" | "date" | "time",
  octets: number,
  read: (octets: Buffer, offset: number) => CosemDateTime,
  write: (value: CosemDateTime) => Buffer,
): DataCodec<CosemDateTime> {
  return {
    type: `octet-string (${octets} octets, ${type})`,
    read: (data) => {
      if (data.type !== "octet-string" && data.type !== type) {
        throw new DataMismatch(`${describeType(data)} where ${type} is expected`);
      }
      const value = data.value as Buffer;
      if (value.length === octets) return read(value, 0);
      if (value.length === 0) return UNSPECIFIED;
      throw new DataMismatch(`a ${type} has ${octets} octets, not ${value.length}`);
    },
    write: (value) => ({ type: "octet-string", value: write(value) }),
  };
}

export const dateTime = timeCodec("date-time", 12, readDateTime, writeDateTime);
export const date = timeCodec("date", 5, readDate, writeDate);
export const time = timeCodec("time", 4, readTime, writeTime);
