import { createSecretKey } from "node:crypto";
import { dateTimeAt } from "../src/dlms/encoding/date-time.ts";
import { hdlcAddress } from "../src/dlms/hdlc/address.ts";
import { LLC_RESPONSE, writeApdu as writeFrames } from "../src/dlms/hdlc/outgoing.ts";
import { type ProtectionKeys, protect } from "../src/dlms/security/protection.ts";
import { writeWpdu } from "../src/dlms/wrapper/wpdu.ts";
import { writeApdu } from "../src/dlms/xdlms/apdu.ts";
import { OFFSET_MINUTES } from "./local-time.ts";
import type { SentDeviation } from "./row-writer.ts";

/** The push association of IS 15959: server SAP 1, client SAP 64. */
const SERVER_SAP = 1;
const PUSH_CLIENT_SAP = 64;
/** Information field of one HDLC frame; longer APDUs go in segments. */
const HDLC_INFORMATION_OCTETS = 512;
const ENDS = { destination: hdlcAddress(PUSH_CLIENT_SAP), source: hdlcAddress(SERVER_SAP) };

/** How one meter's APDUs are protected and framed. */
export interface Envelope {
  readonly systemTitle: Buffer;
  readonly keys: ProtectionKeys;
  /** Security control octet, suite included: 0x20, 0x30; 0 sends plaintext. */
  readonly control: number;
  readonly framing: "wrapper" | "hdlc";
}

/** @param guek 16 octets @param gak 16 octets, null for a meter that only encrypts */
export function protectionKeys(guek: Buffer, gak: Buffer | null): ProtectionKeys {
  return { encryption: createSecretKey(guek), authentication: gak };
}

/** A Data-Notification. `atMs` null: without a date-time, as most meters send it. */
export function notification(
  body: Buffer,
  longInvokeId: number,
  atMs: number | null,
  deviation: SentDeviation,
): Buffer {
  return writeApdu({
    apdu: "data-notification",
    longInvokeId,
    dateTime: atMs === null ? null : dateTimeAt(atMs, deviation, OFFSET_MINUTES),
    dateTimeTagged: false,
    body,
  });
}

/** The octets that go over the line for an APDU in clear. */
export function seal(envelope: Envelope, plaintext: Buffer, counter: number): Buffer {
  const { systemTitle, control, keys, framing } = envelope;
  const apdu =
    control === 0
      ? plaintext
      : writeApdu({
          apdu: "general-glo-ciphering",
          systemTitle,
          content: protect(plaintext, { control, counter }, systemTitle, keys),
        });
  if (framing === "hdlc") {
    return Buffer.concat(writeFrames(ENDS, LLC_RESPONSE, apdu, HDLC_INFORMATION_OCTETS));
  }
  return writeWpdu({ sourceWPort: SERVER_SAP, destinationWPort: PUSH_CLIENT_SAP, payload: apdu });
}
