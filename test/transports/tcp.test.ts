import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { ByteConnection } from "../../src/transports/connection.ts";
import type { TransportError } from "../../src/transports/errors.ts";
import { dialTcp } from "../../src/transports/tcp-dialler.ts";
import { TcpListener } from "../../src/transports/tcp-listener.ts";
import { Arrivals } from "../support/arrivals.ts";

const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function listen(host = "127.0.0.1", max = 10) {
  const accepted = new Arrivals<ByteConnection>();
  const refused = new Arrivals<string>();
  const connections = { open: 0, max };
  const listener = await TcpListener.listen({
    address: { host, port: 0 },
    connections,
    onConnection: accepted.add,
    onRefused: refused.add,
    onError: (error) => {
      throw error;
    },
  });
  cleanUps.push(() => listener.close());
  return { listener, accepted, refused, connections, port: listener.address.port };
}

async function dial(port: number, host = "127.0.0.1"): Promise<ByteConnection> {
  const connection = await dialTcp({ host, port });
  cleanUps.push(() => connection.destroy());
  return connection;
}

const closing = (connection: ByteConnection) =>
  new Promise<TransportError | null>((resolve) => connection.onClose(resolve));

async function received(connection: ByteConnection, octets: number): Promise<string> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve) => {
    let count = 0;
    connection.onData((chunk) => {
      chunks.push(chunk);
      count += chunk.length;
      if (count >= octets) resolve();
    });
  });
  return Buffer.concat(chunks).toString();
}

describe("a TCP listener", () => {
  it("carries octets both ways and knows who called", async () => {
    const { accepted, port } = await listen();
    const meter = await dial(port);
    const hes = await accepted.next();
    expect(hes.remoteAddress).toBe("127.0.0.1");
    expect(hes.remotePort).toBeGreaterThan(0);
    meter.write(Buffer.from("push"));
    expect(await received(hes, 4)).toBe("push");
    hes.write(Buffer.from("confirm"));
    expect(await received(meter, 7)).toBe("confirm");
  });

  it("on [::] serves IPv4 too, and writes its addresses as IPv4", async () => {
    const { accepted, port } = await listen("::");
    await dial(port, "127.0.0.1");
    expect((await accepted.next()).remoteAddress).toBe("127.0.0.1");
  });

  it("keeps octets that come before somebody listens", async () => {
    const { accepted, port } = await listen();
    const socket = connect(port, "127.0.0.1");
    cleanUps.push(() => void socket.destroy());
    socket.write("early");
    const hes = await accepted.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await received(hes, 5)).toBe("early");
  });

  it("delivers all that was sent before the peer closed, and then says so once", async () => {
    const { accepted, port, connections } = await listen();
    const socket = connect(port, "127.0.0.1");
    socket.end("last words");
    const hes = await accepted.next();
    const closed = closing(hes);
    expect(await received(hes, 10)).toBe("last words");
    expect(await closed).toBeNull();
    expect(hes.closed).toBe(true);
    expect(hes.write(Buffer.from("x"))).toBe(false);
    expect(await closing(hes)).toBeNull(); // whoever asks late is told too
    expect(connections.open).toBe(0);
  });

  it("says with which error a connection broke", async () => {
    const { accepted, port } = await listen();
    const socket = connect(port, "127.0.0.1");
    const hes = await accepted.next();
    hes.onData(() => {});
    const closed = closing(hes);
    socket.resetAndDestroy();
    expect(await closed).toMatchObject({ name: "TransportError", code: "ECONNRESET" });
  });

  it("turns away what is over the limit, and accepts again when one has gone", async () => {
    const { accepted, refused, port, connections } = await listen("127.0.0.1", 1);
    const first = await dial(port);
    const hes = await accepted.next();
    const second = connect(port, "127.0.0.1");
    second.on("error", () => {}); // reset or closed: both are being turned away
    await once(second, "close");
    expect(await refused.next()).toBe("127.0.0.1");
    expect(connections.open).toBe(1);
    const closed = closing(hes);
    hes.onData(() => {});
    first.close();
    await closed;
    await dial(port);
    await accepted.next();
    expect(connections.open).toBe(1);
  });

  it("makes the peer wait while it is paused", async () => {
    const { accepted, port } = await listen();
    const socket = connect(port, "127.0.0.1");
    cleanUps.push(() => void socket.destroy());
    const hes = await accepted.next();
    let count = 0;
    hes.onData((chunk) => {
      count += chunk.length;
    });
    hes.pause();
    const total = 32 * 1_048_576;
    const written = new Promise<void>((resolve) => socket.write(Buffer.alloc(total), () => resolve()));
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(socket.writableLength).toBeGreaterThan(0);
    expect(count).toBe(0);
    hes.resume();
    await written;
    socket.end();
    await closing(hes);
    expect(count).toBe(total);
  });

  it("disconnects a peer that never reads", async () => {
    const { accepted, port } = await listen();
    const socket = connect(port, "127.0.0.1");
    cleanUps.push(() => void socket.destroy());
    const hes = await accepted.next();
    const closed = closing(hes);
    for (let at = 0; at < 1_000 && !hes.closed; at++) hes.write(Buffer.alloc(65_536));
    expect(await closed).toMatchObject({ code: "EPIPE" });
  });

  it("stops accepting first and lets open connections finish", async () => {
    const { listener, accepted, port } = await listen();
    const meter = await dial(port);
    const hes = await accepted.next();
    listener.stopAccepting();
    await expect(dialTcp({ host: "127.0.0.1", port })).rejects.toMatchObject({ code: "ECONNREFUSED" });
    hes.write(Buffer.from("confirm"));
    const closed = listener.close();
    expect(await received(meter, 7)).toBe("confirm");
    await closed;
  });

  it("says which address is taken", async () => {
    const { port } = await listen();
    await expect(listenOn(port)).rejects.toThrow(new RegExp(`tcp 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`));
  });
});

const listenOn = (port: number) =>
  TcpListener.listen({
    address: { host: "127.0.0.1", port },
    connections: { open: 0, max: 1 },
    onConnection: () => {},
    onError: () => {},
  });

describe("the dialler", () => {
  it("says that nobody listens", async () => {
    const { listener, port } = await listen();
    await listener.close();
    await expect(dialTcp({ host: "127.0.0.1", port })).rejects.toMatchObject({
      name: "TransportError",
      code: "ECONNREFUSED",
    });
  });
});
