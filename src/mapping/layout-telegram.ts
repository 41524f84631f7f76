import { formatObis } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import { type Telegram, type TelegramLine, telegramNumber, telegramTime } from "../dlms/text/p1-telegram.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedColumn, type CapturedPush, capturedColumn } from "./captured.ts";

/*
 * Telegrams of the customer interface P1. A value with a unit is a register, one behind a time an extended register (its attribute 5 is
 * the time); lists of several values, as the log of power failures, are left alone.
 */

const CLASS_DATA = 1;
const CLASS_REGISTER = 3;
const CLASS_EXTENDED_REGISTER = 4;
const CLASS_CLOCK = 8;
const VALUE = 2;
const CAPTURE_TIME = 5;

/** The electricity meter's own names; 0-n:96.1.0 are those of the meters behind it. */
const NAMES: ReadonlySet<string> = new Set(["0.0.96.1.1.255", "0.0.96.1.0.255", "0.0.42.0.0.255"]);

interface Captured {
  readonly column: CapturedColumn;
  readonly data: Data;
}

export function captureTelegram(telegram: Telegram, lists: ScopedLists): CapturedPush {
  const captured = telegram.lines.flatMap(capturedOf);
  const columns = captured.map(({ column }) => column);
  const identifiers = captured.flatMap(({ column, data }) =>
    NAMES.has(column.code) && data.type === "visible-string" && data.value !== "" ? [data.value] : [],
  );
  return {
    layout: "p1-telegram",
    identifiers,
    pushSetup: null,
    clock: null,
    list: lists.ofColumns(columns, lists.kindOf(null)),
    first: 0,
    rows: [captured.map(({ data }) => data)],
    problem: null,
  };
}

function capturedOf({ obis, values }: TelegramLine): Captured[] {
  const [first, second] = values;
  if (first === undefined || values.length > 2) return [];
  const time = telegramTime(first);
  if (second === undefined) {
    if (time !== null) return [{ column: capturedColumn(obis, CLASS_CLOCK, VALUE, 0), data: clock(time) }];
    return [single(obis, first)];
  }
  const number = telegramNumber(second);
  if (time === null || number === null) return [];
  const { raw, scaler, unit } = number;
  return [
    { column: capturedColumn(obis, CLASS_EXTENDED_REGISTER, VALUE, 0, scaler, unit), data: integer(raw) },
    { column: capturedColumn(obis, CLASS_EXTENDED_REGISTER, CAPTURE_TIME, 0), data: clock(time) },
  ];
}

function single(obis: number, text: string): Captured {
  const number = isText(formatObis(obis)) ? null : telegramNumber(text);
  if (number === null) {
    const data: Data = { type: "visible-string", value: textOf(text) };
    return { column: capturedColumn(obis, CLASS_DATA, VALUE, 0), data };
  }
  const { raw, scaler, unit } = number;
  const column =
    unit === null
      ? capturedColumn(obis, CLASS_DATA, VALUE, 0, scaler === 0 ? null : scaler)
      : capturedColumn(obis, CLASS_REGISTER, VALUE, 0, scaler, unit);
  return { column, data: integer(raw) };
}

/** Names and messages (0-n:96.1.0, 0-0:96.13.0 and the like) are texts even where they have only digits. */
function isText(code: string): boolean {
  return /^0\.\d+\.(96\.(1|13)|42)\./.test(code);
}

/** Texts are written as the hex digits of their characters, except by some makers. */
function textOf(text: string): string {
  if (text.length < 8 || text.length % 2 !== 0 || !/^([2-7][0-9A-Fa-f])+$/.test(text)) return text;
  return Buffer.from(text, "hex").toString("latin1");
}

function integer(raw: number): Data {
  if (raw < 0) return { type: "long64", value: raw };
  return raw > 0xffff_ffff
    ? { type: "long64-unsigned", value: raw }
    : { type: "double-long-unsigned", value: raw };
}

const clock = (octets: Buffer): Data => ({ type: "octet-string", value: octets });
