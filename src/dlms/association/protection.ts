import { DecodeError } from "../bytes/errors.ts";
import { SecurityError } from "../security/errors.ts";
import { type ProtectionKeys, protect, readSecurityHeader, unprotect } from "../security/protection.ts";
import { protectionOf, type SecuritySuite, suiteOf } from "../security/security-control.ts";
import { type Apdu, type ApduName, apduName, apduTag, readApdu, writeApdu } from "../xdlms/apdu.ts";

/**
 * A counter of ours: no value is ever used twice under one key. `take` gives null where none is reserved at the moment; more are
 * reserved, durably, before it gives them out.
 */
export interface SentCounter {
  take(): number | null;
}

/** The peer's counter under one key: what comes must be higher than all before. */
export class ReceivedCounter {
  #high: number;
  readonly #mayStandStill: boolean;

  /** `high`: highest accepted so far, −1 for none. */
  constructor(high = -1, mayStandStill = false) {
    this.#high = high;
    this.#mayStandStill = mayStandStill;
  }

  get high(): number {
    return this.#high;
  }

  /** @throws SecurityError `replay` */
  check(counter: number): void {
    if (counter > this.#high || (this.#mayStandStill && counter === this.#high)) return;
    throw new SecurityError("replay", `invocation counter ${counter} is not above ${this.#high}`);
  }

  /** Behind the check of the tag. */
  accept(counter: number): void {
    if (counter > this.#high) this.#high = counter;
  }
}

/** A key with what counts under it, in both directions. */
export interface ProtectionKey {
  readonly keys: ProtectionKeys;
  readonly sent: SentCounter;
  readonly received: ReceivedCounter;
}

/** How an APDU is or was protected. */
export interface Protection {
  /** Security control without the suite: 0x10, 0x20 or 0x30; 0: not at all. */
  readonly bits: number;
  readonly dedicated: boolean;
  /** general-glo/ded-ciphering, or the service's own tag. */
  readonly general: boolean;
}

/** Octets of protection around an APDU: tag, lengths, system title, security header, tag. */
export const PROTECTION_OCTETS = 35;

export const UNPROTECTED: Protection = { bits: 0, dedicated: false, general: false };

export interface Opened {
  /** The octets of the APDU in clear. */
  readonly plaintext: Buffer;
  readonly protection: Protection;
}

const GENERAL = { glo: 0xdb, ded: 0xdc } as const;
const ENVELOPE_LIMITS = { depthMax: 1, elementsMax: 16 };

/** Puts protection on our APDUs and takes it off the other side's, for one association. */
export class ApduProtection {
  readonly #suite: SecuritySuite;
  readonly #ownTitle: Buffer;
  readonly #global: ProtectionKey;
  #dedicated: ProtectionKey | null = null;
  peerTitle: Buffer | null;

  constructor(suite: SecuritySuite, ownTitle: Buffer, peerTitle: Buffer | null, global: ProtectionKey) {
    this.#suite = suite;
    this.#ownTitle = ownTitle;
    this.#global = global;
    this.peerTitle = peerTitle;
  }

  get global(): ProtectionKey {
    return this.#global;
  }

  get suite(): SecuritySuite {
    return this.#suite;
  }

  /** From now on there is a dedicated key as well. */
  useDedicated(key: ProtectionKey): void {
    this.#dedicated = key;
  }

  get hasDedicated(): boolean {
    return this.#dedicated !== null;
  }

  /** null where no counter is reserved at the moment: to be tried again once there is. */
  seal(plaintext: Buffer, how: Protection): Buffer | null {
    if (how.bits === 0) return plaintext;
    const key = how.dedicated && this.#dedicated !== null ? this.#dedicated : this.#global;
    const counter = key.sent.take();
    if (counter === null) return null;
    const header = { control: how.bits | this.#suite, counter };
    const content = protect(plaintext, header, this.#ownTitle, key.keys);
    const dedicated = key !== this.#global;
    const own = how.general ? null : ownTag(plaintext[0]!, dedicated);
    if (own !== null) return writeApdu({ apdu: own, content } as Apdu);
    const apdu = dedicated ? "general-ded-ciphering" : "general-glo-ciphering";
    return writeApdu({ apdu, systemTitle: this.#ownTitle, content });
  }

  /**
   * The APDU in clear. What is not ciphered is handed back as it is, with protection 0: whether that will do is the caller's question.
   * @throws SecurityError `replay`, `wrong_suite`, `bad_tag` and as `unprotect` does; DecodeError where the envelope makes no sense
   */
  open(octets: Buffer): Opened {
    const tag = octets[0];
    if (tag === undefined) throw new DecodeError("truncated", 0, "an empty APDU");
    const inner = innerTag(tag);
    const general = tag === GENERAL.glo || tag === GENERAL.ded;
    if (!general && inner === null) return { plaintext: octets, protection: UNPROTECTED };
    const envelope = readApdu(octets, ENVELOPE_LIMITS);
    if (!("content" in envelope)) throw new DecodeError("invalid", 0, "not a ciphered APDU");
    const dedicated = tag === GENERAL.ded || (tag & 0xe0) === 0x40 || (tag >= 0xd0 && tag <= 0xd7);
    const key = dedicated ? this.#dedicated : this.#global;
    if (key === null) throw new SecurityError("key_missing", "there is no dedicated key in this association");
    const title = this.#titleOf("systemTitle" in envelope ? envelope.systemTitle : null);
    const { control, counter } = readSecurityHeader(envelope.content);
    if (protectionOf(control) !== 0 && suiteOf(control) !== this.#suite) {
      throw new SecurityError(
        "wrong_suite",
        `suite ${suiteOf(control)} in an association of suite ${this.#suite}`,
      );
    }
    key.received.check(counter);
    const { plaintext } = unprotect(envelope.content, title, key.keys);
    if (inner !== null && plaintext[0] !== inner) {
      throw new DecodeError("invalid", 0, "the ciphered APDU is another one than its tag says");
    }
    key.received.accept(counter);
    return { plaintext, protection: { bits: protectionOf(control), dedicated, general } };
  }

  #titleOf(given: Buffer | null): Buffer {
    if (given !== null && given.length > 0 && this.peerTitle !== null && !given.equals(this.peerTitle)) {
      throw new SecurityError("malformed", `system title ${given.toString("hex")} is not the other side's`);
    }
    const title = given !== null && given.length > 0 ? given : this.peerTitle;
    if (title === null) throw new SecurityError("key_missing", "the other side's system title is not known");
    return title;
  }
}

/** The tag of an APDU ciphered for its service; null where there is none, as for ACCESS. */
function ownTag(plain: number, dedicated: boolean): ApduName | null {
  const offset = plain < 0x80 ? (dedicated ? 0x40 : 0x20) : dedicated ? 0x10 : 0x08;
  const name = apduName(plain + offset);
  const prefix = dedicated ? "ded-" : "glo-";
  return name?.startsWith(prefix) && apduTag(name) === plain + offset ? name : null;
}

/** The tag that stands inside; null for what is not ciphered, or in general-glo/ded-ciphering. */
function innerTag(tag: number): number | null {
  const name = apduName(tag);
  if (name === null || !/^(glo|ded)-/.test(name)) return null;
  const plain = apduName(tag < 0x80 ? tag & 0x1f : tag >= 0xd0 ? tag - 0x10 : tag - 0x08);
  return plain === name.slice(4) ? apduTag(plain) : null;
}
