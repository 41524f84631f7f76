import { setTimeout as delay } from "node:timers/promises";
import { acceleratedClock } from "../../simulator/clock.ts";
import { Fleet } from "../../simulator/fleet.ts";

/*
 * A fleet as a process of its own, started by `child_process.fork` with --expose-gc, that says how much memory it has before it has meters,
 * when they are made, and when they have their connections and have pushed for a while.
 */

export interface FleetOrder {
  readonly meters: number;
  readonly port: number;
  /** Pushes of each meter, on average, before the last look. */
  readonly pushesPerMeter: number;
}

/** In octets, after everything that can be collected was. */
export interface MemoryLook {
  readonly residentOctets: number;
  /** Live objects of V8, and the buffers outside its heap. */
  readonly liveOctets: number;
}

export interface FleetMemory {
  readonly empty: MemoryLook;
  readonly made: MemoryLook;
  readonly connected: MemoryLook;
  readonly connections: number;
  readonly pushes: number;
}

/** So many times faster than time: a push of each meter every quarter of an hour is one every 15 s. */
const SPEED = 60;
const LOOK_MS = 100;

async function look(): Promise<MemoryLook> {
  // What was freed by one collection may have held what the next one frees.
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await delay(LOOK_MS);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentOctets: rss, liveOctets: heapUsed + external };
}

async function live({ meters, port, pushesPerMeter }: FleetOrder): Promise<FleetMemory> {
  // Catalogue and code are loaded with the first meter.
  fleetOf(1, port);
  const empty = await look();
  const fleet = fleetOf(meters, port);
  const made = await look();
  fleet.start();
  const pushed = () => Object.values(fleet.statistics.pushes).reduce((sum, n) => sum + n, 0);
  while (pushed() < meters * pushesPerMeter || fleet.statistics.connections < meters) await delay(LOOK_MS);
  const connected = await look();
  const { connections } = fleet.statistics;
  await fleet.stop();
  return { empty, made, connected, connections, pushes: pushed() };
}

function fleetOf(meters: number, port: number): Fleet {
  return new Fleet({
    meters,
    models: ["D1"],
    seed: 7,
    target: { host: "127.0.0.1", port },
    clock: acceleratedClock(Date.UTC(2026, 10, 2), SPEED, Date.now),
    schedule: { history: false },
    rampMs: 5_000 * SPEED,
  });
}

process.on("message", (order: FleetOrder) => {
  live(order).then((memory) => process.send?.(memory, () => process.exit(0)));
});
