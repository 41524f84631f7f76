import { DecodeError } from "../bytes/errors.ts";
import { type ObisCode, obisOf } from "../cosem/obis-code.ts";
import { unitFromSymbol } from "../cosem/unit.ts";

/*
 * The telegram of a customer interface P1 (DSMR 5.0.2, 6.5 to 6.12): text by the rules of IEC 62056-21.
 *
 *     /EST5\\253710000_A                        maker and model
 *
 *     0-0:1.0.0(221006155014S)                  OBIS code without F, values in brackets
 *     1-0:1.8.0(001522.864*kWh)
 *     !7EF9                                     CRC over all from / to !, since version 4
 */

export const TELEGRAM_START = 0x2f;
const TELEGRAM_END = 0x21;
/** P1 allows 1,024 characters; telegrams with the peaks of thirteen months have about 2,000. */
const TELEGRAM_OCTETS_MAX = 8_192;
const CRC_DIGITS = 4;

/** Where a P1 telegram ends that begins at `from`. A CR LF behind the end belongs to it where it is there already. */
export function telegramEnd(
  octets: Buffer,
  from: number,
  to: number,
  atEnd: boolean,
): number | "need-more" | null {
  if (octets[from] !== TELEGRAM_START) return null;
  const mark = octets.subarray(from, Math.min(to, from + TELEGRAM_OCTETS_MAX)).indexOf(TELEGRAM_END);
  const seen = mark < 0 ? to : from + mark;
  if (seen > from + 1 && !isLetter(octets[from + 1]!)) return null;
  if (mark < 0) return to - from >= TELEGRAM_OCTETS_MAX ? null : "need-more";
  let end = seen + 1;
  const crcEnd = Math.min(end + CRC_DIGITS, to);
  while (end < crcEnd && isHexDigit(octets[end]!)) end++;
  if (end === to && end < seen + 1 + CRC_DIGITS && !atEnd) return "need-more";
  if (octets[end] === 0x0d && end < to) end++;
  if (octets[end] === 0x0a && end < to) end++;
  return end;
}

function isLetter(octet: number): boolean {
  return (octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x7a;
}

function isHexDigit(octet: number): boolean {
  return (octet >= 0x30 && octet <= 0x39) || ((octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x66);
}

export interface Telegram {
  /** Maker, baud rate and model: what stands behind the slash. */
  readonly identification: string;
  readonly lines: readonly TelegramLine[];
  /** Whether it bears a CRC, which then is right. */
  readonly checked: boolean;
}

export interface TelegramLine {
  readonly obis: ObisCode;
  /** What stands in the brackets, one after the other. */
  readonly values: readonly string[];
}

const CODE = /^(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?/;
const VALUES = /\(([^()]*)\)/g;

/** Characters of IEC 62056-21, 6.3: without the parity bit, and no other controls than the ends of lines. */
const PRINTABLE = /^[\x20-\x7e\r\n]*$/;

/** Throws DecodeError for what is no telegram, or one with a wrong CRC. */
export function readTelegram(octets: Buffer): Telegram {
  const end = octets.indexOf(TELEGRAM_END);
  if (octets[0] !== TELEGRAM_START || end < 0) throw new DecodeError("invalid", 0, "no P1 telegram");
  const crc = /^[0-9A-Fa-f]{4}/.exec(octets.toString("latin1", end + 1, end + 1 + CRC_DIGITS))?.[0] ?? null;
  if (crc !== null && Number.parseInt(crc, 16) !== crc16(octets, end + 1)) {
    throw new DecodeError("invalid", end + 1, "the CRC of the telegram is wrong");
  }
  const text = octets.toString("latin1", 1, end);
  if (!PRINTABLE.test(text))
    throw new DecodeError("invalid", 1, "a P1 telegram with octets that are no text");
  const [first, ...rest] = text.split(/\r?\n/);
  const lines = rest.flatMap(lineOf);
  if (lines.length === 0) throw new DecodeError("invalid", 1, "a P1 telegram without a line of values");
  return { identification: first!.trim(), lines, checked: crc !== null };
}

function lineOf(text: string): TelegramLine[] {
  const code = CODE.exec(text);
  if (code === null) return [];
  const groups = [1, 2, 3, 4, 5].map((group) => Number(code[group]));
  const [a, b, c, d, e] = groups;
  const f = code[6] === undefined ? 255 : Number(code[6]);
  if ([...groups, f].some((group) => group > 255)) return [];
  const values = [...text.slice(code[0].length).matchAll(VALUES)].map((match) => match[1]!);
  return [{ obis: obisOf(a!, b!, c!, d!, e!, f), values }];
}

/** CRC-16/ARC: reflected polynomial A001, start 0. */
function crc16(octets: Buffer, to: number): number {
  let register = 0;
  for (let at = 0; at < to; at++) {
    register ^= octets[at]!;
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >>> 1) ^ 0xa001 : register >>> 1;
  }
  return register;
}

/** A number of a telegram: value = raw × 10^scaler in units of `unit`. */
export interface TelegramNumber {
  readonly raw: number;
  readonly scaler: number;
  /** Number of the unit; null where none is given, or one that COSEM does not know. */
  readonly unit: number | null;
}

const NUMBER = /^(-?)(\d{1,12})(?:\.(\d{1,6}))?(?:\*(\w{1,8}))?$/;
const KILO = 3;

/** `000123.456*kWh` is 123456 Wh with scaler 0; null where the text is no number. */
export function telegramNumber(text: string): TelegramNumber | null {
  const match = NUMBER.exec(text);
  if (match === null) return null;
  const [, sign, whole, fraction = "", symbol] = match;
  const raw = Number(whole! + fraction) * (sign === "-" ? -1 : 1);
  if (!Number.isSafeInteger(raw)) return null;
  const plain = symbol === undefined ? null : unitFromSymbol(SPELLINGS.get(symbol) ?? symbol);
  const kilo = plain === null && symbol?.startsWith("k") ? unitFromSymbol(symbol.slice(1)) : null;
  return { raw, scaler: (kilo === null ? 0 : KILO) - fraction.length, unit: kilo ?? plain };
}

/** Where a telegram writes a unit in another way than the table of COSEM does. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([["m3", "m³"]]);

const TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)([SW])$/;
const DAYLIGHT_SAVING = 0x80;

/** `221006155014S` as twelve octets of a COSEM date-time without deviation, S as daylight saving; null where the text is none. */
export function telegramTime(text: string): Buffer | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const status = match[7] === "S" ? DAYLIGHT_SAVING : 0;
  const full = 2000 + year!;
  return Buffer.from([
    full >> 8,
    full & 0xff,
    month!,
    day!,
    0xff,
    hour!,
    minute!,
    second!,
    0,
    0x80,
    0,
    status,
  ]);
}
