import type { BitString } from "../../dlms/encoding/data.ts";
import type { Scalar } from "../../dlms/encoding/data-tree.ts";
import { type CosemDateTime, readDate, readDateTime, readTime } from "../../dlms/encoding/date-time.ts";

export function bitText({ length, octets }: BitString): string {
  let text = "";
  for (let bit = 0; bit < length; bit++) text += (octets[bit >> 3]! & (0x80 >> (bit & 7))) === 0 ? "0" : "1";
  return text;
}

const PRINTABLE = /^[\x20-\x7e]+$/;

/** The text that octets are, if they are one (zeros at the end are padding); else null. */
export function textOf(octets: Buffer): string | null {
  const text = octets.toString("latin1").replace(/\0+$/, "");
  return PRINTABLE.test(text) ? text : null;
}

const two = (number: number | null): string => (number === null ? "**" : String(number).padStart(2, "0"));

/**
 * "2026-07-24T10:15:30+05:30": ISO 8601 with the meter's own offset, none where its deviation is unspecified.
 * Null where date or time is not a full one.
 */
export function isoOf(time: CosemDateTime): string | null {
  const { year, month, dayOfMonth, hour, minute, second, hundredths } = time;
  const full = year !== null && month !== null && dayOfMonth !== null && hour !== null && minute !== null;
  if (!full || !isOnCalendar(year, month, dayOfMonth) || hour > 23 || minute > 59) return null;
  if ((second ?? 0) > 59) return null;
  const fraction = hundredths !== null && hundredths > 0 && hundredths < 100 ? `.${two(hundredths)}` : "";
  const date = `${String(year).padStart(4, "0")}-${two(month)}-${two(dayOfMonth)}`;
  return `${date}T${two(hour)}:${two(minute)}:${two(second ?? 0)}${fraction}${offsetOf(time.deviation)}`;
}

function isOnCalendar(year: number, month: number, dayOfMonth: number): boolean {
  if (year === 0 || month < 1 || month > 12 || dayOfMonth < 1 || dayOfMonth > 31) return false;
  return new Date(Date.UTC(year, month - 1, dayOfMonth)).getUTCMonth() === month - 1;
}

/** Deviation is UTC minus local time, the offset of ISO 8601 the other way round. */
function offsetOf(deviation: number | null): string {
  if (deviation === null || Math.abs(deviation) > 840) return "";
  const minutes = Math.abs(deviation);
  return `${deviation <= 0 ? "+" : "-"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** For people: the ISO text, or the fields with ** where they are unspecified. */
export function timeText(time: CosemDateTime): string {
  const { year, month, dayOfMonth, hour, minute, second, deviation, clockStatus } = time;
  const status = clockStatus === null || clockStatus === 0 ? "" : `, status ${statusText(clockStatus)}`;
  const iso = isoOf(time);
  if (iso !== null) return iso + status;
  const date = `${year ?? "****"}-${monthText(month)}-${dayText(dayOfMonth)}`;
  return `${date} ${two(hour)}:${two(minute)}:${two(second)}${offsetOf(deviation)}${status}`;
}

const monthText = (month: number | null) =>
  month === 0xfd ? "dst-end" : month === 0xfe ? "dst-begin" : two(month);

const dayText = (day: number | null) => (day === 0xfd ? "second-last" : day === 0xfe ? "last" : two(day));

const STATUS_BITS = new Map([
  [0, "invalid value"],
  [1, "doubtful value"],
  [2, "different clock base"],
  [3, "invalid status"],
  [7, "daylight saving"],
]);

function statusText(status: number): string {
  const names = [...Array(8).keys()]
    .filter((bit) => (status >> bit) & 1)
    .map((bit) => STATUS_BITS.get(bit) ?? `bit ${bit}`);
  return names.join(" + ");
}

/** What twelve octets in an octet-string say if they look like a time; else null. */
export function timeIn(octets: Buffer): CosemDateTime | null {
  if (octets.length !== 12) return null;
  const time = readDateTime(octets, 0);
  const { year, month, hour, minute } = time;
  const likely =
    (year === null || (year >= 1970 && year < 2200)) &&
    (month === null || (month >= 1 && month <= 12) || month >= 0xfd) &&
    (hour === null || hour < 24) &&
    (minute === null || minute < 60);
  return likely ? time : null;
}

/** One value on one line, for people. */
export function dataText(data: Scalar): string {
  switch (data.type) {
    case "null-data":
    case "dont-care":
      return data.type;
    case "octet-string":
      return `octet-string ${octetsText(data.value)}`;
    case "visible-string":
    case "utf8-string":
      return `${data.type} ${JSON.stringify(data.value)}`;
    case "date-time":
      return `date-time ${timeText(readDateTime(data.value, 0))}`;
    case "date":
      return `date ${timeText(readDate(data.value, 0)).replace(" **:**:**", "")}`;
    case "time":
      return `time ${timeText(readTime(data.value, 0)).replace("****-**-** ", "")}`;
    case "bit-string":
      return `bit-string ${bitsText(data.value)}`;
    default:
      return `${data.type} ${String(data.value)}`;
  }
}

export function octetsText(octets: Buffer): string {
  if (octets.length === 0) return "empty";
  const time = timeIn(octets);
  const hex = octets.toString("hex");
  if (time !== null) return `${hex} = ${timeText(time)}`;
  const text = textOf(octets);
  return text === null ? hex : `${hex} = ${JSON.stringify(text)}`;
}

function bitsText(bits: BitString): string {
  const set = [...bitText(bits)].flatMap((bit, index) => (bit === "1" ? [index] : []));
  const shown = bits.length <= 32 ? bitText(bits) : bits.octets.toString("hex");
  return `${bits.length} bits ${shown}, set: ${set.length === 0 ? "none" : set.join(", ")}`;
}
