import { DecodeError } from "../dlms/bytes/errors.ts";
import { hexOfSpan, spanOf } from "../dlms/bytes/span.ts";
import type { DataLimits } from "../dlms/encoding/data.ts";
import { SecurityError } from "../dlms/security/errors.ts";
import { frameDigest } from "../dlms/security/invocation-counter.ts";
import { unprotectIn } from "../dlms/security/protection.ts";
import type { Limits } from "../limits.ts";
import { CaptureLists } from "../mapping/capture-lists.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { Protection } from "./accepted.ts";
import type { Arrival } from "./arrival.ts";
import { checkSignatures } from "./check-signatures.ts";
import type { IngestDependencies } from "./dependencies.ts";
import { type Ciphered, type Envelope, openEnvelope, type Signature } from "./envelope.ts";
import type { MeterFinder } from "./identify-meter.ts";
import { type Notification, readNotification } from "./notification.ts";
import { checkPolicy, counterOf, isAuthenticated, pairsFor } from "./push-keys.ts";
import { RefusedError } from "./refused-error.ts";
import type { Steps } from "./steps.ts";

/** A notification in clear whose meter is known. */
export interface Opened {
  readonly meter: MeterRecord;
  /** null: authentic, but `problem` says why nobody can read it. */
  readonly notification: Notification | null;
  readonly problem: string | null;
  readonly protection: Protection | null;
}

/** Envelopes inside each other, and notifications that carry another meter's. */
const LAYERS_MAX = 4;

export const dataLimits = ({ depthMax, pushElementsMax }: Limits): DataLimits => ({
  depthMax,
  elementsMax: pushElementsMax,
});

/** From an envelope to the notification in clear: whose it is, its key, its tag and its signatures. Nothing moves, and no counter is judged. */
export class PushOpener {
  private readonly with: IngestDependencies;
  private readonly finder: MeterFinder;
  private readonly limits: DataLimits;
  private lists: CaptureLists;

  constructor(dependencies: IngestDependencies, finder: MeterFinder) {
    this.with = dependencies;
    this.finder = finder;
    this.limits = dataLimits(dependencies.limits);
    this.lists = new CaptureLists(dependencies.configuration());
  }

  /** Waits only where the meter isn't in memory. Throws RefusedError, DecodeError or SecurityError. */
  open(arrival: Arrival, envelope: Envelope, depth = 0): Steps<Opened> {
    if (depth >= LAYERS_MAX) throw new RefusedError("limit", `more than ${LAYERS_MAX} envelopes`);
    if (envelope.kind === "plain" || envelope.kind === "ciphered") {
      const steps =
        envelope.kind === "plain"
          ? this.openPlain(arrival, envelope.apdu, depth)
          : this.openCiphered(arrival, envelope, depth);
      return envelope.signatures === undefined ? steps : this.openSigned(steps, envelope.signatures);
    }
    const name = envelope.kind === "unsupported" ? envelope.name : "general-block-transfer";
    throw new RefusedError("unsupported", `${name} is nothing that a meter pushes`);
  }

  private *openSigned(opening: Steps<Opened>, signatures: readonly Signature[]): Steps<Opened> {
    const opened = yield* opening;
    checkSignatures(opened.meter, signatures);
    return opened;
  }

  private *openPlain(arrival: Arrival, apdu: Buffer, depth: number): Steps<Opened> {
    // Whose lists explain it is known only once it is known whose it is.
    const first = readNotification(apdu, this.current().forAnybody(), this.limits);
    if (first.relayed !== null) return yield* this.openRelayed(arrival, first.relayed, depth);
    const meter = yield* this.finder.byBody(first.push, arrival);
    if (meter.requiredProtection !== 0) {
      const text = `${meter.meterNumber} must cipher what it sends, this came in clear`;
      throw new RefusedError("plaintext_refused", text, meter.id);
    }
    const notification = readNotification(apdu, this.current().for(meter), this.limits);
    return { meter, notification, problem: null, protection: null };
  }

  /** A gateway has passed on what another meter sent: that meter's keys, and not the gateway's name, say whose it is. */
  private *openRelayed(arrival: Arrival, apdu: Buffer, depth: number): Steps<Opened> {
    const envelope = openEnvelope(apdu, this.limits);
    if (envelope.kind !== "ciphered" || envelope.systemTitle === null) {
      throw new RefusedError("unsupported", "what a gateway passes on must be ciphered and say whose it is");
    }
    return yield* this.open(arrival, envelope, depth + 1);
  }

