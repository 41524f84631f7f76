import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { parseAddressSet } from "../../src/transports/address-set.ts";
import type { ByteConnection } from "../../src/transports/connection.ts";
import { readProxyHeader } from "../../src/transports/proxy-header.ts";
import { TcpListener } from "../../src/transports/tcp-listener.ts";
import { Arrivals } from "../support/arrivals.ts";

/* What HAProxy 2.6.12 sent to its servers when `METER` came from a client; the lengths are those of the headers alone. */
const RECORDED = {
  /** send-proxy */
  line: Buffer.from("PROXY TCP4 127.0.0.1 127.0.0.1 54228 17001\r\n", "latin1"),
  /** send-proxy-v2 */
  ipv4: Buffer.from("0d0a0d0a000d0a515549540a2111000c7f0000017f000001cf68426a", "hex"),
  ipv6: Buffer.from(
    "0d0a0d0a000d0a515549540a2121002400000000000000000000000000000001" +
      "00000000000000000000000000000001d13c426e",
    "hex",
  ),
  /** A health check with check-send-proxy and proxy-v2-options crc32c: command LOCAL, one TLV. */
  check: Buffer.from("0d0a0d0a000d0a515549540a20000007030004a9b87e8f", "hex"),
};
/** Written by hand from section 2.1 and 2.2 of the specification. */
const WRITTEN = {
  line6: Buffer.from("PROXY TCP6 2001:DB8::1 ::1 65535 4059\r\n", "latin1"),
  /** 107 octets, the longest that can be: section 2.1 gives it. */
  longest: Buffer.from(
    `PROXY UNKNOWN ${"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ".repeat(2)}65535 65535\r\n`,
    "latin1",
  ),
  unknown: Buffer.from("PROXY UNKNOWN\r\n", "latin1"),
  mapped: Buffer.from(
    "0d0a0d0a000d0a515549540a2121002400000000000000000000ffffc000022a" +
      "20010db8000000000000000000000001800000ff",
    "hex",
  ),
};

describe("a PROXY protocol header", () => {
  it.each([
    ["version 1 of HAProxy", RECORDED.line, { address: "127.0.0.1", port: 54_228 }],
    ["version 2 of HAProxy, IPv4", RECORDED.ipv4, { address: "127.0.0.1", port: 0xcf68 }],
    ["version 2 of HAProxy, IPv6", RECORDED.ipv6, { address: "::1", port: 0xd13c }],
    ["a health check of HAProxy", RECORDED.check, null],
    ["version 1, IPv6", WRITTEN.line6, { address: "2001:db8::1", port: 65_535 }],
    ["version 1, unknown", WRITTEN.unknown, null],
    ["version 1, unknown, 107 octets", WRITTEN.longest, null],
    ["IPv4 mapped into IPv6", WRITTEN.mapped, { address: "192.0.2.42", port: 0x8000 }],
  ])("says who called: %s", (_, octets, peer) => {
    expect(octets.length).toBeLessThanOrEqual(107);
    expect(readProxyHeader(Buffer.concat([octets, Buffer.from("7ea0", "hex")]))).toEqual({
      peer,
      length: octets.length,
    });
    for (let length = 0; length < octets.length; length++) {
      expect(readProxyHeader(octets.subarray(0, length)), `${length} octets`).toBeNull();
    }
  });

  it.each([
    ["a meter's wrapper PDU", Buffer.from("0001000100010001", "hex")],
    ["a meter's HDLC frame", Buffer.from("7ea0", "hex")],
    ["a line without addresses", Buffer.from("PROXY TCP4\r\n", "latin1")],
    ["names instead of addresses", Buffer.from("PROXY TCP4 localhost localhost 1 2\r\n", "latin1")],
    ["the other family", Buffer.from("PROXY TCP4 ::1 ::1 1 2\r\n", "latin1")],
    ["a port that is none", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "latin1")],
    ["more words", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "latin1")],
    ["a line that never ends", Buffer.alloc(107, "PROXY UNKNOWN ", "latin1")],
    ["version 3", Buffer.from("0d0a0d0a000d0a515549540a3111000c", "hex")],
    ["command 2", Buffer.from("0d0a0d0a000d0a515549540a2211000c", "hex")],
    ["UDP", Buffer.from("0d0a0d0a000d0a515549540a2112000c7f0000017f000001cf68426a", "hex")],
    ["addresses cut off", Buffer.from("0d0a0d0a000d0a515549540a2111000b7f0000017f000001cf6842", "hex")],
    ["more than may be", Buffer.from("0d0a0d0a000d0a515549540a2111ffff", "hex")],
  ])("is refused: %s", (_, octets) => {
    expect(() => readProxyHeader(octets)).toThrow(/the PROXY protocol's header is wrong: /);
  });
});

