import { createCipheriv, createDecipheriv, KeyObject } from "node:crypto";
import { SecurityError } from "./errors.ts";
import {
  AUTHENTICATED,
  BROADCAST_KEY,
  COMPRESSED,
  ENCRYPTED,
  keyOctetsOf,
  suiteOf,
} from "./security-control.ts";

/**
 * Protection by AES-GCM (Green Book 9.2.7.2). What stands in a ciphered APDU:
 *
 * | octets | |
 * |---|---|
 * | 1 | security control |
 * | 4 | invocation counter |
 * | n | the APDU, encrypted where the control says so |
 * | 12 | tag, where authenticated |
 *
 * Initialisation vector: system title of the originator (8) ‖ invocation counter (4). Additional authenticated data:
 * control ‖ authentication key, and where nothing is encrypted the APDU too.
 */
export interface ProtectionKeys {
  /** 16 octets for suites 0 and 1, 32 for suite 2. One KeyObject per key: making one costs more than using it. */
  readonly encryption: KeyObject;
  readonly authentication: Buffer | KeyObject | null;
}

export interface SecurityHeader {
  readonly control: number;
  /** Invocation counter, 0 … 2³²−1. */
  readonly counter: number;
}

export interface Unprotected extends SecurityHeader {
  readonly plaintext: Buffer;
  /** Whether a tag was checked: false for what was only encrypted. */
  readonly verified: boolean;
}

export const HEADER_OCTETS = 5;
export const TAG_OCTETS = 12;
export const SYSTEM_TITLE_OCTETS = 8;

/* Node copies what it is given before it returns, and nothing here waits: these are used by one call at a time. */
const vector = Buffer.alloc(SYSTEM_TITLE_OCTETS + 4);
const receivedTag = Buffer.alloc(TAG_OCTETS);
/** Without it, Node would take a tag of four octets for a right one. */
const OPTIONS = { authTagLength: TAG_OCTETS } as const;
/** Control octet (written before each use) ‖ authentication key. */
const additionalData = new WeakMap<Buffer | KeyObject, Buffer>();
/** Octets of a key, which Node would look up in native code for each APDU. */
const keyOctets = new WeakMap<KeyObject, number>();

/** @throws SecurityError `malformed` where there are not even five octets */
export function readSecurityHeader(content: Buffer): SecurityHeader {
  if (content.length < HEADER_OCTETS) throw new SecurityError("malformed", "security header is cut off");
  return { control: content[0]!, counter: content.readUInt32BE(1) };
}

/**
 * Takes the protection away. `systemTitle` is the originator's; one of fewer than 8 octets is filled up with zeros.
 * `header` is what general-ciphering adds to the authenticated data.
 * @throws SecurityError; nothing of a frame whose tag is wrong is ever returned
 */
export function unprotect(
  content: Buffer,
  systemTitle: Buffer,
  keys: ProtectionKeys,
  header: Buffer | null = null,
): Unprotected {
  const { control, counter } = readSecurityHeader(content);
  checkControl(control, keys);
  const authenticated = (control & AUTHENTICATED) !== 0;
  const end = authenticated ? content.length - TAG_OCTETS : content.length;
  if (end < HEADER_OCTETS) throw new SecurityError("malformed", "authentication tag is cut off");
  const body = content.subarray(HEADER_OCTETS, end);
  const encrypted = (control & ENCRYPTED) !== 0;
  if (!authenticated && !encrypted) return { control, counter, plaintext: body, verified: false };

  const title = initialisationVector(systemTitle, counter);
  const decipher =
    suiteOf(control) === 2
      ? createDecipheriv("aes-256-gcm", keys.encryption, title, OPTIONS)
      : createDecipheriv("aes-128-gcm", keys.encryption, title, OPTIONS);
  // Without a tag there is no final(): it would refuse.
  if (!authenticated) return { control, counter, plaintext: decipher.update(body), verified: false };

  decipher.setAAD(authenticatedPrefix(control, keys));
  if (header !== null) decipher.setAAD(header);
  for (let at = 0; at < TAG_OCTETS; at++) receivedTag[at] = content[end + at]!;
  decipher.setAuthTag(receivedTag);
  let plaintext = body;
  if (encrypted) plaintext = decipher.update(body);
  else decipher.setAAD(body);
  try {
    decipher.final();
  } catch {
    throw new SecurityError(
      "bad_tag",
      "authentication tag is wrong: not this meter's keys, or changed on the way",
    );
  }
  return { control, counter, plaintext, verified: true };
}