  private *openCiphered(arrival: Arrival, envelope: Ciphered, depth: number): Steps<Opened> {
    const { systemTitle, header, content, additional } = envelope;
    const named = systemTitle === null ? null : hexOfSpan(systemTitle);
    const meter =
      named === null
        ? yield* this.finder.byConnection(arrival)
        : (acceptedFor(arrival, named) ??
          this.with.directory.peekBySystemTitle(named) ??
          (yield* this.finder.bySystemTitle(named)));
    checkPolicy(meter, header.control);
    const title = systemTitle ?? spanOf(Buffer.from(meter.systemTitle ?? "", "hex"));
    const originator = named ?? hexOfSpan(title);
    const keys = pairsFor(envelope.key, meter, arrival.clientSap);
    if (keys.length === 0) {
      const text = `${meter.meterNumber} has no ${nameOfKey(envelope)} for client ${arrival.clientSap}; import one with \`hes keys import\``;
      throw new RefusedError("key_missing", text, meter.id, true);
    }
    let refused: unknown = null;
    for (const key of keys) {
      try {
        const { plaintext, control, counter, verified } = unprotectIn(content, title, key, additional);
        const digest = frameDigest(arrival.apdu);
        const name = counterOf(key, originator, arrival.clientSap);
        const protection = { name, control, counter, verified, digest };
        const inside = isEnvelope(plaintext) ? openEnvelope(plaintext, this.limits) : null;
        if (inside?.kind === "ciphered") return yield* this.open(arrival, inside, depth + 1);
        if (inside?.kind === "plain") checkSignatures(meter, inside.signatures);
        const clear = inside?.kind === "plain" ? inside.apdu : plaintext;
        const opened = this.read(meter, clear, protection);
        const relayed = opened.notification?.relayed ?? null;
        return relayed === null ? opened : yield* this.openRelayed(arrival, relayed, depth);
      } catch (error) {
        if (!(error instanceof SecurityError || error instanceof DecodeError)) throw error;
        refused = error;
      }
    }
    throw withMeter(refused, meter, header.control);
  }

  /** Throws DecodeError for what no tag proves: a wrong key gives such octets too. */
  private read(meter: MeterRecord, plaintext: Buffer, protection: Protection): Opened {
    try {
      const notification = readNotification(plaintext, this.current().for(meter), this.limits);
      return { meter, notification, problem: null, protection };
    } catch (error) {
      const unreadable = error instanceof DecodeError || error instanceof RefusedError;
      if (!unreadable) throw error;
      if (!protection.verified)
        throw new DecodeError("invalid", 0, "does not decode: another key, or changed on the way");
      return { meter, notification: null, problem: error.message, protection };
    }
  }

  /** Lists of the present configuration. */
  private current(): CaptureLists {
    const configuration = this.with.configuration();
    if (this.lists.configuration !== configuration) this.lists = new CaptureLists(configuration);
    return this.lists;
  }
}

/** Whether what was ciphered is signed, or ciphered once more. */
function isEnvelope(plaintext: Buffer): boolean {
  return plaintext[0]! >= 0xdb && plaintext[0]! <= 0xdf;
}

function nameOfKey({ key }: Ciphered): string {
  switch (key.kind) {
    case "dedicated":
      return "dedicated key";
    case "broadcast":
      return "broadcast key";
    case "wrapped":
      return "master key";
    default:
      return "key";
  }
}

/** The meter that it was accepted for, with the keys that it had then; null where it has another title now, or nobody has accepted it yet. */
function acceptedFor({ counterRule, lastMeter }: Arrival, systemTitle: string): MeterRecord | null {
  return counterRule === "kept" && lastMeter?.systemTitle === systemTitle ? lastMeter : null;
}

function withMeter(error: unknown, meter: MeterRecord, control: number): unknown {
  if (error instanceof SecurityError) {
    return new RefusedError(
      error.reason,
      `${meter.meterNumber}: ${error.message}`,
      meter.id,
      error.reason === "key_missing",
    );
  }
  if (error instanceof DecodeError && !isAuthenticated(control)) {
    return new RefusedError("malformed", `${meter.meterNumber}: ${error.message}`, meter.id);
  }
  return error;
}
