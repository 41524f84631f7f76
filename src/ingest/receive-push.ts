import { DecodeError } from "../dlms/bytes/errors.ts";
import { hexOfSpan, spanOf } from "../dlms/bytes/span.ts";
import type { DataLimits } from "../dlms/encoding/data.ts";
import { SecurityError } from "../dlms/security/errors.ts";
import { type FrameDigest, frameDigest } from "../dlms/security/invocation-counter.ts";
import { unprotectIn } from "../dlms/security/protection.ts";
import { CaptureLists } from "../mapping/capture-lists.ts";
import type { CaptureList } from "../mapping/captured.ts";
import type { MappingPlan } from "../mapping/plan.ts";
import type { AcceptedPush } from "../storage/accepted-push.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import { type Acceptance, acceptedPush, type Contents, type Protection } from "./accepted.ts";
import type { Arrival } from "./arrival.ts";
import { checkSignatures } from "./check-signatures.ts";
import { judge } from "./counter-verdict.ts";
import type { Counters } from "./counters.ts";
import type { IngestDependencies } from "./dependencies.ts";
import { type Ciphered, type Envelope, openEnvelope, type Signature } from "./envelope.ts";
import type { StatusWords } from "./events.ts";
import type { MeterFinder } from "./identify-meter.ts";
import {
  isUnexplained,
  type MappedNotification,
  mapNotification,
  preparePlan,
  readyPlan,
} from "./map-notification.ts";
import { type Notification, readNotification } from "./notification.ts";
import { checkPolicy, counterOf, isAuthenticated, pairsFor } from "./push-keys.ts";
import { RefusedError, refusalOf } from "./refused-error.ts";
import { isAway, lookUp, type Patience, type Steps } from "./steps.ts";

/** A notification in clear whose meter is known. */
export interface Opened {
  readonly meter: MeterRecord;
  /** null: authentic, but `problem` says why nobody can read it. */
  readonly notification: Notification | null;
  readonly problem: string | null;
  readonly protection: Protection | null;
}

/** An accepted push with everything that it leaves behind. */
export interface MappedPush {
  readonly acceptance: Acceptance;
  readonly push: AcceptedPush;
  /** null: it was deleted, or taken out of service, since it was accepted. */
  readonly meter: MeterRecord | null;
  readonly list: CaptureList | null;
}

export type Received =
  | {
      readonly kind: "accepted";
      readonly meter: MeterRecord;
      readonly acceptance: Acceptance;
      /** null: mapped when it is read from the durable log. */
      readonly mapped: MappedPush | null;
      readonly confirm: number | null;
    }
  /** Octet for octet what was accepted before: to be acknowledged again, and nothing else. */
  | {
      readonly kind: "retransmission";
      readonly meter: MeterRecord;
      readonly digest: FrameDigest;
      readonly confirm: number | null;
    };

/** What a frame is refused for that was made with a key that isn't tried; without a tag it only makes no sense. */
const OF_ANOTHER_KEY: ReadonlySet<string> = new Set(["bad_tag", "key_missing", "malformed"]);

/** Envelopes inside each other, and notifications that carry another meter's. */
const LAYERS_MAX = 4;

/** What becomes of one APDU, from its envelope to the rows that are to be stored. */
export class PushReceiver {
  readonly counters: Counters;
  readonly statusWords: StatusWords;
  private readonly with: IngestDependencies;
  private readonly finder: MeterFinder;
  private readonly patience: Patience;
  /** For what may be mapped later: nothing is waited for. */
  private readonly noPatience: Patience;
  private readonly limits: DataLimits;
  private lists: CaptureLists;

  constructor(
    dependencies: IngestDependencies,
    parts: { finder: MeterFinder; counters: Counters; statusWords: StatusWords; patience: Patience },
  ) {
    this.with = dependencies;
    this.finder = parts.finder;
    this.counters = parts.counters;
    this.statusWords = parts.statusWords;
    this.patience = parts.patience;
    this.noPatience = { ...parts.patience, none: true };
    this.limits = {
      depthMax: dependencies.limits.depthMax,
      elementsMax: dependencies.limits.pushElementsMax,
    };
    this.lists = new CaptureLists(dependencies.configuration());
  }

