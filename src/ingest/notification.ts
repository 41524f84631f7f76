import type { DataLimits } from "../dlms/encoding/data.ts";
import type { CosemDateTime } from "../dlms/encoding/date-time.ts";
import { readApdu } from "../dlms/xdlms/apdu.ts";
import { captureAttribute, decodePush } from "../mapping/body.ts";
import type { ScopedLists } from "../mapping/capture-lists.ts";
import type { CapturedPush } from "../mapping/captured.ts";
import { RefusedError } from "./refused-error.ts";

/** A notification in clear, taken apart. */
export interface Notification {
  readonly time: CosemDateTime | null;
  readonly push: CapturedPush;
  /** Of a data-notification that asks for a confirmation; else null. */
  readonly confirm: number | null;
}

/** Bit 30 of the long invoke id: the service is confirmed. */
const CONFIRMED = 0x4000_0000;

/** Throws DecodeError, or RefusedError `unsupported` for any other APDU. */
export function readNotification(apdu: Buffer, lists: ScopedLists, limits: DataLimits): Notification {
  const read = readApdu(apdu, limits);
  if (read.apdu === "data-notification") {
    const push = decodePush(read.body, { lists, limits });
    const confirm = (read.longInvokeId & CONFIRMED) === 0 ? null : read.longInvokeId;
    return { time: read.dateTime, push, confirm };
  }
  if (read.apdu === "event-notification") {
    return { time: read.time, push: captureAttribute(read.attribute, read.value, lists), confirm: null };
  }
  throw new RefusedError("unsupported", `a pushed ${read.apdu} is nothing that a head-end can store`);
}
