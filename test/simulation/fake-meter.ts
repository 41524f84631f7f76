import { createHash, createSecretKey } from "node:crypto";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import * as wire from "../support/wire.ts";
import { FakeConnection } from "./fake-connection.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** Bit 30 of the long invoke id asks for a confirmation. */
const CONFIRMED = 0x4000_0000;
/** Invoke ids of what an attacker sends lie above. */
const ATTACK = 0x80_0000;
const WRAPPER_OCTETS = 8;
const REPEAT_MS = 4_000;

export interface SentFrame {
  readonly apdu: Buffer;
  readonly digest: string;
  confirmed: boolean;
}

export interface World {
  readonly clock: VirtualClock;
  readonly random: () => number;
  /** Hands a new connection to the daemon; false while there is none. */
  readonly attach: (connection: FakeConnection) => boolean;
  /** A confirmation was written. */
  readonly confirmed: (meter: FakeMeter, invokeId: number) => void;
}

/**
 * A meter that sends a push and waits until it is confirmed: again after a while, on another connection when one broke. Now and then it
 * sends one again that was confirmed, and somebody else sends counters that were used, on other octets.
 */
export class FakeMeter {
  readonly record: MeterRecord;
  /** By counter. */
  readonly frames = new Map<number, SentFrame>();
  readonly forged = new Set<string>();
  done = false;
  private readonly world: World;
  private readonly keys: wire.WireKeys;
  private readonly pushes: number;
  private counter = 0;
  private connection: FakeConnection | null = null;
  private cancelRepeat = () => {};

  constructor(world: World, index: number, pushes: number) {
    this.world = world;
    this.pushes = pushes;
    const hex = (base: number) => (base + index).toString(16).padStart(2, "0").repeat(16);
    const systemTitle = `53494d000000000${index}`;
    this.keys = {
      systemTitle: Buffer.from(systemTitle, "hex"),
      guek: Buffer.from(hex(0x10), "hex"),
      gak: Buffer.from(hex(0x30), "hex"),
    };
    const key = (kind: "guek" | "gak", keyId: number, octets: Buffer) => ({
      ...{ keyId, kind, clientSap: null, state: "ACTIVE" as const, key: createSecretKey(octets) },
    });
    this.record = {
      ...{
        id: `meter ${index}`,
        meterNumber: `SIM${index}`,
        meterType: "D1",
        category: "D1",
        manufacturer: null,
      },
      ...{
        model: null,
        logicalDeviceName: null,
        systemTitle,
        framing: "auto",
        host: null,
        requiredProtection: 0x30,
      },
      ...{ securitySuite: 0, counterMayStandStill: false, deviationSign: "standard", timeZone: null },
      keys: [key("guek", 2 * index + 1, this.keys.guek), key("gak", 2 * index + 2, this.keys.gak)],
    };
  }

  begin(): void {
    this.next();
  }

  /** The daemon has written something on a connection of this meter's. */
  private heard(octets: Buffer): void {
    for (let at = 0; at + 14 <= octets.length; at += 14) {
      const invokeId = octets.readUInt32BE(at + WRAPPER_OCTETS + 1) & 0xff_ffff;
      this.world.confirmed(this, invokeId);
      // It may get lost on the way.
      if (this.world.random() < 0.05) continue;
      const frame = this.frames.get(invokeId);
      if (frame !== undefined) frame.confirmed = true;
      if (invokeId === this.counter) {
        this.cancelRepeat();
        this.world.clock.after(this.world.random() * 300, () => this.next());
      }
    }
  }

  private next(): void {
    if (this.frames.get(this.counter)?.confirmed === false) return;
    if (this.counter === this.pushes) {
      this.done = true;
      return;
    }
    this.counter++;
    const apdu = this.frame(this.counter, this.counter, "00".repeat(16));
    this.frames.set(this.counter, { apdu, digest: digestOf(apdu), confirmed: false });
    this.send();
  }

  private frame(counter: number, invokeId: number, bits: string): Buffer {
    const body = wire.structure(
      wire.text(this.record.meterNumber),
      wire.obis("0.4.25.9.0.255"),
      wire.clock(2026, 10, 1, Math.floor(counter / 60), counter % 60),
      wire.bits(bits),
    );
    return wire.ciphered(wire.notification(CONFIRMED + invokeId, body), 0x30, counter, this.keys);
  }

  private send(): void {
    this.cancelRepeat();
    this.cancelRepeat = this.world.clock.after(REPEAT_MS * (0.5 + this.world.random()), () => this.send());
    const { random } = this.world;
    if (random() < 0.1) this.sendOther();
    this.transmit(this.frames.get(this.counter)!.apdu);
    if (random() < 0.05) this.hangUp();
  }

  /** What was confirmed before, again; or what a stranger made of it. */
  private sendOther(): void {
    const counter = 1 + Math.floor(this.world.random() * this.counter);
    const known = this.frames.get(counter)!;
    if (this.world.random() < 0.5) {
      if (known.confirmed) this.transmit(known.apdu);
      return;
    }
    if (!known.confirmed) return;
    const forged = this.frame(counter, ATTACK + counter, "ff".repeat(16));
    this.forged.add(digestOf(forged));
    this.transmit(forged);
  }

  private transmit(apdu: Buffer): void {
    if (this.connection === null || this.connection.closed) {
      const connection = new FakeConnection("192.0.2.1", (octets) => this.heard(octets));
      if (!this.world.attach(connection)) return;
      this.connection = connection;
    }
    const { connection } = this;
    const octets = wire.wrapped(apdu);
    const cut = Math.floor(this.world.random() * octets.length);
    connection.receive(octets.subarray(0, cut));
    // A connection that is cut in the middle of a frame.
    if (this.world.random() < 0.03) {
      this.hangUp();
      return;
    }
    connection.receive(octets.subarray(cut));
  }

  private hangUp(): void {
    this.connection?.close();
    this.connection = null;
  }
}

export const isAttack = (invokeId: number) => invokeId >= ATTACK;

function digestOf(apdu: Buffer): string {
  return createHash("sha256").update(apdu).digest("hex").slice(0, 32);
}
