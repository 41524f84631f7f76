import type { CommitOutcome } from "../storage/accepted-push.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import { acceptedPush } from "./accepted.ts";
import type { AlertFeed } from "./alert-feed.ts";
import type { Arrival } from "./arrival.ts";
import type { Batcher } from "./batcher.ts";
import type { IngestDependencies } from "./dependencies.ts";
import { isInClear, openEnvelope } from "./envelope.ts";
import type { MappedNotification } from "./map-notification.ts";
import type { PushReceiver, Received } from "./receive-push.ts";
import type { Refusals } from "./refusals.ts";
import { type RefusedError, refusalOf } from "./refused-error.ts";
import { run, type Steps, StoppedError } from "./steps.ts";
import type { UnknownFrames } from "./unknown-frames.ts";

/** What the sender of an APDU is told about it. */
export interface Sender {
  /** The push is in memory and will be stored; `bytes` are held until `settled`. */
  accepted(meter: MeterRecord, bytes: number): void;
  /** Durable, or known to be: to be acknowledged. `confirm` is the invoke id of a push that asks for a confirmation. */
  durable(confirm: number | null): void;
  /** The octets are held no longer. */
  settled(bytes: number): void;
}

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
  };
  private readonly limits: { depthMax: number; elementsMax: number };
  /** Pushes on their way to the database, by digest, and retransmissions of them that are to be acknowledged with them. */
  private readonly underway = new Map<string, (() => void)[]>();
  /** Originators of which an APDU waits for a look-up, and what they sent since. */
  private readonly lines = new Map<string, (() => boolean)[]>();
  private heldBytes = 0;
  /** APDUs that wait for a look-up, and their octets. */
  private working = 0;
  private workingBytes = 0;
  private whenIdle: (() => void)[] = [];

  constructor(dependencies: IngestDependencies, parts: Intake["parts"]) {
    this.with = dependencies;
    this.parts = parts;
    const { depthMax, pushElementsMax } = dependencies.limits;
    this.limits = { depthMax, elementsMax: pushElementsMax };
  }

  /** Octets of all pushes that are not durable yet. */
  get undurableBytes(): number {
    return this.heldBytes;
  }

  /** Octets of what waits for a look-up, or stands in line behind one. */
  get waitingBytes(): number {
    return this.workingBytes;
  }

  /** Whether nothing more should be read for now: too much is on its way to the database. */
  isFull(): boolean {
    return this.heldBytes > this.with.limits.undurableTotalBytesMax || this.parts.batcher.isFull();
  }

  /**
   * `done` is called at once where nothing had to be waited for; the APDU's octets are needed until then. What one originator sends is
   * taken in its order even where it comes on several connections: while one APDU waits for a look-up, the next stand in line, or the
   * counter of a later one would make the earlier one a replay.
   */
  take(arrival: Arrival, sender: Sender, done: () => void): void {
    this.working++;
    this.workingBytes += costOf(arrival);
    const originator = this.lines.size === 0 ? null : originatorOf(arrival);
    const line = originator === null ? undefined : this.lines.get(originator);
    if (line === undefined) this.begin(arrival, sender, done);
    else line.push(() => this.begin(arrival, sender, done));
  }

  /** Whether the APDU was through at once. */
  private begin(arrival: Arrival, sender: Sender, done: () => void): boolean {
    let originator: string | null = null;
    let through = false;
    const finish = () => {
      through = true;
      this.working--;
      this.workingBytes -= costOf(arrival);
      done();
      if (originator !== null) this.goOn(originator);
      if (this.working === 0) for (const resolve of this.whenIdle.splice(0)) resolve();
    };
    run(
      this.receive(arrival),
      (received) => {
        this.submit(received, arrival, sender);
        finish();
      },
      (error) => {
        this.refuse(error, arrival);
        finish();
      },
    );
    if (through) return true;
    originator = originatorOf(arrival);
    if (originator !== null && !this.lines.has(originator)) this.lines.set(originator, []);
    return false;
  }

  /** Takes in what stood in line, until one has to wait itself. */
  private goOn(originator: string): void {
    const line = this.lines.get(originator)!;
    for (let next = line.shift(); next !== undefined; next = line.shift()) {
      if (!next()) return;
    }
    this.lines.delete(originator);
  }

  /** Resolves when no APDU waits for a look-up. */
  idle(): Promise<void> {
    return this.working === 0 ? Promise.resolve() : new Promise((resolve) => this.whenIdle.push(resolve));
  }

  /** What a stored frame means now; nothing is stored. */
  reread(arrival: Arrival): Promise<MappedNotification> {
    return new Promise((resolve, reject) => run(this.receiveAgain(arrival), resolve, reject));
  }

  private *receiveAgain(arrival: Arrival): Steps<MappedNotification> {
    const envelope = openEnvelope(arrival.apdu, this.limits);
    return yield* this.parts.receiver.reread(arrival, envelope);
  }

  private *receive(arrival: Arrival): Steps<Received> {
    const envelope = openEnvelope(arrival.apdu, this.limits);
    return yield* this.parts.receiver.receive(arrival, envelope);
  }

  private submit(received: Received, arrival: Arrival, sender: Sender): void {
    if (received.kind === "retransmission") {
      this.with.observer.pushDone("retransmission");
      const waiting = this.underway.get(received.digest.toString("latin1"));
      if (waiting === undefined) sender.durable(received.confirm);
      else waiting.push(() => sender.durable(received.confirm));
      return;
    }
    const { acceptance, confirm } = received;
    const push = acceptedPush(acceptance, this.with.now());
    const bytes = costOf(arrival);
    const digest = acceptance.protection?.digest.toString("latin1") ?? null;
    const started = performance.now();
    this.heldBytes += bytes;
    if (digest !== null) this.underway.set(digest, []);
    sender.accepted(acceptance.meter, bytes);
    const settled = (outcome: CommitOutcome | null) => {
      this.heldBytes -= bytes;
      const waiting = (digest === null ? undefined : this.underway.get(digest)) ?? [];
      if (digest !== null) this.underway.delete(digest);
      if (this.stored(outcome, received, arrival)) {
        const elapsedMs = performance.now() - started;
        this.with.observer.durableSeconds(elapsedMs / 1_000);
        // Too late, the sender has given up: it sends again, and that is acknowledged.
        if (elapsedMs <= this.with.limits.durableMs) sender.durable(confirm);
        for (const acknowledge of waiting) acknowledge();
      }
      sender.settled(bytes);
    };
    this.parts.batcher.add({ push, bytes, settled });
  }

  /** Whether a push is in the database now, by this transaction or by an earlier one. */
  private stored(
    outcome: CommitOutcome | null,
    received: Received & { kind: "accepted" },
    arrival: Arrival,
  ): boolean {
    const { observer } = this.with;
    const { acceptance } = received;
    const { meter, protection, rows } = acceptance;
    if (outcome === null || outcome.verdict === "replay") this.forget(received, arrival);
    if (outcome === null) return false;
    if (outcome.verdict === "replay") {
      observer.pushDone("refused");
      const text = `${meter.meterNumber}: counter ${protection?.counter} was overtaken in the database`;
      this.parts.refusals.add(arrival.peer, "replay", text, meter.id);
      return false;
    }
    observer.pushDone(outcome.verdict);
    if (outcome.verdict === "applied") {
      countRows(rows, observer);
      this.parts.alerts.add(meter, rows);
    }
    return true;
  }

  /** What was moved in memory for a push that did not come to be stored is asked for again from the database. */
  private forget({ acceptance }: Received & { kind: "accepted" }, arrival: Arrival): void {
    const { protection, meter, list } = acceptance;
    if (protection !== null) {
      const { keyId, systemTitle } = protection;
      this.parts.receiver.counters.forget({ keyId, systemTitle, clientSap: arrival.clientSap });
    }
    if (list?.kind === "event") this.parts.receiver.statusWords.forget(meter.id);
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

function countRows(
  rows: readonly { table: { name: string } }[],
  observer: IngestDependencies["observer"],
): void {
  let name = "";
  let count = 0;
  for (const { table } of rows) {
    if (table.name !== name) {
      if (count > 0) observer.rowsStored(name, count);
      name = table.name;
      count = 0;
    }
    count++;
  }
  if (count > 0) observer.rowsStored(name, count);
}

const GENERAL_GLO_CIPHERING = 0xdb;
const GENERAL_DED_CIPHERING = 0xdc;
const GENERAL_CIPHERING = 0xdd;
const SYSTEM_TITLE_OCTETS = 8;

const costOf = ({ apdu }: Arrival) => apdu.length + OVERHEAD_BYTES;

/**
 * Whose order is kept: the system title where the envelope has one, else the address. What comes in clear has no counter that an order
 * matters to, and many meters may share the address: none of them waits for another.
 */
function originatorOf({ apdu, peer }: Arrival): string | null {
  return systemTitleOf(apdu) ?? (isInClear(apdu) ? null : peer);
}

function systemTitleOf(apdu: Buffer): string | null {
  const tag = apdu[0];
  if (tag !== GENERAL_GLO_CIPHERING && tag !== GENERAL_DED_CIPHERING && tag !== GENERAL_CIPHERING)
    return null;
  // In general-ciphering the transaction id stands in front.
  const at = tag === GENERAL_CIPHERING ? 2 + apdu[1]! : 1;
  return apdu[at] === SYSTEM_TITLE_OCTETS ? apdu.toString("hex", at + 1, at + 1 + SYSTEM_TITLE_OCTETS) : null;
}
