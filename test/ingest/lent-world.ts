import { frame } from "../../simulator/framing.ts";
import type { Habits } from "../../simulator/habits.ts";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import { ServerSession } from "../../src/dlms/association/server-session.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { frameType } from "../../src/dlms/hdlc/control.ts";
import { readHdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { LLC_RESPONSE, writeApdu } from "../../src/dlms/hdlc/outgoing.ts";
import type { Arrival } from "../../src/ingest/arrival.ts";
import type { Intake } from "../../src/ingest/intake.ts";
import { LastConnections } from "../../src/ingest/last-connections.ts";
import { PushSession, type SessionSurroundings } from "../../src/ingest/push-session.ts";
import type { Sender } from "../../src/ingest/underway.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { Dialler } from "../../src/polling/dialler.ts";
import { PollError } from "../../src/polling/meter-association.ts";
import { Roads } from "../../src/polling/roads.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import type { ByteConnection } from "../../src/transports/connection.ts";
import { randomOf } from "../simulation/simulate.ts";
import { LIMITS, SERVER_TITLE } from "../support/associations.ts";
import { ACCESS, Counters, paper, policies, SETTINGS } from "../support/road-ends.ts";

/*
 * A meter that has opened a connection, pushes over it whenever it likes, and answers polls over it; the session that takes the pushes,
 * and the roads that polls go. All chance comes from a seed, time stands until it is moved, and octets arrive in whatever pieces.
 */

/** How a meter frames what it pushes. */
export interface PushManner {
  readonly name: string;
  readonly framing: "hdlc" | "wrapper";
  readonly habits: Habits;
  /** Segments in I frames, numbered. */
  readonly numbered?: true;
  /** What a concentrator puts in front. */
  readonly gateway?: Buffer;
}

const PUSH_CLIENT = 64;
const POLL_CLIENT = 48;
const BLOB = { classId: 1, instanceId: parseObis("0.0.96.1.0.255"), attributeId: 2 };
const NAME = { classId: 1, instanceId: parseObis("0.0.42.0.0.255"), attributeId: 2 };
/** Long enough that nothing is given up for its age: what a slow line costs is another matter. */
const PATIENT = { ...DEFAULT_LIMITS, frameMs: 3_600_000, apduMs: 3_600_000, firstFrameMs: 3_600_000 };
const SEGMENT_OCTETS = 64;
const WRAPPER_OCTETS = 8;

interface Push {
  readonly apdu: string;
  /** Place in the meter's stream behind its last octet. */
  readonly end: number;
}

export class LentWorld {
  readonly random: () => number;
  /** APDUs of pushes as they came to the intake. */
  readonly taken: string[] = [];
  readonly violations: string[] = [];
  /** Polls that were made to their end, and that came to nothing. */
  readonly polls = { done: 0, failed: 0, busy: 0 };
  private readonly manner: PushManner;
  private readonly pushes: Push[] = [];
  private readonly session: PushSession;
  private readonly server: ServerSession;
  private readonly roads: Roads;
  /** What the meter has written and the daemon has not read. */
  private stream = Buffer.alloc(0);
  private read = 0;
  private written = 0;
  private sendSequence = 0;
  private isFull = false;
  private isPaused = false;
  private isClosed = false;
  private readonly lookUps: (() => void)[] = [];
  private readonly unsafe: (() => void)[] = [];
  private durable = 0;
  private acknowledged = 0;
  private abort: AbortController | null = null;
  private readonly closing: ((error: null) => void)[] = [];

  constructor(seed: number, manner: PushManner) {
    this.random = randomOf(seed);
    this.manner = manner;
    const connection = this.connection();
    this.session = new PushSession(connection, this.around(), "auto");
    connection.onClose(() => this.session.closed());
    this.server = this.meter();
    this.roads = new Roads({
      load: () => Promise.resolve({ ...ACCESS, mode: "listen", framing: manner.framing }),
      learn: () => Promise.resolve(),
      counters: new Counters(),
      dialler: new Dialler(
        { lend: (_, clientSap) => this.lend(clientSap), connectionOf: () => "connection 1" },
        [],
        5_000,
      ),
      settings: { ...SETTINGS, responseMs: 1_000, retries: 1 },
    });
  }

  /** The meter pushes: all octets of it, one behind the other. */
  push(octets: number): void {
    const content = Buffer.from(Array.from({ length: octets }, () => this.random() * 256));
    const number = Buffer.alloc(4);
    number.writeUInt32BE(this.pushes.length + 1);
    const apdu = Buffer.concat([Buffer.from([0x0f]), number, content]);
    this.write(this.framed(apdu));
    this.pushes.push({ apdu: apdu.toString("hex"), end: this.written });
  }

  /** So many octets come to the daemon, in one piece. */
  arrive(count: number): void {
    if (this.isPaused || this.isClosed || count === 0) return;
    const chunk = Buffer.from(this.stream.subarray(0, count));
    this.stream = this.stream.subarray(chunk.length);
    this.read += chunk.length;
    this.session.read(chunk);
  }

  get waiting(): number {
    return this.stream.length;
  }

  /** Begins a poll, or whatever else is asked, where none is under way. */
  poll(): void {
    if (this.abort !== null || this.isClosed) return;
    this.abort = new AbortController();
    void this.polled(this.abort.signal).then(
      () => this.ended("done"),
      (error) => this.ended(error instanceof PollError ? "failed" : String(error)),
    );
  }

  /** Breaks the poll off. */
  giveUp(): void {
    this.abort?.abort();
  }

  setFull(isFull: boolean): void {
    this.isFull = isFull;
    if (!isFull) this.session.regulate();
  }

  /** One look-up is answered, one push becomes safe. */
  answer(): void {
    this.lookUps.shift()?.();
    this.unsafe.shift()?.();
  }

  /** The meter's and the session's clocks have moved. */
  tick(): void {
    this.server.handleTimeout(performance.now());
    this.flush();
    this.session.checkTime();
  }

  /** The connection ends. What has not arrived never will. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const listener of this.closing.splice(0)) listener(null);
  }

  /** Everything that can happen still does; then what came is compared with what was sent. */
  finish(): void {
    this.setFull(false);
    while (this.lookUps.length + this.unsafe.length > 0) this.answer();
    const arrived = this.pushes.filter(({ end }) => end <= this.read).map(({ apdu }) => apdu);
    const name = (apdu: string | undefined) => {
      const at = this.pushes.findIndex((push) => push.apdu === apdu);
      return `push ${at + 1} of ${(apdu?.length ?? 0) / 2} octets`;
    };
    for (const apdu of arrived) if (!this.taken.includes(apdu)) this.violations.push(`lost: ${name(apdu)}`);
    if (new Set(this.taken).size < this.taken.length) this.violations.push("taken twice");
    // What stands behind a frame may have been cut off: then the push has come all the same.
    const order = this.pushes.map(({ apdu }) => apdu).filter((apdu) => this.taken.includes(apdu));
    if (order.join() !== this.taken.join()) this.violations.push(`out of order: ${this.taken.map(name)}`);
    if (this.acknowledged > this.durable) this.violations.push("acknowledged and not durable");
    const asks = this.manner.habits.control === 0x10 || this.isConfirmed;
    if (asks && !this.isClosed && this.acknowledged < this.durable)
      this.violations.push(`${this.durable} durable, ${this.acknowledged} acknowledged`);
  }

  private get isConfirmed(): boolean {
    return this.manner.framing === "wrapper";
  }

  private ended(how: string): void {
    this.abort = null;
    if (how === "done" || how === "failed") this.polls[how]++;
    else this.violations.push(how);
  }

  private async polled(signal: AbortSignal): Promise<void> {
    const association = await this.roads.open(ACCESS.id, {
      clientSap: POLL_CLIENT,
      purpose: "gap",
      signal,
    });
    try {
      await association.read([{ attribute: NAME }]);
      await association.read([{ attribute: BLOB }, { attribute: NAME }]);
    } finally {
      await association.release();
    }
  }

  private lend(clientSap: number) {
    const line = this.session.lend(clientSap);
    if (line !== "busy") return line;
    // The dialler would look again after a while of the real clock.
    this.polls.busy++;
    return null;
  }

  private framed(apdu: Buffer): Buffer {
    const { framing, habits, numbered, gateway } = this.manner;
    const whole = gateway === undefined ? apdu : Buffer.concat([gateway, apdu]);
    if (numbered === undefined) return frame(whole, framing, habits);
    const ends = { destination: hdlcAddress(PUSH_CLIENT), source: hdlcAddress(1) };
    const frames = writeApdu(ends, LLC_RESPONSE, whole, SEGMENT_OCTETS, this.sendSequence);
    this.sendSequence += frames.length;
    return Buffer.concat(frames);
  }

  private write(octets: Buffer): void {
    this.stream = Buffer.concat([this.stream, octets]);
    this.written += octets.length;
  }

  private flush(): void {
    for (let out = this.server.takeOutput(); out !== null; out = this.server.takeOutput()) this.write(out);
  }

  /** What the daemon writes: acknowledgements of pushes, and what is for the meter's server. */
  private heard(octets: Buffer): void {
    if (this.isClosed) return;
    if (this.isAcknowledgement(octets)) {
      this.acknowledged++;
      if (this.acknowledged > this.durable) this.violations.push("acknowledged before it was durable");
      return;
    }
    this.server.receive(octets, performance.now());
    this.flush();
  }

  private isAcknowledgement(octets: Buffer): boolean {
    const { framing, gateway } = this.manner;
    if (framing === "wrapper") return octets[WRAPPER_OCTETS + (gateway?.length ?? 0)] === 0x10;
    const { source, control } = readHdlcFrame(octets.subarray(1, 1 + (((octets[1]! & 7) << 8) | octets[2]!)));
    return source.upper === PUSH_CLIENT && frameType(control) === "RR" && this.manner.numbered === undefined;
  }

  private connection(): ByteConnection {
    const world = this;
    return {
      transport: "tcp",
      remoteAddress: "192.0.2.7",
      remotePort: 40_000,
      get closed() {
        return world.isClosed;
      },
      onData: () => {},
      onClose: (listener) => this.closing.push(listener),
      write: (octets) => {
        this.heard(octets);
        return true;
      },
      pause: () => {
        this.isPaused = true;
      },
      resume: () => {
        this.isPaused = false;
      },
      close: () => this.close(),
      destroy: () => this.close(),
    };
  }

  private around(): SessionSurroundings {
    const intake = {
      isFull: () => this.isFull,
      take: (arrival: Arrival, sender: Sender, done: () => void) => this.take(arrival, sender, done),
    };
    const nothing = () => {};
    return {
      intake: intake as unknown as Intake,
      limits: PATIENT,
      clock: { monotonic: () => performance.now(), after: () => nothing },
      now: () => 0,
      paused: new Set(),
      lastConnections: new LastConnections(),
      released: nothing,
      identified: nothing,
      observer: { frameReceived: nothing, discarded: nothing, acknowledged: nothing },
      refusals: { add: nothing },
    } as unknown as SessionSurroundings;
  }

  private take(arrival: Arrival, sender: Sender, done: () => void): void {
    const apdu = arrival.apdu.toString("hex");
    const isPush = this.pushes.some((push) => push.apdu === apdu);
    const accept = () => {
      // Late answers of a poll that was given up come here too, and are refused.
      if (!isPush) return;
      sender.accepted({ id: ACCESS.id } as MeterRecord, 1);
      const safe = () => {
        this.durable++;
        sender.durable(this.isConfirmed ? 1 : null, true);
        sender.settled(1);
      };
      if (this.random() < 0.5) safe();
      else this.unsafe.push(safe);
    };
    // Some meters send blocks twice, and with one block all of a push: the counter tells such a copy.
    const isCopy = this.manner.habits.repeats !== undefined && this.taken.includes(apdu);
    if (isPush && !isCopy) this.taken.push(apdu);
    if (this.random() < 0.7) {
      accept();
      done();
    } else {
      this.lookUps.push(() => {
        accept();
        done();
      });
    }
  }

  private meter(): ServerSession {
    const objects = paper().attribute(1, "0.0.96.1.0.255", 2, {
      type: "octet-string",
      value: Buffer.alloc(700, 0x7e),
    });
    const policy = policies();
    const associationOf = (clientSap: number, serverSap: number) =>
      serverSap !== 1 || clientSap === PUSH_CLIENT
        ? null
        : new ServerAssociation({
            ...{ clientSap, serverSap, systemTitle: SERVER_TITLE, policy: policy(clientSap), objects },
            randomOctets: (count) => Buffer.alloc(count, 0x5a),
            ...{ maxReceivePduSize: 1_024, limits: LIMITS, apduOctetsMax: 65_536 },
          });
    if (this.manner.framing === "wrapper") {
      return new ServerSession({ framing: "wrapper", payloadOctetsMax: 0xffff, associationOf });
    }
    const parameters = { ...{ informationTransmit: 128, informationReceive: 128 }, windowTransmit: 1 };
    return new ServerSession({
      framing: "hdlc",
      associationOf,
      station: {
        parameters: { ...parameters, windowReceive: 1 },
        ...{ inactivityMs: 120_000, answerMs: 300, apduOctetsMax: 65_536 },
        ...{ physicalDevice: null, logicalDevices: [1], interOctetMs: 1_000 },
      },
    });
  }
}
