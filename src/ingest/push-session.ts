import type { Clock } from "../clock.ts";
import type { Limits } from "../limits.ts";
import type { LineFraming } from "../line-framing.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { ByteConnection } from "../transports/connection.ts";
import { arrivalOf } from "./arrival.ts";
import { StreamDeframer } from "./deframer.ts";
import { IFrames } from "./i-frames.ts";
import { type Followed, InTurn } from "./in-turn.ts";
import type { Intake } from "./intake.ts";
import { KeptChunks } from "./kept-chunks.ts";
import type { LastConnections } from "./last-connections.ts";
import { Lending } from "./lending.ts";
import type { LentLine } from "./lent-line.ts";
import type { IngestObserver } from "./observer.ts";
import { PushSender, type SendersLine } from "./push-sender.ts";
import type { ReceivedApdu } from "./received-apdu.ts";
import { ReceivedBlocks } from "./received-blocks.ts";
import type { Refusals } from "./refusals.ts";
import { Silence } from "./silence.ts";
import type { Holder } from "./unfinished.ts";

/** What all sessions share. */
export interface SessionSurroundings {
  readonly intake: Intake;
  readonly refusals: Refusals;
  readonly observer: IngestObserver;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly now: () => number;
  /** Sessions that do not read for now. */
  readonly paused: Set<PushSession>;
  readonly lastConnections: LastConnections;
  /** Called when a session has let go of octets, so that paused ones may read on. */
  readonly released: () => void;
  /** A session's connection is that of this meter. */
  readonly identified: (meterId: string, session: PushSession) => void;
}

/** Octets that belong to nothing on a wrapper connection: some meters append a few, a header's worth is no accident. */
const STRAY_OCTETS_MAX = 7;
/**
 * What a connection sends while one of its APDUs waits for a look-up is read up to here; a meter's burst is a fraction of it. What is left in
 * the socket when the meter hangs up and calls again would be overtaken by the next connection.
 */
const WAITING_OCTETS_MAX = 16_384;

/**
 * One connection: octets → frames → APDUs, each taken in before the next is looked at, so that a meter's order holds. What goes wrong on
 * it stays on it.
 */
export class PushSession implements Followed, SendersLine, Holder {
  readonly iFrames = new IFrames();
  private readonly connection: ByteConnection;
  private readonly around: SessionSurroundings;
  private readonly deframer: StreamDeframer;
  private readonly blocks: ReceivedBlocks;
  private readonly turn: InTurn;
  private readonly lending: Lending;
  /** Arrived while an APDU waits for a look-up, or is not read on for want of room. */
  private readonly kept = new KeptChunks();
  /** An APDU waits for a look-up. */
  private waiting = false;
  private finishing = false;
  private heldBytes = 0;
  private paused = false;
  private meter: MeterRecord | null = null;
  private readonly silence: Silence;

  constructor(connection: ByteConnection, around: SessionSurroundings, framing: LineFraming) {
    this.connection = connection;
    this.around = around;
    const { limits, clock } = around;
    this.deframer = new StreamDeframer({ framing, limits });
    this.blocks = new ReceivedBlocks(limits);
    this.lending = new Lending(connection, framing, (octets) => this.readPushes(octets));
    this.turn = new InTurn(this, around);
    this.silence = new Silence(clock.monotonic());
  }

  read(chunk: Buffer): void {
    this.silence.lastReadAt = this.around.clock.monotonic();
    this.lending.read(chunk);
  }

  /**
   * Lends the connection to a poll of this client. "busy": not in this moment, for it is lent already, a frame has begun or was not taken in
   * yet, or it isn't known yet what is spoken on it; null: never, for it is closed, or nothing is spoken on it that a meter could be asked in.
   */
  lend(clientSap: number): LentLine | "busy" | null {
    const { framing, holdsOctets } = this.deframer;
    return this.lending.lend(framing, this.kept.isEmpty && !holdsOctets, clientSap);
  }

  /** Takes in whatever was read, however much is on its way: nothing more will come. */
  finish(): void {
    this.lending.end();
    this.finishing = true;
    this.work();
  }

  /** The connection is closed. */
  closed(): void {
    this.finish();
    this.takenIn(() => this.turn.end());
    this.around.paused.delete(this);
  }

  private readPushes(chunk: Buffer): void {
    if (this.waiting) {
      this.kept.add(chunk);
      this.regulate();
    } else if (!this.kept.isEmpty) {
      // Reading was paused before what came earlier was taken: it stays in front.
      this.kept.add(chunk);
      this.work();
    } else {
      this.deframer.push(chunk, this.silence.lastReadAt);
      this.work();
    }
  }

  /**
   * Works off what was read, until an APDU has to wait, nothing whole is left, or, if not `regardless`, too much is on its way to the database.
   */
  private work(regardless = this.finishing): void {
    while (!this.waiting && (regardless || !this.around.intake.isFull())) {
      const next = this.deframer.next(this.around.clock.monotonic());
      if (next.kind === "frame") this.take(next.value);
      else if (next.kind === "discarded") this.discarded(next.count, next.reason, next.text);
      else if (!this.kept.isEmpty) {
        this.kept.tellTakenIn();
        this.deframer.push(this.kept.shift(), this.around.clock.monotonic());
      } else if (!this.finishing || this.deframer.deadline() === null) break;
      // No octet will complete what was begun: a start that was none hides what stands behind it no longer.
      else this.deframer.handleTimeout(Number.POSITIVE_INFINITY);
    }
    this.reply(this.deframer.takeReply());
    this.regulate();
    if (!this.hasKept) this.kept.tellTakenIn();
  }

