import { formatObis, obisFromOctets } from "../dlms/cosem/obis-code.ts";
import type { Data } from "../dlms/encoding/data.ts";
import type { ScopedLists } from "./capture-lists.ts";
import { type CapturedEvent, type CapturedPush, printableText } from "./captured.ts";
import { pushSetupName } from "./layout-is15959.ts";

/*
 * Bodies that report an event and no values. None of them has a code that would name its elements:
 *
 *     { serial, clock, device code, event code, text }             concentrators (Beacon 3100)
 *     { serial, n, { clock, device code, event code, text } }      the same, n being their logical device
 *     { serial, 20, { name of a meter, anything } }                what a meter behind the concentrator sent
 *     { serial, IMEI, event code, clock }                          last gasp of meters in India
 *     { identifier, push setup }                                   a wake-up: the meter asks to be read (SMR 5)
 */

const DEVICE_LOG = "device";
const ALERT_LOG = "alert";
const ELEMENTS_MAX = 5;
const RELAYED = 20;
const MESSAGE_OCTETS_MAX = 1_024;
/** Longer texts, and JSON, are messages and not names. */
const NAME_MAX = 80;
/** 0.0.2.3.0.255: the monitor of short messages that a DSMR 4 meter names when it was woken up by one. */
const SMS_MONITOR = 0x0203;

export function recogniseEvents(root: Data, lists: ScopedLists): CapturedPush | null {
  if (root.type !== "structure") return null;
  const elements = root.value;
  if (elements.length < 2 || elements.length > ELEMENTS_MAX) return null;
  const serial = printableText(elements[0]);
  if (serial === null) return null;
  const event = eventOf(elements);
  return event === null ? null : eventPush([serial], [event], lists);
}

/** A push that reports events of a meter with one of these names. */
export function eventPush(
  identifiers: readonly string[],
  events: readonly CapturedEvent[],
  lists: ScopedLists,
): CapturedPush {
  const list = lists.ofColumns([], "event");
  const none = { pushSetup: null, clock: null, first: 0, rows: [], problem: null };
  return { layout: "event", identifiers, list, events, ...none };
}

function eventOf(elements: readonly Data[]): CapturedEvent | null {
  const [, second, third, fourth] = elements;
  switch (elements.length) {
    case 2:
      return wakeUp(second!);
    case 3:
      if (!isInteger(second!) || third!.type !== "structure") return null;
      return deviceEvent(third!.value) ?? (second!.value === RELAYED ? relayed(third!.value) : null);
    case 4:
      return lastGasp(second!, third!, fourth!);
    case 5:
      return deviceEvent(elements.slice(1));
    default:
      return null;
  }
}

/** The code is the event's in the upper 16 bits and the device's in the lower ones: one of the two is 0. */
function deviceEvent(elements: readonly Data[]): CapturedEvent | null {
  const [clock, device, event, message] = elements;
  if (elements.length !== 4 || !isClock(clock!) || !isInteger(device!) || !isInteger(event!)) return null;
  const text = printableText(message, MESSAGE_OCTETS_MAX);
  const code = (Number(event.value) << 16) | Number(device.value);
  const name = text !== null && text.length <= NAME_MAX && !text.startsWith("{") ? text : null;
  return { log: DEVICE_LOG, code, time: clock!, name, context: text === null ? null : { text } };
}

function relayed(elements: readonly Data[]): CapturedEvent | null {
  const [name, payload] = elements;
  if (elements.length !== 2 || name!.type !== "octet-string" || name!.value.length < 8) return null;
  const meter = printableText(name) ?? name!.value.toString("hex");
  const context = { meter, value: plain(payload!) };
  return { log: DEVICE_LOG, code: RELAYED, time: null, name: "relayed notification", context };
}

function lastGasp(imei: Data, code: Data, clock: Data): CapturedEvent | null {
  const text = printableText(imei);
  if (text === null || !isInteger(code) || !isClock(clock)) return null;
  return { log: ALERT_LOG, code: Number(code.value), time: clock, name: null, context: { imei: text } };
}

function wakeUp(setup: Data): CapturedEvent | null {
  if (setup.type !== "octet-string" || setup.value.length !== 6) return null;
  if (pushSetupName(setup) === null && setup.value.readUInt16BE(2) !== SMS_MONITOR) return null;
  const by = formatObis(obisFromOctets(setup.value, 0));
  return { log: "wake-up", code: setup.value[1]!, time: null, name: `woken up by ${by}`, context: { by } };
}

function isClock(data: Data): boolean {
  return (data.type === "octet-string" || data.type === "date-time") && data.value.length === 12;
}

function isInteger(data: Data): data is Data & { readonly value: number } {
  return ["integer", "unsigned", "long", "long-unsigned", "enum"].includes(data.type);
}

type Plain = string | number | boolean | readonly Plain[];

function plain(data: Data): Plain {
  if (data.type === "array" || data.type === "structure") return data.value.map(plain);
  if (Buffer.isBuffer(data.value)) return printableText(data) ?? data.value.toString("hex");
  return typeof data.value === "number" || typeof data.value === "boolean" ? data.value : String(data.value);
}
