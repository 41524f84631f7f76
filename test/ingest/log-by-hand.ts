import { expect } from "vitest";
import type { AppendOutcome, DurableLog, LogEntry } from "../../src/durable-log/durable-log.ts";
import { LoggedCounters } from "../../src/ingest/logged-counters.ts";
import { counterName } from "../../src/storage/counter-name.ts";
import * as wire from "../support/wire.ts";
import { cell, keysOf, meterOf, Surroundings, type TestConnection, vectorOf } from "./surroundings.ts";

/* A meter that asks for confirmations, and an ingest whose log answers when the test says so. */

const vector = vectorOf("d1-alert-flat-ae-wrapper-int-dev");
export const meter = meterOf(vector);
const keys = keysOf(vector);
const name = counterName(1, meter.systemTitle!, 64);

/** Bit 30 of the long invoke id asks for a confirmation. */
export function apdu(counter: number, setup = "0.4.25.9.0.255"): Buffer {
  const body = wire.structure(
    wire.text(meter.meterNumber),
    wire.obis(setup),
    wire.clock(2026, 10, 14 + Math.floor(counter / 1_440), Math.floor(counter / 60) % 24, counter % 60),
    wire.bits("80".repeat(16)),
  );
  return wire.ciphered(wire.notification(0x4000_0000 + counter, body), 0x30, counter, keys);
}
export const push = (counter: number, setup?: string) => wire.wrapped(apdu(counter, setup));
/** Counters of the pushes that were confirmed on a connection. */
export const confirmed = ({ written }: TestConnection) =>
  written.map((octets) => octets.readUInt32BE(octets.length - 5) - 0x4000_0000);

/** A log that takes records, or refuses them, when the test says so. */
export class LogByHand implements DurableLog {
  readonly isShared: boolean;
  readonly trimmed: number[] = [];
  /** Octets that it holds. */
  bytes = 0;
  private readonly appended: { payload: Buffer; settled: (outcome: AppendOutcome) => void }[] = [];
  private entries: LogEntry[] = [];
  private wake: () => void = () => undefined;
  private closed = false;

  constructor(isShared = false) {
    this.isShared = isShared;
  }

  append(payload: Buffer, _meterId: string, settled: (outcome: AppendOutcome) => void): void {
    this.appended.push({ payload, settled });
  }

  /** `index`: which of those that were appended, from 0 on. */
  take(index: number): void {
    const { payload, settled } = this.appended[index]!;
    settled({ kind: "durable", position: index + 1 });
    this.entries.push({ position: index + 1, payload, again: false, epoch: 0 });
    this.wake();
  }

  refuse(index: number): void {
    this.appended[index]!.settled({ kind: "refused", reason: "failed", text: "no room" });
  }

  get waiting(): number {
    return this.appended.length;
  }

  async read(): Promise<readonly LogEntry[]> {
    while (this.entries.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.entries.splice(0);
  }

  trim(positions: readonly number[]): void {
    this.trimmed.push(...positions);
  }

  state() {
    return { records: 0, bytes: this.bytes, bytesMax: 1 << 20, condition: "ok" };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake();
  }
}

type Options = ConstructorParameters<typeof Surroundings>[1] & { isShared?: true };

export function start({ isShared, ...options }: Options = {}) {
  const told: number[] = [];
  const logged = new LoggedCounters(({ counter }) => told.push(counter));
  const log = new LogByHand(isShared);
  const around = new Surroundings([], { meters: [meter], durableLog: log, logged, ...options });
  /** What the log adds to a counter of which the database knows nothing. */
  const inLog = () => logged.addTo({ high: null, digests: [] }, name).digests.map(({ counter }) => counter);
  return { around, log, told, inLog };
}

export async function sent(
  around: Surroundings,
  log: LogByHand,
  ...counters: number[]
): Promise<TestConnection> {
  const before = log.waiting;
  const connection = around.connect();
  for (const counter of counters) connection.receive(push(counter));
  await expect.poll(() => log.waiting).toBe(before + counters.length);
  return connection;
}

/** Counters of what is in the database, in its order. */
export const counters = (around: Surroundings) =>
  around.committed.map(({ history }) => cell(history, "invocation_counter"));
