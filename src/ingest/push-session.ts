import type { Clock } from "../clock.ts";
import type { Limits } from "../limits.ts";
import type { LineFraming } from "../line-framing.ts";
import type { MeterRecord } from "../storage/meter-record.ts";
import type { ByteConnection } from "../transports/connection.ts";
import { type AcknowledgedBy, acknowledgements, notYet } from "./acknowledge.ts";
import type { Arrival } from "./arrival.ts";
import { systemTitleOf } from "./arrival-order.ts";
import { StreamDeframer } from "./deframer.ts";
import { gatewayName } from "./gateway-header.ts";
import type { Intake, Sender } from "./intake.ts";
import type { LastConnections, Predecessor } from "./last-connections.ts";
import { framedPush, LentFrames } from "./lent-frames.ts";
import type { LentLine } from "./lent-line.ts";
import type { IngestObserver } from "./observer.ts";
import type { ReceivedApdu } from "./received-apdu.ts";
import { ReceivedBlocks } from "./received-blocks.ts";
import type { Refusals } from "./refusals.ts";

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
export class PushSession implements Predecessor {
  /** What it has to say comes behind what the meter has said on this connection. */
  follows: Predecessor | null = null;
  private readonly connection: ByteConnection;
  private readonly around: SessionSurroundings;
  private readonly deframer: StreamDeframer;
  private readonly blocks: ReceivedBlocks;
  /** Arrived while an APDU waits for a look-up. */
  private readonly chunks: Buffer[] = [];
  private chunkOctets = 0;
  private waiting = false;
  private finishing = false;
  private heldBytes = 0;
  private paused = false;
  /** How many wait for what stands in its socket: it is read although there is no room. */
  private hurried = 0;
  /** How many chunks the deframer has had. */
  private chunksPushed = 0;
  /** Called once the deframer has had this many chunks, and what they brought is taken in. */
  private readonly whenTakenIn: { readonly chunks: number; readonly call: () => void }[] = [];
  private meter: MeterRecord | null = null;
  private lastReadAt: number;
  private receivedAny = false;
  /** Since when its silence is its own: it was accepted, or is read again after a pause. */
  private listeningSince: number;
  /** A poll has the connection. */
  private lent: LentFrames | null = null;
  /** Through a bridge that changes octets no poll finds its frames. */
  private readonly canBeLent: boolean;

  constructor(connection: ByteConnection, around: SessionSurroundings, framing: LineFraming) {
    this.connection = connection;
    this.around = around;
    const { limits, clock } = around;
    this.deframer = new StreamDeframer({ framing, limits });
    this.blocks = new ReceivedBlocks(limits);
    this.canBeLent = framing === "auto" || framing === "hdlc" || framing === "wrapper";
    this.listeningSince = clock.monotonic();
    this.lastReadAt = this.listeningSince;
  }

  read(chunk: Buffer): void {
    this.lastReadAt = this.around.clock.monotonic();
    if (this.lent === null) this.readPushes(chunk);
    else this.lent.read(chunk);
  }

  private readPushes(chunk: Buffer): void {
    if (this.waiting) {
      this.keep(chunk);
      this.regulate();
    } else if (this.chunks.length > 0) {
      // Reading was paused before what came earlier was taken: it stays in front.
      this.keep(chunk);
      this.work();
    } else {
      this.deframer.push(chunk, this.lastReadAt);
      this.work();
    }
  }

