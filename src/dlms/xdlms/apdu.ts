import { DecodeError } from "../bytes/errors.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { type Codec, sequence, unsigned32, type ValueOf } from "../encoding/codec.ts";
import type { DataLimits } from "../encoding/data.ts";
import { accessRequest, accessResponse } from "./access.ts";
import { actionRequest, actionResponse } from "./action.ts";
import {
  generalCiphering,
  generalGloCiphering,
  generalSigning,
  readGeneralGloCiphering,
  serviceSpecificCiphering,
} from "./ciphered.ts";
import {
  DATA_NOTIFICATION,
  type DataNotification,
  readDataNotification,
  writeDataNotification,
} from "./data-notification.ts";
import { dateTimeField } from "./date-time-field.ts";
import { eventNotification } from "./event-notification.ts";
import { generalBlockTransfer } from "./general-block-transfer.ts";
import { getRequest, getResponse } from "./get.ts";
import { initiateRequest, initiateResponse } from "./initiate.ts";
import { confirmedServiceError, exceptionResponse } from "./refusals.ts";
import { setRequest, setResponse } from "./set.ts";
import { informationReport, readRequest, readResponse } from "./short-name.ts";

const GENERAL_GLO_CIPHERING = 0xdb;

/** Data-Notification-Confirm, tag 10: long-invoke-id 4 · date-time 00 or 0C… */
const dataNotificationConfirm = sequence({ longInvokeId: unsigned32, dateTime: dateTimeField });

/** All xDLMS APDUs but Data-Notification, by tag: name and what follows the tag. */
const APDUS = {
  1: ["initiate-request", initiateRequest],
  5: ["read-request", readRequest],
  8: ["initiate-response", initiateResponse],
  12: ["read-response", readResponse],
  14: ["confirmed-service-error", confirmedServiceError],
  16: ["data-notification-confirm", dataNotificationConfirm],
  24: ["information-report", informationReport],
  33: ["glo-initiate-request", serviceSpecificCiphering],
  40: ["glo-initiate-response", serviceSpecificCiphering],
  46: ["glo-confirmed-service-error", serviceSpecificCiphering],
  56: ["glo-information-report", serviceSpecificCiphering],
  65: ["ded-initiate-request", serviceSpecificCiphering],
  72: ["ded-initiate-response", serviceSpecificCiphering],
  78: ["ded-confirmed-service-error", serviceSpecificCiphering],
  88: ["ded-information-report", serviceSpecificCiphering],
  192: ["get-request", getRequest],
  193: ["set-request", setRequest],
  194: ["event-notification", eventNotification],
  195: ["action-request", actionRequest],
  196: ["get-response", getResponse],
  197: ["set-response", setResponse],
  199: ["action-response", actionResponse],
  200: ["glo-get-request", serviceSpecificCiphering],
  201: ["glo-set-request", serviceSpecificCiphering],
  202: ["glo-event-notification", serviceSpecificCiphering],
  203: ["glo-action-request", serviceSpecificCiphering],
  204: ["glo-get-response", serviceSpecificCiphering],
  205: ["glo-set-response", serviceSpecificCiphering],
  207: ["glo-action-response", serviceSpecificCiphering],
  208: ["ded-get-request", serviceSpecificCiphering],
  209: ["ded-set-request", serviceSpecificCiphering],
  210: ["ded-event-notification", serviceSpecificCiphering],
  211: ["ded-action-request", serviceSpecificCiphering],
  212: ["ded-get-response", serviceSpecificCiphering],
  213: ["ded-set-response", serviceSpecificCiphering],
  215: ["ded-action-response", serviceSpecificCiphering],
  216: ["exception-response", exceptionResponse],
  217: ["access-request", accessRequest],
  218: ["access-response", accessResponse],
  219: ["general-glo-ciphering", generalGloCiphering],
  220: ["general-ded-ciphering", generalGloCiphering],
  221: ["general-ciphering", generalCiphering],
  223: ["general-signing", generalSigning],
  224: ["general-block-transfer", generalBlockTransfer],
} as const satisfies Record<number, readonly [string, Codec<object>]>;

type Entry = (typeof APDUS)[keyof typeof APDUS];
type ApduOf<E> = E extends readonly [infer Name, infer C] ? { apdu: Name } & ValueOf<C> : never;

/** One APDU; `apdu` is its name. Buffers in it are views of what was read. */
export type Apdu = DataNotification | ApduOf<Entry>;

export type ApduName = Apdu["apdu"];

const BY_TAG: ReadonlyMap<number, readonly [string, Codec<object>]> = new Map(
  Object.entries(APDUS).map(([tag, entry]) => [Number(tag), entry]),
);

const TAGS: ReadonlyMap<string, number> = new Map([
  ["data-notification", DATA_NOTIFICATION],
  ...[...BY_TAG].map(([tag, [name]]) => [name, tag] as const),
]);

/** The tag octet of an APDU, by its name. */
export function apduTag(name: ApduName): number {
  return TAGS.get(name)!;
}

/** The APDU's name, or null where the tag is none of xDLMS. */
export function apduName(tag: number): ApduName | null {
  return tag === DATA_NOTIFICATION
    ? "data-notification"
    : ((BY_TAG.get(tag)?.[0] ?? null) as ApduName | null);
}

/**
 * Reads one whole xDLMS APDU. The body of a Data-Notification and the content of ciphered APDUs are left as octets.
 * Throws DecodeError: "truncated", "invalid" for an unknown tag or choice, "limit", "trailing" for octets left over.
 */
export function readApdu(octets: Buffer, limits: DataLimits): Apdu {
  return readApduFrom(new Reader(octets), limits);
}

/** The same from a reader, whose trace is told what is read. */
export function readApduFrom(reader: Reader, limits: DataLimits): Apdu {
  const at = reader.offset;
  const tag = reader.unsigned8();
  if (tag === DATA_NOTIFICATION) return readDataNotification(reader);
  if (tag === GENERAL_GLO_CIPHERING && reader.trace === null) return readGeneralGloCiphering(reader);
  const entry = BY_TAG.get(tag);
  if (entry === undefined) {
    throw new DecodeError(
      "invalid",
      at,
      `${tag.toString(16).padStart(2, "0")} is not the tag of an xDLMS APDU`,
    );
  }
  const value = { apdu: entry[0], ...entry[1].read(reader, limits) } as Apdu;
  reader.expectEnd();
  return value;
}

/** The octets of an APDU, tag included. */
export function writeApdu(apdu: Apdu): Buffer {
  const writer = new Writer();
  if (apdu.apdu === "data-notification") {
    writeDataNotification(writer, apdu);
  } else {
    const tag = apduTag(apdu.apdu);
    writer.unsigned8(tag);
    BY_TAG.get(tag)![1].write(writer, apdu);
  }
  return writer.finish();
}

/** Ciphered for one service, global (glo-…) or dedicated (ded-…) key: `content` is what is protected. */
export type ServiceSpecificCiphering = Extract<Apdu, { apdu: `${"glo" | "ded"}-${string}` }>;
