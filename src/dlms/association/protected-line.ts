import { isAcseTag } from "../acse/apdu.ts";
import { SecurityError } from "../security/errors.ts";
import { type Apdu, readApdu, writeApdu } from "../xdlms/apdu.ts";
import { rejection } from "./client-exchange.ts";
import { initiateProtection, requireBits } from "./client-handshake.ts";
import { ClientLine } from "./client-line.ts";
import type { ClientOptions } from "./client-options.ts";
import { CONFORMANCE } from "./mechanisms.ts";
import {
  ApduProtection,
  PROTECTION_OCTETS,
  type Protection,
  ReceivedCounter,
  UNPROTECTED,
} from "./protection.ts";

const GENERAL_BLOCK_TRANSFER = 0xe0;
/** Meters have told 0 for "any", and sizes in which no answer would fit. */
const PDU_SIZE_MIN = 64;

/** Pushed APDUs: plain, and ciphered for their service. */
const NOTIFICATIONS: ReadonlySet<string> = new Set([
  "data-notification",
  "event-notification",
  "glo-event-notification",
  "ded-event-notification",
  "information-report",
  "glo-information-report",
  "ded-information-report",
]);

/** What has come over the line. */
export type FromMeter =
  | { readonly kind: "acse" }
  | { readonly kind: "notification" }
  | { readonly kind: "answer"; readonly apdu: Apdu };

/**
 * The line of a client's association: a request goes out protected, or waits until a counter is reserved for it; what comes in is put
 * together from general blocks, told from notifications, and opened.
 */
export class ProtectedLine {
  readonly #options: ClientOptions;
  readonly #protection: ApduProtection | null;
  readonly #line: ClientLine;
  /** An APDU for which no counter is reserved yet. */
  #parked: { readonly plaintext: Buffer; readonly how: Protection } | null = null;
  #generalBlocks = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#line = new ClientLine(options);
    const { security, systemTitle } = options;
    this.#protection =
      security === null || systemTitle === null
        ? null
        : new ApduProtection(security.suite, systemTitle, security.meterTitle, security);
  }

  get protection(): ApduProtection | null {
    return this.#protection;
  }

  /** Whether an answer is still to come. */
  get waiting(): boolean {
    return this.#line.waiting;
  }

  get deadline(): number | null {
    return this.#line.deadline;
  }

  /** Octets that a request in clear may have. */
  get requestOctetsMax(): number {
    return this.#line.pduOctetsMax - (this.#options.ciphered ? PROTECTION_OCTETS : 0);
  }

  /** What was agreed on. */
  open(conformance: number, serverMaxPdu: number): void {
    this.#generalBlocks = (conformance & CONFORMANCE.generalBlockTransfer) !== 0;
    this.#line.pduOctetsMax = serverMaxPdu === 0 ? 0xffff : Math.max(PDU_SIZE_MIN, serverMaxPdu);
  }

  /** From now on under the dedicated key, where there is one, with counters of its own. */
  useDedicatedKey(): void {
    const { security, ciphered } = this.#options;
    if (!ciphered || security === null || security.dedicated === null) return;
    let counter = 0;
    this.#protection!.useDedicated({
      keys: { encryption: security.dedicated.key, authentication: security.keys.authentication },
      sent: { take: () => ++counter },
      received: new ReceivedCounter(),
    });
  }

  /** An InitiateRequest as user information; null where nothing is ciphered, or no counter is reserved. */
  sealInitiate(plaintext: Buffer): Buffer | null {
    return this.#protection?.seal(plaintext, initiateProtection(this.#options)) ?? null;
  }

  /** AARQ or RLRQ: as it is, and never in blocks. */
  sendAcse(apdu: Buffer, now: number): void {
    this.#line.send(apdu, false, now);
  }

  /** A request, protected as the association is. False: it waits for a counter; `resume` sends it. */
  request(apdu: Apdu, now: number): boolean {
    const { ciphered, security } = this.#options;
    const how: Protection =
      ciphered && security !== null
        ? { bits: security.bits, dedicated: this.#protection!.hasDedicated, general: security.general }
        : UNPROTECTED;
    return this.send(writeApdu(apdu), how, now);
  }

  /** The same for octets, protected as is said. */
  send(plaintext: Buffer, how: Protection, now: number): boolean {
    const sealed = this.#protection === null ? plaintext : this.#protection.seal(plaintext, how);
    this.#parked = sealed === null ? { plaintext, how } : null;
    if (sealed !== null) this.#line.send(sealed, this.#generalBlocks, now);
    return sealed !== null;
  }

  /** Counters were reserved. False: there are still too few. */
  resume(now: number): boolean {
    return this.#parked === null || this.send(this.#parked.plaintext, this.#parked.how, now);
  }

  /** An APDU put together from its blocks; null: more are to come. @throws PeerProtocolError, DecodeError */
  whole(octets: Buffer, now: number): Buffer | null {
    if (octets[0] !== GENERAL_BLOCK_TRANSFER || !this.#line.waiting) return octets;
    return this.#line.takeBlock(octets, now);
  }

  /** What a whole APDU is. @throws SecurityError, DecodeError, PeerProtocolError where it is protected less than it must be */
  opened(octets: Buffer): FromMeter {
    if (octets.length > 0 && isAcseTag(octets[0]!)) return { kind: "acse" };
    if (octets[0] === GENERAL_BLOCK_TRANSFER) return { kind: "notification" };
    const apdu = this.#answerIn(octets);
    return apdu === null || NOTIFICATIONS.has(apdu.apdu)
      ? { kind: "notification" }
      : { kind: "answer", apdu };
  }

  /** The answer has come, or nobody waits for it any more. */
  settle(): void {
    this.#line.settle();
  }

  /** Nothing more is sent. */
  end(): void {
    this.#line.settle();
    this.#parked = null;
  }

  handleTimeout(now: number): "repeated" | "silent" | null {
    return this.#line.handleTimeout(now);
  }

  takeOutput(): Buffer | null {
    return this.#line.takeOutput();
  }

  /** The APDU in clear; null where it is none that belongs to this association. */
  #answerIn(octets: Buffer): Apdu | null {
    const { limits } = this.#options;
    if (this.#protection === null || !this.#options.ciphered) return readApdu(octets, limits);
    let opened: ReturnType<ApduProtection["open"]>;
    try {
      opened = this.#protection.open(octets);
    } catch (error) {
      // A push may be ciphered in other ways: whoever takes it judges it. An answer that can't be opened is no push.
      const general = octets[0] === 0xdb || octets[0] === 0xdc || octets[0] === 0xdd;
      if (error instanceof SecurityError && general && this.#options.security?.general !== true) return null;
      throw error;
    }
    const apdu = readApdu(opened.plaintext, limits);
    if (NOTIFICATIONS.has(apdu.apdu)) return apdu;
    // Refusals are often in clear: what can't be deciphered has no key to answer with.
    if (rejection(apdu) === null) requireBits(this.#options, opened.protection.bits, apdu.apdu);
    return apdu;
  }
}