describe("trusted addresses", () => {
  it("are addresses and networks of both families", () => {
    const set = parseAddressSet(["10.0.0.5", "10.1.0.0/16", "2001:db8::/32"]);
    for (const inside of ["10.0.0.5", "10.1.255.1", "::ffff:10.1.0.1", "2001:db8:1::5"]) {
      expect(set.has(inside), inside).toBe(true);
    }
    for (const outside of ["10.0.0.6", "10.2.0.1", "2001:db9::1", "unknown", ""]) {
      expect(set.has(outside), outside).toBe(false);
    }
    expect(parseAddressSet([]).has("127.0.0.1")).toBe(false);
  });

  it.each(["", "localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "::/129"])("%j is none", (text) => {
    expect(() => parseAddressSet([text])).toThrow(/no address and no network/);
  });
});

const cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function listen(trusted: readonly string[], headerMs = 60_000) {
  const accepted = new Arrivals<ByteConnection>();
  const refused = new Arrivals<string>();
  const connections = { open: 0, max: 10 };
  const listener = await TcpListener.listen({
    address: { host: "127.0.0.1", port: 0 },
    connections,
    onConnection: accepted.add,
    onError: (error) => {
      throw error;
    },
    proxies: {
      addresses: parseAddressSet(trusted),
      headerMs,
      onRefused: (from, why) => refused.add(`${from}: ${why.message}`),
    },
  });
  cleanUps.push(() => listener.close());
  const call = (): Socket => {
    const socket = connect(listener.address.port, "127.0.0.1").on("error", () => {});
    cleanUps.push(() => void socket.destroy());
    return socket;
  };
  return { listener, accepted, refused, connections, call };
}

const first = (connection: ByteConnection) =>
  new Promise<string>((resolve) => connection.onData((chunk) => resolve(chunk.toString("latin1"))));

const MAPPED_METER = Buffer.concat([WRITTEN.mapped, Buffer.from("METER")]);

describe("a listener behind a balancer", () => {
  it("takes the meter's address from the header, and everything behind it as the meter's", async () => {
    const { accepted, call } = await listen(["127.0.0.0/8"]);
    const socket = call();
    socket.write(MAPPED_METER);
    const connection = await accepted.next();
    expect(connection).toMatchObject({ remoteAddress: "192.0.2.42", remotePort: 0x8000 });
    expect(await first(connection)).toBe("METER");
    connection.write(Buffer.from("answer"));
    expect(String(await once(socket, "data"))).toBe("answer");
  });

  it("reads a header that comes octet by octet, and nothing while the connection is paused", async () => {
    const { accepted, call } = await listen(["127.0.0.1"]);
    const socket = call();
    socket.setNoDelay(true);
    for (const octet of WRITTEN.mapped) {
      await new Promise<void>((resolve) => socket.write(Buffer.of(octet), () => resolve()));
      await new Promise(setImmediate);
    }
    const connection = await accepted.next();
    let paused = true;
    const read = new Promise<[string, boolean]>((resolve) =>
      connection.onData((chunk) => resolve([chunk.toString(), paused])),
    );
    connection.pause();
    await new Promise<void>((resolve) => socket.write("METER", () => resolve()));
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    paused = false;
    connection.resume();
    expect(await read).toEqual(["METER", false]);
  });

  it("believes no header from elsewhere", async () => {
    const { accepted, call } = await listen(["192.0.2.1"]);
    call().write(MAPPED_METER);
    const connection = await accepted.next();
    expect(connection.remoteAddress).toBe("127.0.0.1");
    expect(await first(connection)).toBe(MAPPED_METER.toString("latin1"));
  });

  it("closes what comes from a balancer without a header, or with half of one, and says so", async () => {
    const { refused, call, connections } = await listen(["127.0.0.1"]);
    const without = call();
    without.write(Buffer.from("0001000100010001", "hex"));
    await once(without.resume(), "close");
    expect(await refused.next()).toMatch(/^127\.0\.0\.1: .*neither PROXY nor the signature/);
    const half = call();
    half.end(WRITTEN.mapped.subarray(0, 20));
    await once(half.resume(), "close");
    expect(await refused.next()).toMatch(/cut off/);
    await expect.poll(() => connections.open).toBe(0);
  });

  it("waits no longer than it may", async () => {
    const { refused, call } = await listen(["127.0.0.1"], 20);
    const silent = call();
    await once(silent.resume(), "close");
    expect(await refused.next()).toMatch(/no PROXY protocol header came within 20 ms/);
  });

  it("takes health checks for nothing", async () => {
    const { accepted, refused, call, connections } = await listen(["127.0.0.1"]);
    const bare = call();
    await once(bare, "connect");
    bare.destroy();
    await expect.poll(() => connections.open).toBe(0);
    call().write(RECORDED.check);
    expect(await accepted.next()).toMatchObject({ remoteAddress: "127.0.0.1" });
    call().write(Buffer.from("nothing"));
    // The first that is reported is the last one that called.
    expect(await refused.next()).toMatch(/neither/);
  });

  it("closes what hasn't said who it is when it ends", async () => {
    const { listener, call, connections } = await listen(["127.0.0.1"]);
    const silent = call();
    await expect.poll(() => connections.open).toBe(1);
    await listener.close();
    await once(silent.resume(), "close");
  });
});