/**
 * Security control, counter, protected APDU and tag, as they stand in a ciphered APDU.
 * @throws SecurityError where the keys do not fit the control octet
 */
export function protect(
  plaintext: Buffer,
  { control, counter }: SecurityHeader,
  systemTitle: Buffer,
  keys: ProtectionKeys,
  header: Buffer | null = null,
): Buffer {
  checkControl(control, keys);
  const start = Buffer.allocUnsafe(HEADER_OCTETS);
  start[0] = control;
  start.writeUInt32BE(counter, 1);
  const encrypted = (control & ENCRYPTED) !== 0;
  const authenticated = (control & AUTHENTICATED) !== 0;
  if (!encrypted && !authenticated) return Buffer.concat([start, plaintext]);
  const cipher = createCipheriv(
    suiteOf(control) === 2 ? "aes-256-gcm" : "aes-128-gcm",
    keys.encryption,
    initialisationVector(systemTitle, counter),
    OPTIONS,
  );
  if (authenticated) {
    cipher.setAAD(authenticatedPrefix(control, keys));
    if (header !== null) cipher.setAAD(header);
    if (!encrypted) cipher.setAAD(plaintext);
  }
  const body = encrypted ? cipher.update(plaintext) : plaintext;
  cipher.final();
  return Buffer.concat(authenticated ? [start, body, cipher.getAuthTag()] : [start, body]);
}

function checkControl(control: number, keys: ProtectionKeys): void {
  if ((control & (BROADCAST_KEY | COMPRESSED)) !== 0) {
    const what = control & COMPRESSED ? "compressed" : "under a broadcast key";
    throw new SecurityError("unsupported", `ciphered APDU is ${what}, which is not supported`);
  }
  const octets = keyOctetsOf(suiteOf(control));
  if (octets === null) {
    throw new SecurityError("unsupported", `security suite ${suiteOf(control)} is not defined`);
  }
  const given = octetsOfKey(keys.encryption);
  if (given !== octets) {
    throw new SecurityError(
      "wrong_suite",
      `security suite ${suiteOf(control)} has keys of ${octets} octets, this one has ${given}`,
    );
  }
}

function octetsOfKey(key: KeyObject): number {
  let octets = keyOctets.get(key);
  if (octets === undefined) {
    octets = key.symmetricKeySize ?? 0;
    keyOctets.set(key, octets);
  }
  return octets;
}

function initialisationVector(systemTitle: Buffer, counter: number): Buffer {
  const given = systemTitle.length;
  if (given > SYSTEM_TITLE_OCTETS) throw new SecurityError("malformed", `system title has ${given} octets`);
  for (let at = 0; at < SYSTEM_TITLE_OCTETS; at++) vector[at] = at < given ? systemTitle[at]! : 0;
  vector.writeUInt32BE(counter, SYSTEM_TITLE_OCTETS);
  return vector;
}

function authenticatedPrefix(control: number, { authentication }: ProtectionKeys): Buffer {
  if (authentication === null) {
    throw new SecurityError("key_missing", "the APDU is authenticated, and there is no authentication key");
  }
  let prefix = additionalData.get(authentication);
  if (prefix === undefined) {
    const key = authentication instanceof KeyObject ? authentication.export() : authentication;
    prefix = Buffer.concat([Buffer.from([0]), key]);
    additionalData.set(authentication, prefix);
  }
  prefix[0] = control;
  return prefix;
}
