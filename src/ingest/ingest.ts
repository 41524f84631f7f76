import type { Occurrence } from "../alerts/evaluate.ts";
import type { Clock } from "../clock.ts";
import type { DurableLog } from "../durable-log/durable-log.ts";
import type { LineFraming } from "../line-framing.ts";
import type { Row } from "../mapping/rows.ts";
import type { RefusalReason } from "../refusal.ts";
import { stopController } from "../stop.ts";
import type { CommitOutcome } from "../storage/accepted-push.ts";
import type { ByteConnection } from "../transports/connection.ts";
import { AlertFeed, type MeterName } from "./alert-feed.ts";
import { noteApplied } from "./applied.ts";
import type { Arrival } from "./arrival.ts";
import { Batcher } from "./batcher.ts";
import { Counters } from "./counters.ts";
import { type ReceivedDatagram, takeDatagram } from "./datagram.ts";
import type { IngestDependencies } from "./dependencies.ts";
import { Drain } from "./drain.ts";
import { StatusWords } from "./events.ts";
import { MeterFinder } from "./identify-meter.ts";
import { Intake } from "./intake.ts";
import { LastConnections } from "./last-connections.ts";
import type { LentLine } from "./lent-line.ts";
import { PushSession, type SessionSurroundings } from "./push-session.ts";
import { type MappedPush, PushReceiver } from "./receive-push.ts";
import { Refusals } from "./refusals.ts";
import { refusalOf } from "./refused-error.ts";
import type { Reread, StoredFrame } from "./replay.ts";
import { boundUnfinished } from "./unfinished.ts";
import { UnknownFrames } from "./unknown-frames.ts";

/** How often timeouts are looked at, and sums and kept frames are written. */
const TICK_MS = 1_000;

/** How long the end waits for a database that is away. */
const DRAIN_MS = 10_000;
/** How long it waits for the database to take what is in the durable log. */
const HAND_OVER_MS = 3_000;

/** Everything between the transports and the storage. */
export interface Ingest {
  /** Takes in what a connection sends, for as long as it is open. `framing`: "auto" where nothing else is said. */
  attach(connection: ByteConnection, framing?: LineFraming): void;
  /** Begins to store what is in the durable log. Pushes are accepted into it, and acknowledged, before that too. */
  beginDraining(): void;
  datagram(datagram: ReceivedDatagram): void;
  /** Notes what was refused elsewhere, by a listener or in an association of ours: metric, log, security event. */
  refuse(remoteAddress: string, reason: RefusalReason, text: string, meterId?: string | null): void;
  /** An event of the head-end itself, for the alert rules over `event_logs`. */
  observe(occurrence: Occurrence): void;
  /** Rows that were read from a meter, and that nobody has stored before: their events go through the alert rules over `meter_events`. */
  observeRows(meter: MeterName, rows: readonly Row[]): void;
  /** The connection that a meter has opened, for a poll by this client; "busy": not in this moment; null: it has none that can be lent. */
  lend(meterId: string, clientSap: number): LentLine | "busy" | null;
  /** A name for the connection of a meter, which meters behind one concentrator share; null: it has none. */
  connectionOf(meterId: string): string | null;
  /** Meters that have a connection open here, and when they were first heard on it, in milliseconds since 1970 UTC. */
  connectedMeters(): ReadonlyMap<string, number>;
  /** Calls `listener` when a meter is first heard on a connection. */
  onConnected(listener: (meterId: string) => void): void;
  /** Takes in an APDU that was kept; resolves to whether it is stored now. */
  adopt(arrival: Arrival): Promise<boolean>;
  /** Decodes an APDU that was accepted once under the present configuration; nothing is stored. */
  reread(frame: StoredFrame): Promise<Reread>;
  /** Resolves when everything that was read is durable, and counts, kept frames and alerts are written. */
  settled(): Promise<void>;
  /**
   * The same, and the end: connections are to be closed before. What the database has not taken after `limitMs` is given up: it was not acknowledged.
   */
  drain(limitMs?: number): Promise<void>;
  /** Gives up what waits for a database that is away, so that `drain` ends. Nothing of it was acknowledged. */
  abandon(): void;
}

export function createIngest(dependencies: IngestDependencies): Ingest {
  return new RunningIngest(dependencies);
}

