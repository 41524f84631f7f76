import { FaultyDisk } from "../support/faulty-files.ts";
import type { FakeConnection } from "./fake-connection.ts";
import { FakeDatabase } from "./fake-database.ts";
import { FakeMeter, isAttack } from "./fake-meter.ts";
import { begin, type Life } from "./process-life.ts";
import { VirtualClock } from "./virtual-clock.ts";

const METERS = 3;
const PUSHES = 12;
/** Faults happen during the first; afterwards all is well, and everything must come to its end within the second. */
const CHAOS_MS = 30_000;
const CALM_MS = 180_000;

export interface Outcome {
  readonly seed: number;
  /** What must not be, in words; empty where all is as promised. */
  readonly violations: readonly string[];
  readonly pushes: number;
  readonly kills: number;
  readonly virtualMs: number;
}

/** One run: everything in it follows from its seed. */
export async function simulate(seed: number): Promise<Outcome> {
  const run = new Simulation(seed);
  return run.outcome();
}

class Simulation {
  private readonly seed: number;
  private readonly random: () => number;
  private readonly clock = new VirtualClock();
  private readonly disk = new FaultyDisk();
  private readonly database: FakeDatabase;
  private readonly meters: FakeMeter[];
  private readonly violations: string[] = [];
  private life: Life | null = null;
  private readonly connections = new Set<FakeConnection>();
  private kills = 0;
  private diskWasFaulty = false;

  constructor(seed: number) {
    this.seed = seed;
    this.random = randomOf(seed);
    this.database = new FakeDatabase(this.clock, this.random);
    const world = {
      clock: this.clock,
      random: this.random,
      attach: (connection: FakeConnection) => {
        if (this.life === null) return false;
        this.connections.add(connection);
        this.life.ingest.attach(connection);
        return true;
      },
      confirmed: (meter: FakeMeter, invokeId: number) => this.confirmed(meter, invokeId),
    };
    this.meters = Array.from({ length: METERS }, (_, index) => new FakeMeter(world, index, PUSHES));
  }

  async outcome(): Promise<Outcome> {
    this.healthyDisk();
    await this.start();
    for (const meter of this.meters) this.clock.after(this.random() * 1_000, () => meter.begin());
    this.planFaults();
    await this.clock.run(() => this.clock.elapsed >= CHAOS_MS, CHAOS_MS);
    this.healthyDisk();
    this.database.away = false;
    this.database.faultShare = 0;
    this.database.slowestMs = 0;
    if (this.life === null) await this.start();
    const isDone = () =>
      this.life !== null &&
      this.meters.every(({ done }) => done) &&
      this.life.durableLog.state().records === 0;
    if (!(await this.clock.run(isDone, CHAOS_MS + CALM_MS))) this.stuck();
    this.compare();
    this.life?.kill();
    const pushes = this.meters.reduce((sum, { frames }) => sum + frames.size, 0);
    return {
      seed: this.seed,
      violations: this.violations,
      pushes,
      kills: this.kills,
      virtualMs: this.clock.elapsed,
    };
  }

  private async start(): Promise<void> {
    let begun: Life | null = null;
    const { clock, disk, database, random } = this;
    const meters = this.meters.map(({ record }) => record);
    void begin({ clock, disk, database, meters, random }).then((life) => {
      begun = life;
    });
    await this.clock.run(() => begun !== null, Number.POSITIVE_INFINITY);
    this.life = begun;
  }

  private healthyDisk(): void {
    this.disk.capacity = Number.POSITIVE_INFINITY;
    this.disk.failSync = null;
    this.disk.beforeSync = () => this.clock.pause(1 + this.random() * 10);
  }