  /**
   * Waits only where a meter, a counter, a status word or a code is not in memory. Nothing has moved before the last step, which runs in
   * one go. `mapsAtOnce` is asked in that step; absent: a push that can't be mapped now is none. Throws RefusedError, DecodeError or
   * SecurityError for what is refused.
   */
  *receive(arrival: Arrival, envelope: Envelope, mapsAtOnce?: () => boolean): Steps<Received> {
    const opened = yield* this.open(arrival, envelope);
    const identifiers = opened.notification?.push.identifiers ?? [];
    const naming = yield* this.finder.naming(identifiers, opened.meter);
    refuseUnproven(opened, naming === "named");
    const name = opened.protection?.name ?? null;
    const state = name === null ? null : (this.counters.peek(name) ?? (yield* this.counters.load(name)));
    const plan = this.readyPlan(opened, mapsAtOnce) ?? (yield* this.planFor(opened, arrival, mapsAtOnce));
    if (plan === "again") return yield* this.receive(arrival, envelope, mapsAtOnce);
    const confirm = opened.notification?.confirm ?? null;
    const { counterJumpMax } = this.with.security;
    const isFinal = mapsAtOnce !== undefined;
    const verdict = judge(opened, state, { arrival, named: naming === "named", counterJumpMax, isFinal });
    if (verdict.kind === "retransmission") {
      return { kind: "retransmission", meter: opened.meter, digest: opened.protection!.digest, confirm };
    }
    const { meter, protection } = opened;
    const acceptance: Acceptance = {
      ...{ arrival, meterId: meter.id, protection, counter: verdict.move, setAside: verdict.quarantine },
    };
    if (plan === "later" || mapsAtOnce?.() === false) {
      return { kind: "accepted", meter, acceptance, mapped: null, confirm };
    }
    const mapped = this.mapped(acceptance, opened, this.map(opened, plan, arrival));
    return { kind: "accepted", meter, acceptance, mapped, confirm };
  }

  /** null: it has to be looked for with `planFor`. */
  private readyPlan(opened: Opened, mapsAtOnce?: () => boolean): MappingPlan | null {
    if (mapsAtOnce?.() === false) return null;
    const plan = readyPlan(opened, this.with, this.statusWords);
    return plan === null || isUnexplained(opened, plan, this.with) ? null : plan;
  }

  /**
   * "later" where the database has to be asked and is away, and the push may be mapped later; "again" where the configuration did not explain
   * the push and is another by now.
   */
  private *planFor(
    opened: Opened,
    { receivedAtMs }: Arrival,
    mapsAtOnce?: () => boolean,
  ): Steps<MappingPlan | null | "later" | "again"> {
    if (mapsAtOnce?.() === false) return "later";
    const patience = mapsAtOnce === undefined ? this.patience : this.noPatience;
    const known = this.with.configuration();
    try {
      const plan = yield* preparePlan(opened, this.with, this.statusWords, patience);
      if (!isUnexplained(opened, plan, this.with)) return plan;
      // What was imported before it came must explain it, although the daemon is told of changes a little late.
      const renewal = this.with.renewal?.(receivedAtMs) ?? null;
      if (renewal !== null) yield* lookUp(renewal, patience);
      return this.with.configuration() === known ? plan : "again";
    } catch (error) {
      if (mapsAtOnce !== undefined && isAway(error)) return "later";
      throw error;
    }
  }

