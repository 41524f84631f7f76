import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { TcpListener } from "../../src/transports/tcp-listener.ts";
import { WaitingLine } from "../../src/transports/waiting-line.ts";
import { Arrivals } from "../support/arrivals.ts";

const round = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("callers in a line", () => {
  const line = (limits = { ms: 50, callers: 1_000 }) => {
    const clock = { now: 0 };
    const inside: number[] = [];
    const waiting = new WaitingLine<number>(
      (caller) => inside.push(caller),
      limits,
      () => clock.now,
    );
    return { clock, inside, waiting };
  };

  it("wait while each round brings one more, and are let in together, in their order", async () => {
    const { inside, waiting } = line();
    for (let caller = 0; caller < 20; caller++) {
      waiting.add(caller);
      await round();
      expect(inside).toEqual([]);
    }
    await round();
    expect(inside).toEqual(Array.from({ length: 20 }, (_, caller) => caller));
    waiting.add(20);
    await round();
    await round();
    expect(inside).toHaveLength(21);
  });

  it("don't wait longer than 50 ms, nor when so many wait, however many still come", async () => {
    const slow = line();
    slow.waiting.add(1);
    await round();
    slow.clock.now = 50;
    slow.waiting.add(2);
    await round();
    expect(slow.inside).toEqual([1, 2]);
    const many = line({ ms: 50, callers: 3 });
    for (let caller = 0; caller < 3; caller++) {
      many.waiting.add(caller);
      await round();
    }
    expect(many.inside).toEqual([0, 1, 2]);
  });

  it("are let in at the end", () => {
    const { inside, waiting } = line();
    waiting.add(1);
    waiting.end();
    expect(inside).toEqual([1]);
  });
});

it("a listener accepts those who have called before it works off what the first of them sends", async () => {
  const callers = 40;
  let accepted = 0;
  const acceptedWhenRead: number[] = [];
  const read = new Arrivals<Buffer>();
  const listener = await TcpListener.listen({
    address: { host: "127.0.0.1", port: 0 },
    connections: { open: 0, max: callers },
    onConnection: (connection) => {
      accepted++;
      connection.onData((chunk) => {
        acceptedWhenRead.push(accepted);
        read.add(chunk);
      });
    },
    onError: (error) => {
      throw error;
    },
    line: { ms: 60_000, callers },
  });
  const sockets = Array.from({ length: callers }, () => connect(listener.address.port, "127.0.0.1"));
  for (const socket of sockets) socket.write("push");
  for (let n = 0; n < callers; n++) await read.next();
  for (const socket of sockets) socket.destroy();
  await listener.close();
  // Without the line it is one or two.
  expect(acceptedWhenRead[0]).toBeGreaterThan(callers / 4);
});
