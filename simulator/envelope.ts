import { createSecretKey } from "node:crypto";
import { type ProtectionKeys, protect } from "../src/dlms/security/protection.ts";
import { writeApdu } from "../src/dlms/xdlms/apdu.ts";
import { frame, type LineFraming } from "./framing.ts";
import type { Habits } from "./habits.ts";
import { meterTime, type TimeStyle } from "./local-time.ts";
import type { KeyPair } from "./planned-keys.ts";

/** How one meter's APDUs are protected and framed. */
export interface Envelope {
  readonly systemTitle: Buffer;
  readonly keys: ProtectionKeys;
  /** Security control octet, suite included: 0x20, 0x30; 0 sends plaintext. */
  readonly control: number;
  readonly framing: LineFraming;
  /** What it does otherwise than the standard says. */
  readonly habits?: Habits;
}

export function protectionKeys({ guek, gak }: KeyPair): ProtectionKeys {
  return { encryption: createSecretKey(guek), authentication: gak };
}

/** Bits 0 … 23 of the long-invoke-id-and-priority are the invoke id. */
const INVOKE_ID_MAX = 0xff_ffff;

/** Bit 30: the service is confirmed. */
const CONFIRMED = 0x4000_0000;

/** The same meter, asking for a confirmation of what it pushes. */
export const confirming = (habits: Habits): Habits => ({
  ...habits,
  invokeBits: (habits.invokeBits ?? 0) | CONFIRMED,
});

export function longInvokeIdOf(invokeId: number, habits: Habits): number {
  return habits.longInvokeId ?? ((invokeId & INVOKE_ID_MAX) | (habits.invokeBits ?? 0)) >>> 0;
}

/** A Data-Notification. `atMs` null: without a date-time, as most meters send it. */
export function notification(
  body: Buffer,
  invokeId: number,
  atMs: number | null,
  time: TimeStyle,
  habits: Habits = {},
): Buffer {
  return writeApdu({
    apdu: "data-notification",
    longInvokeId: longInvokeIdOf(invokeId, habits),
    dateTime: atMs === null ? null : meterTime(time, atMs),
    dateTimeTagged: habits.timeTagged ?? false,
    body,
  });
}

/** The octets that go over the line for an APDU in clear. */
export function seal(envelope: Envelope, plaintext: Buffer, counter: number): Buffer {
  const { systemTitle, control, keys, framing, habits = {} } = envelope;
  const apdu =
    control === 0
      ? plaintext
      : cipheredApdu(systemTitle, protect(plaintext, { control, counter }, systemTitle, keys), habits);
  return frame(apdu, framing, habits);
}

function cipheredApdu(systemTitle: Buffer, content: Buffer, habits: Habits): Buffer {
  if (!habits.longLengths) return writeApdu({ apdu: "general-glo-ciphering", systemTitle, content });
  const head = Buffer.from([0xdb, systemTitle.length, ...systemTitle, 0x82, 0, 0]);
  head.writeUInt16BE(content.length, head.length - 2);
  return Buffer.concat([head, content]);
}