  /**
   * Maps what was accepted before. Who sent it and that it is authentic was decided then; where it can't be opened any more, it is kept
   * aside. Waits for the database. `again`: it may be stored already.
   */
  *reopen(acceptance: Acceptance, again: boolean): Steps<MappedPush> {
    const { arrival, meterId, protection } = acceptance;
    const meter = yield* this.meterOf(acceptance);
    if (meter === null) return this.setAside(acceptance, "its meter is there no more", again);
    try {
      const envelope = openEnvelope(arrival.apdu, this.limits);
      const opened = yield* this.open({ ...arrival, lastMeter: meter }, envelope);
      if (opened.meter.id !== meterId) {
        return this.setAside(acceptance, `it would be ${opened.meter.meterNumber}'s now`, again);
      }
      const plan = this.readyPlan(opened) ?? (yield* this.planFor(opened, arrival));
      if (plan === "again" || plan === "later") return yield* this.reopen(acceptance, again);
      const contents = mapNotification(opened, plan, arrival, this.with, this.statusWords);
      return this.mapped(acceptance, { ...opened, protection }, contents, again);
    } catch (error) {
      const refused = refusalOf(error);
      if (refused === null) throw error;
      return this.setAside(acceptance, refused.message, again);
    }
  }

  /** Its key may have been changed since it was accepted. */
  private *meterOf({ meterId, protection }: Acceptance): Steps<MeterRecord | null> {
    const { directory } = this.with;
    const known = directory.peekById(meterId);
    const meter = known ?? (yield* lookUp(() => directory.byId(meterId), this.patience));
    if (meter === null || protection === null) return meter;
    if (meter.keys.some(({ keyId }) => keyId === protection.name.keyId)) return meter;
    return yield* lookUp(() => directory.byIdWithFormerKeys(meterId), this.patience);
  }

  /** Kept aside with its octets: it was acknowledged, so that its meter doesn't send it again. */
  setAside(acceptance: Acceptance, why: string, again: boolean): MappedPush {
    const text = `was accepted, but can't be opened any more: ${why}`;
    const contents: Contents = {
      list: null,
      rows: [],
      valueCount: 0,
      quarantine: { reason: "unopened", text },
    };
    return {
      acceptance,
      push: acceptedPush(acceptance, contents, this.with.now(), again),
      meter: null,
      list: null,
    };
  }

  private mapped(
    acceptance: Acceptance,
    { meter, notification }: Opened,
    { rows, valueCount, quarantine }: MappedNotification,
    again = false,
  ): MappedPush {
    const list = notification?.push.list ?? null;
    const contents = { list, rows, valueCount, quarantine };
    return { acceptance, push: acceptedPush(acceptance, contents, this.with.now(), again), meter, list };
  }

  /**
   * What an APDU that was accepted once means under the present configuration. No counter is judged, and status words are not compared
   * with later ones.
   */
  *reread(arrival: Arrival, envelope: Envelope, meterId: string): Steps<MappedNotification> {
    const opened = yield* this.openAgain(arrival, envelope, meterId);
    const plan = yield* preparePlan(opened, this.with, this.statusWords, this.patience);
    return mapNotification(opened, plan, arrival, this.with, null);
  }

  /** With the keys of today, or else with those that its meter had before. */
  private *openAgain(arrival: Arrival, envelope: Envelope, meterId: string): Steps<Opened> {
    try {
      return yield* this.open(arrival, envelope);
    } catch (error) {
      const refused = refusalOf(error);
      if (refused === null || !OF_ANOTHER_KEY.has(refused.reason)) throw error;
      const meter = yield* lookUp(() => this.with.directory.byIdWithFormerKeys(meterId), this.patience);
      if (meter === null) throw error;
      return yield* this.open({ ...arrival, lastMeter: meter }, envelope);
    }
  }

  /** The counter has moved when this runs: an error of ours must not leave it moved. */
  private map(opened: Opened, plan: MappingPlan | null, arrival: Arrival): MappedNotification {
    try {
      return mapNotification(opened, plan, arrival, this.with, this.statusWords);
    } catch (error) {
      if (opened.protection !== null) this.counters.forget(opened.protection.name);
      throw error;
    }
  }

  private open(arrival: Arrival, envelope: Envelope, depth = 0): Steps<Opened> {
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

/** Without a tag only a body that makes sense, or names its meter, shows that the key was the right one. */
function refuseUnproven({ meter, notification, protection }: Opened, named: boolean): void {
  if (protection === null || protection.verified || named) return;
  if (notification !== null && notification.push.list !== null) return;
  throw new RefusedError("malformed", "encrypted without a tag, and the body makes no sense", meter.id);
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