  /**
   * Lends the connection to a poll of this client. "busy": not in this moment, for it is lent already, a frame has begun or was not taken in
   * yet, or it isn't known yet what is spoken on it; null: never, for it is closed, or nothing is spoken on it that a meter could be asked in.
   */
  lend(clientSap: number): LentLine | "busy" | null {
    const { connection, deframer } = this;
    const { framing } = deframer;
    if (connection.closed || !this.canBeLent) return null;
    const kept = this.chunks.length > 0 || deframer.holdsOctets;
    if (this.lent !== null || kept || framing === "undecided") return "busy";
    if (framing !== "hdlc" && framing !== "wrapper") return null;
    let toPoll: (octets: Buffer) => void = () => {};
    const toPushes = (octets: Buffer) => this.readPushes(octets);
    const frames = new LentFrames({ framing, clientSap, toPoll: (octets) => toPoll(octets), toPushes });
    this.lent = frames;
    return {
      framing,
      peer: connection.remoteAddress,
      write: (octets) => {
        if (this.lent === frames) this.reply(octets);
      },
      onData: (listener) => {
        toPoll = listener;
      },
      onClose: (listener) => connection.onClose(listener),
      deliver: (apdu, source, destination) => toPushes(framedPush(framing, apdu, source, destination)),
      close: () => {
        if (this.lent === frames) this.endLoan();
      },
    };
  }

  private endLoan(): void {
    const { lent } = this;
    this.lent = null;
    lent?.end();
  }

  /** Takes in whatever was read, however much is on its way: nothing more will come. */
  finish(): void {
    this.endLoan();
    this.finishing = true;
    this.work();
  }

  /**
   * Works off what was read, until an APDU has to wait, nothing whole is left, or, if not `regardless`, too much is on its way to the database.
   */
  private work(regardless = this.finishing): void {
    while (!this.waiting && (regardless || !this.around.intake.isFull())) {
      const next = this.deframer.next(this.around.clock.monotonic());
      if (next.kind === "frame") this.take(next.value);
      else if (next.kind === "discarded") this.discarded(next.count, next.reason, next.text);
      else if (this.chunks.length > 0) {
        this.tellTakenIn();
        this.pushKept();
      } else if (!this.finishing || this.deframer.deadline() === null) break;
      // No octet will complete what was begun: a start that was none hides what stands behind it no longer.
      else this.deframer.handleTimeout(Number.POSITIVE_INFINITY);
    }
    this.reply(this.deframer.takeReply());
    this.regulate();
    if (!this.hasKept()) this.tellTakenIn();
  }

  /** Calls when nothing is left of what has been read until now, whatever comes behind it. */
  takenIn(call: () => void): void {
    if (this.hasKept()) this.whenTakenIn.push({ chunks: this.chunksPushed + this.chunks.length, call });
    else call();
  }

  private tellTakenIn(): void {
    while (this.whenTakenIn.length > 0 && this.whenTakenIn[0]!.chunks <= this.chunksPushed) {
      this.whenTakenIn.shift()!.call();
    }
  }

  private hasKept(): boolean {
    return this.waiting || this.chunks.length > 0;
  }

  isBehind(): boolean {
    return this.paused || this.hasKept();
  }

  catchUp(done: () => void): void {
    const takeIn = () => {
      this.work(true);
      this.takenIn(done);
    };
    if (this.connection.closed) {
      takeIn();
      return;
    }
    this.hurried++;
    this.regulate();
    // Between the first and the second lies a look at all sockets: what stands in its own is read then.
    const { clock } = this.around;
    clock.soon(() =>
      clock.soon(() => {
        this.hurried--;
        takeIn();
      }),
    );
  }

  private take(received: ReceivedApdu): void {
    this.around.observer.frameReceived(received.framing);
    this.receivedAny = true;
    const unblocked = this.blocks.take(received, this.around.clock.monotonic());
    if (unblocked.kind === "complete") this.takeApdu(unblocked.value);
    else if (unblocked.kind === "discarded") this.refuse(unblocked.reason, unblocked.text);
  }

  private takeApdu(received: ReceivedApdu): void {
    this.waiting = true;
    let working = true;
    const arrival = this.arrival(received);
    const done = () => {
      this.waiting = false;
      // After a wait: go on with what arrived meanwhile, all of it, before anybody else's turn comes.
      if (!working) this.work(true);
    };
    const inTurn = (begin: () => void) => this.afterPredecessor(arrival, begin);
    this.around.intake.take(arrival, this.sender(received), done, inTurn);
    working = false;
  }

