import type { DataLimits } from "../dlms/encoding/data.ts";
import type { CaptureList } from "../mapping/captured.ts";
import type { MappingPlan } from "../mapping/plan.ts";
import type { AcceptedPush } from "../storage/accepted-push.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import { type Acceptance, acceptedPush, type Contents, type Protection } from "./accepted.ts";
import type { Arrival } from "./arrival.ts";
import { judge } from "./counter-verdict.ts";
import type { Counters } from "./counters.ts";
import type { IngestDependencies } from "./dependencies.ts";
import { type Envelope, openEnvelope } from "./envelope.ts";
import type { StatusWords } from "./events.ts";
import type { MeterFinder } from "./identify-meter.ts";
import {
  isUnexplained,
  type MappedNotification,
  mapNotification,
  preparePlan,
  readyPlan,
} from "./map-notification.ts";
import { dataLimits, type Opened, PushOpener } from "./open-push.ts";
import { RefusedError, refusalOf } from "./refused-error.ts";
import { isAway, lookUp, type Patience, type Steps } from "./steps.ts";

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
      readonly protection: Protection;
      readonly confirm: number | null;
    };

/** What a frame is refused for that was made with a key that isn't tried; without a tag it only makes no sense. */
const OF_ANOTHER_KEY: ReadonlySet<string> = new Set(["bad_tag", "key_missing", "malformed"]);

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
  private readonly opener: PushOpener;

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
    this.limits = dataLimits(dependencies.limits);
    this.opener = new PushOpener(dependencies, parts.finder);
  }

  /**
   * Waits only where a meter, a counter, a status word or a code is not in memory. Nothing has moved before the last step, which runs in
   * one go. `mapsAtOnce` is asked in that step; absent: a push that can't be mapped now is none. Throws RefusedError, DecodeError or
   * SecurityError for what is refused.
   */
  *receive(arrival: Arrival, envelope: Envelope, mapsAtOnce?: () => boolean): Steps<Received> {
    const opened = yield* this.opener.open(arrival, envelope);
    const { meter, protection } = opened;
    const { finder } = this;
    const identifiers = opened.notification?.push.identifiers ?? [];
    const naming = finder.peekNaming(identifiers, meter) ?? (yield* finder.naming(identifiers, meter));
    refuseUnproven(opened, naming === "named");
    const name = protection?.name ?? null;
    const state = name === null ? null : (this.counters.peek(name) ?? (yield* this.counters.load(name)));
    const plan = this.readyPlan(opened, mapsAtOnce) ?? (yield* this.planFor(opened, arrival, mapsAtOnce));
    if (plan === "again") return yield* this.receive(arrival, envelope, mapsAtOnce);
    const confirm = opened.notification?.confirm ?? null;
    const { counterJumpMax } = this.with.security;
    const isFinal = mapsAtOnce !== undefined;
    const verdict = judge(opened, state, { arrival, named: naming === "named", counterJumpMax, isFinal });
    if (verdict.kind === "retransmission") {
      return { kind: "retransmission", meter, protection: protection!, confirm };
    }
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
      const opened = yield* this.opener.open({ ...arrival, lastMeter: meter }, envelope);
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
      return yield* this.opener.open(arrival, envelope);
    } catch (error) {
      const refused = refusalOf(error);
      if (refused === null || !OF_ANOTHER_KEY.has(refused.reason)) throw error;
      const meter = yield* lookUp(() => this.with.directory.byIdWithFormerKeys(meterId), this.patience);
      if (meter === null) throw error;
      return yield* this.opener.open({ ...arrival, lastMeter: meter }, envelope);
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
}

/** Without a tag only a body that makes sense, or names its meter, shows that the key was the right one. */
function refuseUnproven({ meter, notification, protection }: Opened, named: boolean): void {
  if (protection === null || protection.verified || named) return;
  if (notification !== null && notification.push.list !== null) return;
  throw new RefusedError("malformed", "encrypted without a tag, and the body makes no sense", meter.id);
}
