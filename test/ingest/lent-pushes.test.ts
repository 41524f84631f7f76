import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QUIRK_NAMES, QUIRKS } from "../../simulator/habits.ts";
import { hex } from "../support/associations.ts";
import { LentWorld, type PushManner } from "./lent-world.ts";

/*
 * While polls come and go on the connection that a meter has opened, at whatever moment and broken off at whatever moment, each push that
 * the meter has sent whole comes to the intake once, in its order, and is acknowledged when it is durable, not before.
 */
const SEEDS = Number(process.env["SEEDS"] ?? 6);
const FIRST = Number(process.env["SEED"] ?? 1);
const STEPS = 80;
const OCTETS_MAX = 300;

/** For many seeds. */
vi.setConfig({ testTimeout: 600_000 });

const manners: PushManner[] = (["hdlc", "wrapper"] as const).flatMap((framing) => [
  { name: "as the standard says", framing, habits: {} },
  { name: "through a gateway", framing, habits: {}, gateway: hex("E700044D455431") },
  ...QUIRK_NAMES.flatMap((name) => {
    const quirk = QUIRKS[name];
    // What has no frame is nothing that a poll could be made in.
    const framed = !("header" in quirk.habits);
    return framed && (quirk.framing ?? framing) === framing
      ? [{ name, framing, habits: quirk.habits } as const]
      : [];
  }),
]);
manners.push({ name: "I frames in segments", framing: "hdlc", habits: {}, numbered: true });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets promises come to an end. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

async function live(seed: number, manner: PushManner) {
  const world = new LentWorld(seed, manner);
  const chance = (share: number) => world.random() < share;
  const below = (most: number) => Math.floor(world.random() * most);
  // Until it has pushed nobody knows what is spoken on the connection.
  world.push(20);
  world.arrive(world.waiting);
  const whole = chance(0.5);
  const isDropped = chance(0.2);
  const steps: [share: number, step: () => void][] = [
    [0.12, () => world.push(below(OCTETS_MAX))],
    [0.2, () => world.poll()],
    [0.3, () => world.arrive(whole ? world.waiting : 1 + below(Math.min(world.waiting, 40)))],
    [0.15, () => world.arrive(world.waiting)],
    [0.08, () => world.answer()],
    [0.03, () => world.setFull(chance(0.5))],
    [0.02, () => world.giveUp()],
    [0.06, () => vi.advanceTimersByTime(below(200))],
    [0.04, () => vi.advanceTimersByTime(below(2_000))],
  ];
  for (let count = 0; count < STEPS; count++) {
    let pick = world.random();
    for (const [share, step] of steps) {
      pick -= share;
      if (pick >= 0) continue;
      step();
      break;
    }
    world.tick();
    await settle();
  }
  if (isDropped) world.close();
  world.setFull(false);
  for (let round = 0; round < 40; round++) {
    world.answer();
    world.arrive(world.waiting);
    vi.advanceTimersByTime(1_000);
    world.tick();
    await settle();
  }
  world.finish();
  return world;
}

describe("a connection that is lent to polls", () => {
  const totals = { pushes: 0, done: 0, failed: 0 };
  it.each(manners)("loses no push of a meter that pushes $name, in $framing frames", async (manner) => {
    const failures: string[] = [];
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const { violations, taken, polls } = await live(seed, manner);
      if (violations.length > 0) failures.push(`seed ${seed}: ${violations.join("; ")}`);
      totals.pushes += taken.length;
      totals.done += polls.done;
      // Not broken off, but not begun: where a frame had begun.
      totals.failed += polls.failed - polls.busy;
    }
    expect(failures).toEqual([]);
  });

  it("serves polls meanwhile, to their end and broken off", () => {
    console.info(`${totals.pushes} pushes, ${totals.done} polls to their end, ${totals.failed} broken off`);
    expect(totals.done).toBeGreaterThan(manners.length);
    expect(totals.failed).toBeGreaterThan(manners.length);
  });
});
