import type { DataLimits } from "../dlms/encoding/data.ts";
import type { CommitOutcome } from "../storage/accepted-push.ts";
import type { Acceptance } from "./accepted.ts";
import { loggedFrame } from "./accepted-record.ts";
import type { AlertFeed } from "./alert-feed.ts";
import { noteApplied } from "./applied.ts";
import type { Arrival } from "./arrival.ts";
import { ArrivalOrder, type HeldLine, systemTitleOf } from "./arrival-order.ts";
import type { Batcher } from "./batcher.ts";
import type { IngestDependencies } from "./dependencies.ts";
import type { Drain } from "./drain.ts";
import { openEnvelope } from "./envelope.ts";
import type { MappedNotification } from "./map-notification.ts";
import { dataLimits } from "./open-push.ts";
import type { MappedPush, PushReceiver, Received } from "./receive-push.ts";
import type { Refusals } from "./refusals.ts";
import { type RefusedError, refusalOf } from "./refused-error.ts";
import { run, type Steps, StoppedError } from "./steps.ts";
import { type PushUnderway, type Sender, Underway } from "./underway.ts";
import type { UnknownFrames } from "./unknown-frames.ts";

/** What a push costs in memory besides its octets: rows, history, frame. */
const OVERHEAD_BYTES = 2_048;

/** The one way in for APDUs, whatever brought them: to rows in the batcher, or to a refusal. */
export class Intake {
  private readonly with: IngestDependencies;
  private readonly parts: {
    readonly receiver: PushReceiver;
    readonly batcher: Batcher;
    readonly refusals: Refusals;
    readonly unknown: UnknownFrames;
    readonly alerts: AlertFeed;
    /** null: no durable log, COMMIT is what makes a push safe. */
    readonly drain: Drain | null;
  };
  private readonly limits: DataLimits;
  private readonly underway: Underway;
  private readonly order = new ArrivalOrder();
  /** APDUs that wait for a look-up, and their octets. */
  private working = 0;
  private workingBytes = 0;
  private whenIdle: (() => void)[] = [];

  constructor(dependencies: IngestDependencies, parts: Intake["parts"]) {
    this.with = dependencies;
    this.parts = parts;
    this.limits = dataLimits(dependencies.limits);
    this.underway = new Underway(dependencies);
  }

  /** Octets of all pushes that are not durable yet. */
  get undurableBytes(): number {
    return this.underway.heldBytes;
  }

  /** Octets of what waits for a look-up, or stands in line behind one. */
  get waitingBytes(): number {
    return this.workingBytes;
  }

  /** Whether nothing more should be read for now: too much is on its way to the database. */
  isFull(): boolean {
    const { drain, batcher } = this.parts;
    return this.undurableBytes > this.with.limits.undurableTotalBytesMax || (drain ?? batcher).isFull();
  }

  /**
   * `done` is called at once where nothing had to be waited for; the APDU's octets are needed until then. What one originator sends is
   * taken in its order even where it comes on several connections; `inTurn` calls when what has to go first has been taken.
   */
  take(arrival: Arrival, sender: Sender, done: () => void, inTurn = (begin: () => void) => begin()): void {
    this.working++;
    this.workingBytes += costOf(arrival);
    inTurn(() => this.order.enter(arrival, () => this.begin(arrival, sender, done)));
  }

  private begin(arrival: Arrival, sender: Sender, done: () => void): void {
    let held: HeldLine | null = null;
    let through = false;
    const finish = () => {
      through = true;
      this.working--;
      this.workingBytes -= costOf(arrival);
      if (held === null) done();
      else this.order.goOn(held, done);
      if (this.working === 0 && this.whenIdle.length > 0)
        for (const resolve of this.whenIdle.splice(0)) resolve();
    };
    run(
      () => this.receive(arrival),
      (received) => {
        this.submit(received, arrival, sender);
        finish();
      },
      (error) => {
        this.refuse(error, arrival);
        finish();
      },
    );
    if (!through) held = this.order.hold(arrival);
  }

  /** Resolves when no APDU waits for a look-up. */
  idle(): Promise<void> {
    return this.working === 0 ? Promise.resolve() : new Promise((resolve) => this.whenIdle.push(resolve));
  }

  /** What a stored frame means now; nothing is stored. */
  reread(arrival: Arrival, meterId: string): Promise<MappedNotification> {
    return new Promise((resolve, reject) => run(() => this.receiveAgain(arrival, meterId), resolve, reject));
  }

  private *receiveAgain(arrival: Arrival, meterId: string): Steps<MappedNotification> {
    const envelope = openEnvelope(arrival.apdu, this.limits);
    return yield* this.parts.receiver.reread(arrival, envelope, meterId);
  }