  /** Calls at once, or when the connection on which the originator was heard before has been taken in. */
  private afterPredecessor({ apdu }: Arrival, begin: () => void): void {
    const systemTitle = systemTitleOf(apdu);
    this.follows = systemTitle === null ? null : this.around.lastConnections.heard(systemTitle, this);
    if (this.follows === null) {
      begin();
      return;
    }
    this.follows.catchUp(() => {
      this.follows = null;
      begin();
    });
  }

  private keep(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.chunkOctets += chunk.length;
  }

  private pushKept(): void {
    const chunk = this.chunks.shift()!;
    this.chunkOctets -= chunk.length;
    this.chunksPushed++;
    this.deframer.push(chunk, this.around.clock.monotonic());
  }

  private arrival(received: ReceivedApdu): Arrival {
    return {
      framing: received.framing,
      apdu: received.apdu,
      clientSap: received.destinationAddress,
      serverSap: received.sourceAddress,
      peer: this.connection.remoteAddress,
      receivedAtMs: this.around.now(),
      lastMeter: this.meter,
      counterRule: "live",
      ...(received.gateway === undefined ? {} : { behindGateway: gatewayName(received.gateway) }),
    };
  }

  private sender({ framing, sourceAddress, destinationAddress, hdlc, gateway }: ReceivedApdu): Sender {
    const by: AcknowledgedBy = {
      framing,
      sourceAddress,
      destinationAddress,
      ...(hdlc === undefined ? {} : { hdlc }),
      ...(gateway === undefined ? {} : { gateway }),
    };
    let cancelNotYet = () => {};
    return {
      accepted: (meter, bytes) => {
        this.meter = meter;
        this.around.identified(meter.id, this);
        this.heldBytes += bytes;
        cancelNotYet = this.sayWhenLate(by);
      },
      durable: (confirm, inTime) => {
        cancelNotYet();
        for (const answer of acknowledgements(by, confirm, inTime)) {
          this.reply(answer);
          this.around.observer.acknowledged();
        }
      },
      settled: (bytes) => {
        cancelNotYet();
        this.heldBytes -= bytes;
        this.around.released();
      },
    };
  }

  /** RNR, where the line knows it, for a push that isn't durable in time. What it gives back is called when it is. */
  private sayWhenLate(by: AcknowledgedBy): () => void {
    const answer = notYet(by);
    if (answer === null) return () => undefined;
    return this.around.clock.after(this.around.limits.durableMs, () => this.reply(answer));
  }

  private discarded(count: number, reason: "malformed" | "limit", text: string): void {
    this.around.observer.discarded(count);
    this.refuse(reason, `${count} octets discarded: ${text}`);
    // Behind a broken wrapper header nothing says where the next PDU begins.
    const { framing } = this.deframer;
    const lost = framing !== "hdlc" && framing !== "mbus" && count > STRAY_OCTETS_MAX;
    if (lost && this.receivedAny && this.connection.transport === "tcp") this.connection.close();
  }

  private refuse(reason: "malformed" | "limit", text: string): void {
    this.around.refusals.add(this.connection.remoteAddress, reason, text, this.meter?.id ?? null);
  }

  private reply(octets: Buffer | null): void {
    if (octets !== null && !this.connection.closed) this.connection.write(octets);
  }

  /** Reads no more than can be held, and reads on when it is held no longer. */
  regulate(): void {
    const { limits, intake } = this.around;
    const heldUp = this.waiting && this.chunkOctets > WAITING_OCTETS_MAX;
    const full =
      this.hurried === 0 &&
      (heldUp || this.heldBytes > limits.undurableConnectionBytesMax || intake.isFull());
    if (full === this.paused || this.connection.closed) return;
    this.paused = full;
    if (full) {
      this.around.paused.add(this);
      this.connection.pause();
    } else {
      this.around.paused.delete(this);
      this.listeningSince = this.around.clock.monotonic();
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
    const idleMs = this.meter === null ? limits.idleUnidentifiedMs : limits.idleIdentifiedMs;
    const silent = !this.receivedAny && at - this.listeningSince > limits.firstFrameMs;
    if (silent || at - Math.max(this.lastReadAt, this.listeningSince) > idleMs) this.connection.close();
  }
}
