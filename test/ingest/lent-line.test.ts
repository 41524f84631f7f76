import { expect, it } from "vitest";
import type { Arrival } from "../../src/ingest/arrival.ts";
import type { Intake } from "../../src/ingest/intake.ts";
import type { LentLine } from "../../src/ingest/lent-line.ts";
import { PushSession, type SessionSurroundings } from "../../src/ingest/push-session.ts";
import type { Sender } from "../../src/ingest/underway.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import type { MeterRecord } from "../../src/storage/meter-record.ts";
import type { ByteConnection } from "../../src/transports/connection.ts";
import { hex } from "../support/associations.ts";

/* The event push of DLMS-FACTS 19.5, over the wrapper from logical device 1 to client 64; GET and its answer of 19.3. */
const PUSH = hex(
  "0F00000001000204090C414243534D3030303030303109060004190900FF090C07EA0718FF0A0F1E00FEB60004818010000000000000000000040000000000",
);
const WRAPPED_PUSH = Buffer.concat([hex("000100010040003F"), PUSH]);
const ANSWER = hex("00010001002000 12C401C100090C07EA0718FF0A0F1E00FEB600");

it("a connection that a meter has opened serves a poll while pushes go on, and pushes alone afterwards", () => {
  const written: Buffer[] = [];
  const taken: Arrival[] = [];
  const connection = {
    transport: "tcp",
    remoteAddress: "192.0.2.7",
    remotePort: 40_000,
    closed: false,
    onData: () => {},
    onClose: () => {},
    write: (octets: Buffer) => written.push(octets) > 0,
    pause: () => {},
    resume: () => {},
    close: () => {},
    destroy: () => {},
  } as unknown as ByteConnection;
  const meters: string[] = [];
  let full = false;
  const intake = {
    isFull: () => full,
    take: (arrival: Arrival, sender: Sender, done: () => void) => {
      taken.push({ ...arrival, apdu: Buffer.from(arrival.apdu) });
      sender.accepted({ id: "M" } as MeterRecord, 0);
      done();
    },
  } as unknown as Intake;
  const around = {
    intake,
    limits: DEFAULT_LIMITS,
    clock: { monotonic: () => 0 },
    now: () => 0,
    paused: new Set(),
    released: () => {},
    identified: (meterId: string) => meters.push(meterId),
    observer: { frameReceived: () => {}, discarded: () => {}, acknowledged: () => {} },
    refusals: { add: () => {} },
  } as unknown as SessionSurroundings;
  const session = new PushSession(connection, around, "auto");

  // Through a bridge that changes octets a poll would find none of its frames.
  expect(new PushSession(connection, around, "hdlc-noflags").lend(32)).toBeNull();
  // Nobody knows yet what is spoken on it.
  expect(session.lend(48)).toBe("busy");
  session.read(WRAPPED_PUSH);
  expect(meters).toEqual(["M"]);
  // A frame has begun.
  session.read(WRAPPED_PUSH.subarray(0, 20));
  expect(session.lend(48)).toBe("busy");
  session.read(WRAPPED_PUSH.subarray(20));
  expect(taken).toHaveLength(2);

  // Too much is on its way to the database: what was read stands in line, and what a poll hands back would go before it.
  full = true;
  session.read(WRAPPED_PUSH);
  expect(taken).toHaveLength(2);
  expect(session.lend(48)).toBe("busy");
  full = false;
  session.read(WRAPPED_PUSH);
  expect(taken.splice(2)).toHaveLength(2);

  const line = session.lend(32) as LentLine;
  expect(line.framing).toBe("wrapper");
  expect(session.lend(32)).toBe("busy");
  const polled: Buffer[] = [];
  line.onData((octets) => polled.push(octets));
  line.write(hex("C0"));
  expect(written).toEqual([hex("C0")]);
  // An answer to the poll's client, and a push in the same piece.
  session.read(Buffer.concat([ANSWER, WRAPPED_PUSH, ANSWER.subarray(0, 3)]));
  expect(polled).toEqual([ANSWER]);
  expect(taken).toHaveLength(3);
  session.read(ANSWER.subarray(3));
  expect(polled).toEqual([ANSWER, ANSWER]);
  // A push to the poll's own client: its association tells it from an answer, and hands it back.
  line.deliver(PUSH, 1, 32);
  expect(taken).toHaveLength(4);
  expect(taken[3]).toMatchObject({ apdu: PUSH, clientSap: 32, serverSap: 1, peer: "192.0.2.7" });

  // Given back in the midst of an answer, behind which a push stands: the one is refused as a whole, the other taken.
  session.read(ANSWER.subarray(0, 12));
  line.close();
  session.read(Buffer.concat([ANSWER.subarray(12), WRAPPED_PUSH]));
  expect(taken.slice(4).map(({ apdu }) => apdu)).toEqual([ANSWER.subarray(8), PUSH]);
  line.write(hex("FF"));
  line.close();
  expect(written).toHaveLength(1);
  session.read(WRAPPED_PUSH);
  expect(taken).toHaveLength(7);
  expect(polled).toHaveLength(2);
});