  /** Kills, outages, and a disk that is slow, full or failing, at random. */
  private planFaults(): void {
    const times = (most: number) => Math.floor(this.random() * (most + 1));
    const at = (call: () => void) => this.clock.after(this.random() * CHAOS_MS * 0.9, call);
    for (let n = times(4); n > 0; n--) at(() => this.kill());
    for (let n = times(3); n > 0; n--) {
      at(() => {
        this.database.away = true;
        this.clock.after(this.random() * 8_000, () => {
          this.database.away = false;
        });
      });
    }
    if (this.random() < 0.3) this.database.faultShare = 0.05;
    if (this.random() < 0.3) {
      at(() => {
        this.database.slowestMs = this.random() * 4_000;
        this.clock.after(this.random() * 8_000, () => {
          this.database.slowestMs = 0;
        });
      });
    }
    if (this.random() < 0.5) return;
    for (let n = times(2); n > 0; n--) {
      at(() => {
        const kind = this.random();
        // A disk that is only slow keeps the order.
        this.diskWasFaulty ||= kind < 0.7;
        if (kind < 0.4) this.disk.failSync = new Error("EIO: i/o error, fdatasync");
        else if (kind < 0.7) this.disk.capacity = this.random() * 3_000;
        else this.disk.beforeSync = () => this.clock.pause(this.random() * 4_000);
        this.clock.after(this.random() * 5_000, () => this.healthyDisk());
      });
    }
    at(() => this.clock.step((this.random() - 0.5) * 7_200_000));
  }

  private kill(): void {
    if (this.life === null) return;
    this.kills++;
    this.life.kill();
    this.life = null;
    for (const connection of this.connections) connection.close();
    this.connections.clear();
    // What was written and not synced came through, or not, or in part.
    this.disk.powerCut((unsynced) => Math.floor(this.random() * (unsynced + 1)));
    this.healthyDisk();
    this.clock.after(200 + this.random() * 2_000, () => void this.begin());
  }

  private async begin(): Promise<void> {
    const { clock, disk, database, random } = this;
    this.life = await begin({
      clock,
      disk,
      database,
      meters: this.meters.map(({ record }) => record),
      random,
    });
  }

  private confirmed(meter: FakeMeter, invokeId: number): void {
    if (isAttack(invokeId)) {
      this.violations.push(`a replay was confirmed: ${meter.record.meterNumber}, ${invokeId & 0xffff}`);
      return;
    }
    const { apdu, digest } = meter.frames.get(invokeId)!;
    if (this.database.stored.has(digest) || this.disk.holdsSynced(apdu)) return;
    this.violations.push(`confirmed before it was safe: ${meter.record.meterNumber}, ${invokeId}`);
  }

  private stuck(): void {
    const waiting = this.meters.filter(({ done }) => !done).map(({ record }) => record.meterNumber);
    const records = this.life?.durableLog.state().records;
    this.violations.push(`stuck: ${waiting.join(", ") || "no meter"} waits, ${records} in the log`);
  }

  private compare(): void {
    const sent = new Map(
      this.meters.flatMap(({ frames }) => [...frames].map(([counter, f]) => [f.digest, { counter, f }])),
    );
    for (const { record, frames, forged } of this.meters) {
      for (const [counter, { digest, confirmed }] of frames) {
        if (confirmed && !this.database.stored.has(digest))
          this.violations.push(`lost: ${record.meterNumber}, ${counter}`);
      }
      for (const digest of forged)
        if (this.database.stored.has(digest))
          this.violations.push(`a replay was stored: ${record.meterNumber}`);
    }
    const last = new Map<string, number>();
    for (const [digest, { meterId, counter, times }] of this.database.stored) {
      if (times > 1) this.violations.push(`stored ${times} times: ${meterId}, ${counter}`);
      const isForged = this.meters.some(({ forged }) => forged.has(digest));
      if (!sent.has(digest) && !isForged) this.violations.push(`nobody sent it: ${meterId}, ${counter}`);
      // Past the log, COMMITs may overtake what is in it, and what waits after a fault.
      const mayOvertake = this.diskWasFaulty || this.database.faulted.has(meterId);
      if (!mayOvertake && counter < (last.get(meterId) ?? 0))
        this.violations.push(`out of order: ${meterId}, ${counter}`);
      last.set(meterId, counter);
    }
  }
}

/** mulberry32 */
export function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
