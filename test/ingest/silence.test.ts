import { expect, it } from "vitest";
import { PushSession, type SessionSurroundings } from "../../src/ingest/push-session.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { TestConnection } from "./surroundings.ts";

const { firstFrameMs, idleUnidentifiedMs, idleIdentifiedMs } = DEFAULT_LIMITS;

/** A session whose clock and whose room in memory the test sets. */
function open() {
  const world = { at: 0, full: false };
  const refused: unknown[] = [];
  const around = {
    intake: { isFull: () => world.full },
    limits: DEFAULT_LIMITS,
    clock: { monotonic: () => world.at },
    now: () => world.at,
    paused: new Set(),
    released: () => {},
    refusals: { add: (...all: unknown[]) => refused.push(all) },
    identified: () => {},
  } as unknown as SessionSurroundings;
  const connection = new TestConnection();
  return { world, refused, connection, session: new PushSession(connection, around, "auto") };
}

it("closes a connection that says nothing in time", () => {
  const { world, refused, connection, session } = open();
  world.at = firstFrameMs;
  session.checkTime();
  expect(connection.closed).toBe(false);
  world.at += 1;
  session.checkTime();
  expect(connection.closed).toBe(true);
  expect(refused).toEqual([
    [connection.remoteAddress, "limit", expect.stringContaining("first_frame_ms"), null],
  ]);
});

it.each([
  ["of a stranger", false, idleUnidentifiedMs],
  ["of a known meter", true, idleIdentifiedMs],
])("closes a connection %s that says nothing more, which is no offence", (_, isKnown, idleMs) => {
  const { world, refused, connection, session } = open();
  if (isKnown) session.accepted({ id: "m" } as never, 0);
  (session as unknown as { silence: { anyFrame: boolean } }).silence.anyFrame = true;
  world.at = idleMs;
  session.checkTime();
  expect(connection.closed).toBe(false);
  world.at += 1;
  session.checkTime();
  expect(connection.closed).toBe(true);
  expect(refused).toEqual([]);
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