  private receive(arrival: Arrival): Steps<Received> {
    const envelope = openEnvelope(arrival.apdu, this.limits);
    const { receiver, drain } = this.parts;
    return receiver.receive(arrival, envelope, drain === null ? undefined : () => drain.mapsAtOnce);
  }

  private submit(received: Received, arrival: Arrival, sender: Sender): void {
    if (received.kind === "retransmission") {
      this.with.observer.pushDone("retransmission");
      this.underway.acknowledgeAgain(received.protection, () => sender.durable(received.confirm, true));
      return;
    }
    const { acceptance, mapped } = received;
    const underway = this.underway.begin(received, sender, costOf(arrival));
    const { drain } = this.parts;
    if (drain === null) {
      this.store(mapped!, underway);
      return;
    }
    if (mapped !== null) {
      drain.appendMapped(mapped, (isSafe) => {
        if (!isSafe) this.forget(mapped);
        this.underway.settle(underway, isSafe);
      });
      return;
    }
    drain.append(acceptance, (outcome, own) => {
      if (outcome.kind === "durable") this.underway.settle(underway, true);
      else this.withoutLog(own, underway);
    });
  }

  /** The log doesn't take it, and it isn't mapped: COMMIT makes it safe, if that comes in time. */
  private withoutLog(logged: Acceptance, underway: PushUnderway): void {
    const { counter } = logged;
    const acceptance = { ...logged, counter: counter === null ? null : { ...counter, isFinal: false } };
    run(
      () => this.parts.receiver.reopen(acceptance, false),
      (reopened) => this.store(reopened, underway),
      (error) => this.unmapped(error, acceptance, underway),
    );
  }

  /** It is sent again, and must not be taken for what was stored then. */
  private unmapped(error: unknown, { arrival, protection }: Acceptance, underway: PushUnderway): void {
    if (!(error instanceof StoppedError)) {
      this.with.log.error(
        { err: error, peer: arrival.peer },
        "a push could not be mapped and is not acknowledged",
      );
    }
    if (protection !== null) this.parts.receiver.counters.forget(protection.name);
    this.underway.settle(underway, false);
  }

  private store(mapped: MappedPush, underway: PushUnderway): void {
    const settled = (outcome: CommitOutcome | null) => {
      if (outcome === null || outcome.verdict === "replay") this.forget(mapped);
      if (outcome !== null) noteApplied(outcome, mapped, { ...this.with, ...this.parts });
      if (outcome?.verdict === "replay") this.overtaken(mapped);
      else if (outcome !== null) this.noteCounter(mapped);
      this.underway.settle(underway, outcome !== null && outcome.verdict !== "replay");
    };
    this.parts.batcher.add({ push: mapped.push, settled });
  }

  private noteCounter({ acceptance }: MappedPush): void {
    const frame = loggedFrame(acceptance);
    if (frame !== null) this.with.logged.stored(frame);
  }

  private overtaken({ acceptance: { arrival, protection, meterId }, meter }: MappedPush): void {
    const text = `${meter?.meterNumber ?? meterId}: counter ${protection?.counter} was overtaken in the database`;
    this.parts.refusals.add(arrival.peer, "replay", text, meterId);
  }

  /** What was moved in memory for a push that did not come to be stored is asked for again from the database. */
  private forget({ acceptance }: MappedPush): void {
    const { protection, meterId } = acceptance;
    if (protection !== null) this.parts.receiver.counters.forget(protection.name);
    this.parts.receiver.statusWords.forget(meterId);
  }

  private refuse(error: unknown, arrival: Arrival): void {
    if (error instanceof StoppedError) return;
    const refused = refusalOf(error);
    if (refused === null) {
      this.with.log.error({ err: error, peer: arrival.peer }, "a frame could not be worked on");
      return;
    }
    this.with.observer.pushDone("refused");
    this.parts.refusals.add(arrival.peer, refused.reason, refused.message, refused.meterId);
    if (refused.keep) this.keep(refused, arrival);
  }

  private keep({ reason }: RefusedError, arrival: Arrival): void {
    if (arrival.counterRule === "kept") return;
    const systemTitle = systemTitleOf(arrival.apdu);
    const { framing, peer, receivedAtMs, clientSap, serverSap } = arrival;
    const apdu = Buffer.from(arrival.apdu);
    const source = systemTitle ?? peer;
    this.parts.unknown.add({
      source,
      systemTitle,
      peer,
      framing,
      reason,
      receivedAtMs,
      clientSap,
      serverSap,
      apdu,
    });
  }
}

const costOf = ({ apdu }: Arrival) => apdu.length + OVERHEAD_BYTES;