class RunningIngest implements Ingest {
  private readonly stop = stopController();
  private readonly batcher: Batcher;
  private readonly refusals: Refusals;
  private readonly unknown: UnknownFrames;
  private readonly alerts: AlertFeed;
  private readonly intake: Intake;
  private readonly around: SessionSurroundings;
  private readonly sessions = new Set<PushSession>();
  private readonly clock: Clock;
  private readonly durableLog: DurableLog | null;
  private readonly drainer: Drain | null;
  private cancelTick: () => void = () => undefined;
  /** By meter, the connection on which it was last heard, and when first. */
  private readonly sessionOf = new Map<string, { readonly session: PushSession; readonly sinceMs: number }>();
  private readonly names = new WeakMap<PushSession, string>();
  private connections = 0;
  private tellConnected: (meterId: string) => void = () => undefined;
  /** Of each connection, the meters that were heard on it; a concentrator passes on those of many. */
  private readonly metersOf = new Map<PushSession, Set<string>>();
  private writing: Promise<unknown> = Promise.resolve();
  private releasing = false;

  constructor(dependencies: IngestDependencies) {
    const { store, observer, log, limits, now, securityEvents, quarantine, alerting } = dependencies;
    const { clock, durableLog, logged } = dependencies;
    this.clock = clock;
    const patience = { stop: this.stop.signal, clock };
    this.batcher = new Batcher(store, observer, log, patience);
    this.refusals = new Refusals({
      securityEvents,
      observer,
      log,
      now,
      logLinesPerMinute: limits.logLinesPerMinute,
    });
    this.unknown = new UnknownFrames(quarantine, limits.quarantineFramesPerSource, log);
    this.alerts = new AlertFeed(alerting, log);
    const receiver = new PushReceiver(dependencies, {
      finder: new MeterFinder(dependencies, patience),
      counters: new Counters(dependencies.counters, logged, patience),
      statusWords: new StatusWords(dependencies.statusWords),
      patience,
    });
    const { batcher, refusals, unknown, alerts } = this;
    const released = () => this.released();
    const applied = (outcome: CommitOutcome, mapped: MappedPush) =>
      noteApplied(outcome, mapped, { observer, alerts });
    this.durableLog = durableLog;
    this.drainer =
      durableLog === null
        ? null
        : new Drain(
            { ...{ durableLog, receiver, batcher, logged, patience, log }, applied, released },
            dependencies.drainLimits,
          );
    this.intake = new Intake(dependencies, {
      receiver,
      batcher,
      refusals,
      unknown,
      alerts,
      drain: this.drainer,
    });
    this.around = {
      intake: this.intake,
      refusals,
      observer,
      limits,
      now,
      clock,
      paused: new Set(),
      lastConnections: new LastConnections(),
      released,
      identified: (meterId, session) => this.identified(meterId, session),
    };
    this.tickLater();
  }

  attach(connection: ByteConnection, framing: LineFraming = "auto"): void {
    const session = new PushSession(connection, this.around, framing);
    this.sessions.add(session);
    this.names.set(session, `connection ${++this.connections}`);
    this.around.observer.connectionOpened();
    connection.onClose(() => {
      session.closed();
      this.sessions.delete(session);
      for (const meterId of this.metersOf.get(session) ?? []) {
        if (this.sessionOf.get(meterId)?.session === session) this.sessionOf.delete(meterId);
      }
      this.metersOf.delete(session);
      this.around.observer.connectionClosed();
    });
    connection.onData((chunk) => session.read(chunk));
  }

  beginDraining(): void {
    this.drainer?.begin();
  }

  datagram(datagram: ReceivedDatagram): void {
    takeDatagram(datagram, this.around);
  }

  refuse(remoteAddress: string, reason: RefusalReason, text: string, meterId: string | null = null): void {
    this.refusals.add(remoteAddress, reason, text, meterId);
  }

  lend(meterId: string, clientSap: number): LentLine | "busy" | null {
    return this.sessionOf.get(meterId)?.session.lend(clientSap) ?? null;
  }

  connectionOf(meterId: string): string | null {
    const heard = this.sessionOf.get(meterId);
    return heard === undefined ? null : this.names.get(heard.session)!;
  }

