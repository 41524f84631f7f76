import { describe, expect, it } from "vitest";
import { MeterLine } from "../../simulator/line.ts";
import { noCounts } from "../../simulator/line-counts.ts";
import type { Step } from "../../simulator/line-job.ts";
import type { Heard } from "../../simulator/uplink.ts";

/** A line of a meter to a head-end that takes everything, and what came over each connection. */
function lineOf() {
  const connections: Buffer[] = [];
  const line = new MeterLine(
    { host: "127.0.0.1", port: 9 },
    "standing",
    async () => {
      const number = connections.push(Buffer.alloc(0)) - 1;
      const listeners: (() => void)[] = [];
      const end = () => {
        uplink.closed = true;
        queueMicrotask(() => {
          for (const listener of listeners.splice(0)) listener();
        });
      };
      const uplink = {
        closed: false,
        write: (octets: Buffer) => {
          connections[number] = Buffer.concat([connections[number]!, octets]);
          return true;
        },
        ...{ end, close: end, destroy: end },
        onClose: (listener: (error: null) => void) => listeners.push(() => listener(null)),
        onDrain: () => {},
        onData: () => {},
      };
      return uplink;
    },
    noCounts(),
  );
  return { line, texts: () => connections.map((octets) => octets.toString()) };
}

const piece = (text: string): Step => ({ kind: "octets", octets: Buffer.from(text) });
const PAUSE: Step = { kind: "pause", ms: 5 };

describe("a meter's line", () => {
  it("carries what the meter answers between two pushes, never in the middle of one that comes in pieces", async () => {
    const { line, texts } = lineOf();
    const heard = new Promise<Heard>((resolve) => {
      line.onConnection = resolve;
    });
    line.send(Buffer.from("[push]"), () => {}, [piece("[pu"), PAUSE, piece("s"), PAUSE, piece("h]")]);
    const connection = await heard;
    await expect.poll(texts).toEqual(["[pu"]);
    connection.write(Buffer.from("(answer)"));
    line.send(Buffer.from("[next]"), () => {});
    await line.finish(10_000);
    expect(texts()).toEqual(["[push](answer)[next]"]);
  });

  it("answers at once between pushes, and never over another connection than it was asked on", async () => {
    const { line, texts } = lineOf();
    const heard: Heard[] = [];
    line.onConnection = (connection) => heard.push(connection);
    line.send(Buffer.from("[one]"), () => {});
    await expect.poll(texts).toEqual(["[one]"]);
    heard[0]!.write(Buffer.from("(first)"));
    // The connection breaks in mid-frame while an answer waits.
    line.send(Buffer.from("[two]"), () => {}, [
      ...[piece("[t"), PAUSE, piece("w"), { kind: "hang-up", how: "reset" } as const, piece("[two]")],
    ]);
    heard[0]!.write(Buffer.from("(late)"));
    await line.finish(10_000);
    // What the broken connection may not have delivered comes again, in its order.
    expect(texts()).toEqual(["[one](first)[tw(late)", "[one][two]"]);
  });
});
