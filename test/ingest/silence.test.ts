import { expect, it } from "vitest";
import { PushSession, type SessionSurroundings } from "../../src/ingest/push-session.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { TestConnection } from "./surroundings.ts";

const { firstFrameMs, idleUnidentifiedMs } = DEFAULT_LIMITS;

/** A session whose clock and whose room in memory the test sets. */
function open() {
  const world = { at: 0, full: false };
  const around = {
    intake: { isFull: () => world.full },
    limits: DEFAULT_LIMITS,
    clock: { monotonic: () => world.at },
    now: () => world.at,
    paused: new Set(),
    released: () => {},
  } as unknown as SessionSurroundings;
  const connection = new TestConnection();
  return { world, connection, session: new PushSession(connection, around, "auto") };
}

it("closes a connection that says nothing in time", () => {
  const { world, connection, session } = open();
  world.at = firstFrameMs;
  session.checkTime();
  expect(connection.closed).toBe(false);
  world.at += 1;
  session.checkTime();
  expect(connection.closed).toBe(true);
});

it("does not hold against a connection that it was not read for a while", () => {
  const { world, connection, session } = open();
  world.full = true;
  session.regulate();
  world.at = idleUnidentifiedMs + 1;
  session.checkTime();
  world.full = false;
  session.regulate();
  session.checkTime();
  expect(connection.closed).toBe(false);
  world.at += firstFrameMs + 1;
  session.checkTime();
  expect(connection.closed).toBe(true);
});