  connectedMeters(): ReadonlyMap<string, number> {
    return new Map([...this.sessionOf].map(([meterId, { sinceMs }]) => [meterId, sinceMs]));
  }

  onConnected(listener: (meterId: string) => void): void {
    this.tellConnected = listener;
  }

  private identified(meterId: string, session: PushSession): void {
    if (this.sessionOf.get(meterId)?.session === session) return;
    // It hung up before its push was taken in: nobody can be asked on that connection, and nothing would forget it again.
    if (!this.sessions.has(session)) return;
    this.sessionOf.set(meterId, { session, sinceMs: this.around.now() });
    this.tellConnected(meterId);
    const meters = this.metersOf.get(session);
    if (meters === undefined) this.metersOf.set(session, new Set([meterId]));
    else meters.add(meterId);
  }

  observe(occurrence: Occurrence): void {
    this.alerts.addOccurrence(occurrence);
  }

  observeRows(meter: MeterName, rows: readonly Row[]): void {
    this.alerts.add(meter, rows);
  }

  adopt(arrival: Arrival): Promise<boolean> {
    return new Promise((resolve) => {
      let pending = false;
      let stored = false;
      const sender = {
        accepted: () => {
          pending = true;
        },
        durable: () => {
          stored = true;
          if (!pending) resolve(true);
        },
        settled: () => resolve(stored),
      };
      this.intake.take(arrival, sender, () => {
        if (!pending) resolve(stored);
      });
    });
  }

  async reread(frame: StoredFrame): Promise<Reread> {
    const { meterId, apdu, framing, peer, receivedAtMs, clientSap } = frame;
    const how = { serverSap: 0, lastMeter: null, counterRule: "kept" as const };
    try {
      const arrival = { apdu, framing, peer, receivedAtMs, clientSap, ...how };
      const mapped = await this.intake.reread(arrival, meterId);
      const { rows, valueCount, quarantine } = mapped;
      return quarantine === null
        ? { kind: "rows", frame, rows, valueCount }
        : { kind: "left", frame, reason: quarantine };
    } catch (error) {
      const refused = refusalOf(error);
      if (refused === null) throw error;
      return { kind: "left", frame, reason: { reason: refused.reason, text: refused.message } };
    }
  }

  async drain(limitMs = DRAIN_MS): Promise<void> {
    const cancel = this.clock.after(limitMs, () => this.abandon());
    for (const session of this.sessions) session.finish();
    await this.settled();
    if (this.drainer !== null) await this.handOver(this.drainer);
    cancel();
    this.cancelTick();
  }

  /** Gives the database a moment for what is in the log; what it has not taken then is drained after the next start. */
  private async handOver(drainer: Drain): Promise<void> {
    await Promise.race([
      drainer.applied(),
      new Promise<void>((resolve) => this.clock.after(HAND_OVER_MS, resolve)),
    ]);
    this.stop.abort();
    await this.durableLog?.close();
    await drainer.ended();
    await this.batcher.drained();
  }

  async settled(): Promise<void> {
    await this.intake.idle();
    await this.drainer?.safe();
    if (this.drainer === null) await this.batcher.drained();
    await this.writing;
    await this.write();
  }

  abandon(): void {
    this.stop.abort();
  }

  private tickLater(): void {
    this.cancelTick = this.clock.after(TICK_MS, () => {
      this.tickLater();
      this.tick();
    });
  }

  private tick(): void {
    // Behind the next reads: after a stall of this process what has arrived meanwhile comes first, and nobody is taken for silent.
    setImmediate(() => {
      for (const session of this.sessions) session.checkTime();
      boundUnfinished(this.sessions, this.around.limits.undurableTotalBytesMax);
    });
    this.writing = this.writing.then(() => this.write());
  }

  private async write(): Promise<void> {
    await Promise.all([this.refusals.flush(), this.unknown.flush(), this.alerts.flush()]);
  }

  /** Lets paused sessions read on, once for all pushes of a batch. */
  private released(): void {
    if (this.releasing) return;
    this.releasing = true;
    this.clock.soon(() => {
      this.releasing = false;
      // Only as many as there is room for: those that go on come last the next time.
      for (const session of [...this.around.paused]) {
        if (this.intake.isFull()) break;
        session.regulate();
      }
    });
  }
}