  private get hasKept(): boolean {
    return this.waiting || !this.kept.isEmpty;
  }

  get isIdentified(): boolean {
    return this.meter !== null;
  }

  get unfinishedBytes(): number {
    // What is not read on, or waits for a look-up, or is on a line that can't be closed, isn't held against it.
    if (this.isBehind || this.connection.closed || this.connection.transport === "serial") return 0;
    return this.deframer.memoryBytes + this.blocks.memoryBytes;
  }

  hangUp(reason: "limit", text: string): void {
    this.refuse(reason, text);
    this.connection.close();
  }

  get isClosed(): boolean {
    return this.connection.closed;
  }

  get isBehind(): boolean {
    return this.paused || this.hasKept;
  }

  takeIn(): void {
    this.work(true);
  }

  takenIn(call: () => void): void {
    if (this.hasKept) this.kept.whenTakenIn(call);
    else call();
  }

  private take(received: ReceivedApdu): void {
    this.around.observer.frameReceived(received.framing);
    this.silence.anyFrame = true;
    const unblocked = this.blocks.take(received, this.around.clock.monotonic());
    if (unblocked.kind === "complete") this.takeApdu(unblocked.value);
    else if (unblocked.kind === "discarded") this.refuse(unblocked.reason, unblocked.text);
  }

  private takeApdu(received: ReceivedApdu): void {
    this.waiting = true;
    let working = true;
    const done = () => {
      this.waiting = false;
      // After a wait: go on with what arrived meanwhile, all of it, before anybody else's turn comes.
      if (!working) this.work(true);
    };
    const arrival = arrivalOf(received, {
      peer: this.connection.remoteAddress,
      receivedAtMs: this.around.now(),
      lastMeter: this.meter,
    });
    const inTurn = (begin: () => void) => this.turn.afterPredecessor(arrival.apdu, begin);
    const { clock, limits } = this.around;
    const sender = new PushSender(received, this, { clock, durableMs: limits.durableMs });
    this.around.intake.take(arrival, sender, done, inTurn);
    working = false;
  }

  accepted(meter: MeterRecord, bytes: number): void {
    this.meter = meter;
    this.around.identified(meter.id, this);
    this.heldBytes += bytes;
  }

  acknowledge(octets: Buffer): void {
    this.reply(octets);
    this.around.observer.acknowledged();
  }

  settled(bytes: number): void {
    this.heldBytes -= bytes;
    this.around.released();
  }

  private discarded(count: number, reason: "malformed" | "limit", text: string): void {
    this.around.observer.discarded(count);
    this.refuse(reason, `${count} octets discarded: ${text}`);
    // Behind a broken wrapper header nothing says where the next PDU begins.
    const { framing } = this.deframer;
    const lost = framing !== "hdlc" && framing !== "mbus" && count > STRAY_OCTETS_MAX;
    if (lost && this.silence.anyFrame && this.connection.transport === "tcp") this.connection.close();
  }

  private refuse(reason: "malformed" | "limit", text: string): void {
    this.around.refusals.add(this.connection.remoteAddress, reason, text, this.meter?.id ?? null);
  }

  reply(octets: Buffer | null): void {
    if (octets !== null && !this.connection.closed) this.connection.write(octets);
  }

  /** Reads no more than can be held, and reads on when it is held no longer. */
  regulate(): void {
    const { limits, intake } = this.around;
    const heldUp = this.waiting && this.kept.octets > WAITING_OCTETS_MAX;
    const full =
      !this.turn.isHurried &&
      (heldUp || this.heldBytes > limits.undurableConnectionBytesMax || intake.isFull());
    if (full === this.paused || this.connection.closed) return;
    this.paused = full;
    if (full) {
      this.around.paused.add(this);
      this.connection.pause();
    } else {
      this.around.paused.delete(this);
      this.silence.listen(this.around.clock.monotonic());
      this.connection.resume();
      this.work();
    }
  }

  /** Gives up frames that never end, and the connection where nothing comes. To be called every second or so. */
  checkTime(): void {
    this.regulate();
    const at = this.around.clock.monotonic();
    const { limits } = this.around;
    const outcome = this.blocks.handleTimeout(at);
    if (outcome.kind === "discarded") this.refuse(outcome.reason, outcome.text);
    const deadline = this.deframer.deadline();
    if (!this.waiting && deadline !== null && at >= deadline) {
      this.deframer.handleTimeout(at);
      this.work();
    }
    if (this.paused || this.connection.transport === "serial") return;
    if (!this.silence.isTooLong(at, this.meter !== null, limits)) return;
    if (this.silence.anyFrame) this.connection.close();
    else this.hangUp("limit", "no whole frame within limits.first_frame_ms");
  }
}
