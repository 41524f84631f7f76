import { Reader } from "../dlms/bytes/reader.ts";
import { type DataLimits, readData } from "../dlms/encoding/data.ts";
import type { CosemDateTime } from "../dlms/encoding/date-time.ts";
import { asciiPushBody, readAsciiPush } from "../dlms/text/ascii-push.ts";
import { readTelegram, TELEGRAM_START } from "../dlms/text/p1-telegram.ts";
import { readApdu } from "../dlms/xdlms/apdu.ts";
import { DATA_NOTIFICATION, readNotificationHeader } from "../dlms/xdlms/data-notification.ts";
import { captureAttribute, decodePush } from "../mapping/body.ts";
import type { ScopedLists } from "../mapping/capture-lists.ts";
import type { CapturedPush } from "../mapping/captured.ts";
import { captureAccessResponse, unexplained } from "../mapping/layout-access-response.ts";
import { captureTelegram } from "../mapping/layout-telegram.ts";
import { RefusedError } from "./refused-error.ts";
import { relayedApdu } from "./relayed-apdu.ts";

/** A notification in clear, taken apart. */
export interface Notification {
  readonly time: CosemDateTime | null;
  readonly push: CapturedPush;
  /** Of a data-notification that asks for a confirmation; else null. */
  readonly confirm: number | null;
  /** The ciphered APDU of another meter that the body carries; null for all but what gateways pass on. */
  readonly relayed: Buffer | null;
}

/** Bit 30 of the long invoke id: the service is confirmed. */
const CONFIRMED = 0x4000_0000;

/** Throws DecodeError, or RefusedError `unsupported` for any other APDU. */
export function readNotification(apdu: Buffer, lists: ScopedLists, limits: DataLimits): Notification {
  if (apdu[0] !== DATA_NOTIFICATION) return readOther(apdu, lists, limits);
  const reader = new Reader(apdu, 1);
  const { longInvokeId, dateTime } = readNotificationHeader(reader);
  const push = decodePush(apdu, { lists, limits }, reader.offset);
  const confirm = (longInvokeId & CONFIRMED) === 0 ? null : longInvokeId;
  const relayed = relayedIn(push, apdu, reader.offset, limits);
  return { time: dateTime, push, confirm, relayed };
}

/** What is rarer than a data-notification. */
function readOther(apdu: Buffer, lists: ScopedLists, limits: DataLimits): Notification {
  const unconfirmed = { confirm: null, relayed: null };
  if (apdu[0] === TELEGRAM_START) {
    return { time: null, push: captureTelegram(readTelegram(apdu), lists), ...unconfirmed };
  }
  const ascii = readAsciiPush(apdu);
  if (ascii !== null) {
    return { time: null, push: decodePush(asciiPushBody(ascii), { lists, limits }), ...unconfirmed };
  }
  const read = readApdu(apdu, limits);
  if (read.apdu === "event-notification") {
    return { time: read.time, push: captureAttribute(read.attribute, read.value, lists), ...unconfirmed };
  }
  if (read.apdu === "access-response") {
    return { time: read.dateTime, push: captureAccessResponse(read, lists), ...unconfirmed };
  }
  if (read.apdu === "information-report") {
    const push = unexplained(
      "the report names its values by short names, which only the meter's object list explains",
    );
    return { time: null, push, ...unconfirmed };
  }
  throw new RefusedError("unsupported", `a pushed ${read.apdu} is nothing that a head-end can store`);
}

/** Whether a length or a few types may fit this layout by accident, so that what a gateway passes on may look like one. */
function isGuessed(layout: CapturedPush["layout"]): boolean {
  return layout === "positional" || layout === "opaque" || layout === "event";
}

function relayedIn(push: CapturedPush, apdu: Buffer, bodyFrom: number, limits: DataLimits): Buffer | null {
  if (push.list === null) return relayedApdu(readData(new Reader(apdu, bodyFrom), limits), limits);
  if (!isGuessed(push.layout)) return null;
  for (const row of push.rows) {
    for (const value of row) {
      const found = value.type === "octet-string" ? relayedApdu(value, limits) : null;
      if (found !== null) return found;
    }
  }
  return null;
}
