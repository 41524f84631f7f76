import { createCipheriv, createDecipheriv, KeyObject } from "node:crypto";
import { type Span, spanOf } from "../bytes/span.ts";
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
/** What is worked out once for keys that are used again and again. */
interface Prepared {
  /** Octets of the encryption key, which Node would look up in native code for each APDU. */
  readonly octets: number;
  /** Control octet (written before each use) ‖ authentication key. */
  readonly additional: Buffer | null;
}

const prepared = new WeakMap<ProtectionKeys, Prepared>();

/** @throws SecurityError `malformed` where there are not even five octets */
export function readSecurityHeader(content: Buffer): SecurityHeader {
  return readSecurityHeaderIn(spanOf(content));
}

/** The same of a ciphered content that is a stretch of what was received. */
export function readSecurityHeaderIn({ octets, from, to }: Span): SecurityHeader {
  if (to - from < HEADER_OCTETS) throw new SecurityError("malformed", "security header is cut off");
  const counter =
    ((octets[from + 1]! << 24) | (octets[from + 2]! << 16) | (octets[from + 3]! << 8) | octets[from + 4]!) >>>
    0;
  return { control: octets[from]!, counter };
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
  return unprotectIn(spanOf(content), spanOf(systemTitle), keys, header);
}

/** The same where content and system title are stretches of what was received. */
export function unprotectIn(
  content: Span,
  systemTitle: Span,
  keys: ProtectionKeys,
  header: Buffer | null = null,
): Unprotected {
  const { control, counter } = readSecurityHeaderIn(content);
  const known = prepare(keys);
  checkControl(control, known.octets);
  const { octets } = content;
  const start = content.from + HEADER_OCTETS;
  const authenticated = (control & AUTHENTICATED) !== 0;
  const end = authenticated ? content.to - TAG_OCTETS : content.to;
  if (end < start) throw new SecurityError("malformed", "authentication tag is cut off");
  const body = octets.subarray(start, end);
  const encrypted = (control & ENCRYPTED) !== 0;
  if (!authenticated && !encrypted) return { control, counter, plaintext: body, verified: false };

  const title = initialisationVector(systemTitle, counter);
  const decipher =
    suiteOf(control) === 2
      ? createDecipheriv("aes-256-gcm", keys.encryption, title, OPTIONS)
      : createDecipheriv("aes-128-gcm", keys.encryption, title, OPTIONS);
  // Without a tag there is no final(): it would refuse.
  if (!authenticated) return { control, counter, plaintext: decipher.update(body), verified: false };

  decipher.setAAD(authenticatedPrefix(control, known));
  if (header !== null) decipher.setAAD(header);
  for (let at = 0; at < TAG_OCTETS; at++) receivedTag[at] = octets[end + at]!;
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
  const known = prepare(keys);
  checkControl(control, known.octets);
  const start = Buffer.allocUnsafe(HEADER_OCTETS);
  start[0] = control;
  start.writeUInt32BE(counter, 1);
  const encrypted = (control & ENCRYPTED) !== 0;
  const authenticated = (control & AUTHENTICATED) !== 0;
  if (!encrypted && !authenticated) return Buffer.concat([start, plaintext]);
  const cipher = createCipheriv(
    suiteOf(control) === 2 ? "aes-256-gcm" : "aes-128-gcm",
    keys.encryption,
    initialisationVector(spanOf(systemTitle), counter),
    OPTIONS,
  );
  if (authenticated) {
    cipher.setAAD(authenticatedPrefix(control, known));
    if (header !== null) cipher.setAAD(header);
    if (!encrypted) cipher.setAAD(plaintext);
  }
  const body = encrypted ? cipher.update(plaintext) : plaintext;
  cipher.final();
  return Buffer.concat(authenticated ? [start, body, cipher.getAuthTag()] : [start, body]);
}

function checkControl(control: number, given: number): void {
  if ((control & (BROADCAST_KEY | COMPRESSED)) !== 0) {
    const what = control & COMPRESSED ? "compressed" : "under a broadcast key";
    throw new SecurityError("unsupported", `ciphered APDU is ${what}, which is not supported`);
  }
  const octets = keyOctetsOf(suiteOf(control));
  if (octets === null) {
    throw new SecurityError("unsupported", `security suite ${suiteOf(control)} is not defined`);
  }
  if (given !== octets) {
    throw new SecurityError(
      "wrong_suite",
      `security suite ${suiteOf(control)} has keys of ${octets} octets, this one has ${given}`,
    );
  }
}

function prepare(keys: ProtectionKeys): Prepared {
  let known = prepared.get(keys);
  if (known === undefined) {
    const { encryption, authentication } = keys;
    const key = authentication instanceof KeyObject ? authentication.export() : authentication;
    const additional = key === null ? null : behindControl(key);
    known = { octets: encryption.symmetricKeySize ?? 0, additional };
    prepared.set(keys, known);
  }
  return known;
}

/** Room for the security control octet, and the key. It lives as long as the key: a piece of Node's pool would keep 8 KiB alive for it. */
function behindControl(key: Uint8Array): Buffer {
  const octets = Buffer.alloc(1 + key.length);
  octets.set(key, 1);
  return octets;
}

function initialisationVector({ octets, from, to }: Span, counter: number): Buffer {
  const given = to - from;
  if (given > SYSTEM_TITLE_OCTETS) throw new SecurityError("malformed", `system title has ${given} octets`);
  for (let at = 0; at < SYSTEM_TITLE_OCTETS; at++) vector[at] = at < given ? octets[from + at]! : 0;
  vector[SYSTEM_TITLE_OCTETS] = counter >>> 24;
  vector[SYSTEM_TITLE_OCTETS + 1] = counter >>> 16;
  vector[SYSTEM_TITLE_OCTETS + 2] = counter >>> 8;
  vector[SYSTEM_TITLE_OCTETS + 3] = counter;
  return vector;
}

function authenticatedPrefix(control: number, { additional }: Prepared): Buffer {
  if (additional === null) {
    throw new SecurityError("key_missing", "the APDU is authenticated, and there is no authentication key");
  }
  additional[0] = control;
  return additional;
}
