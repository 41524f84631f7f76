import { describe, expect, it } from "vitest";
import {
  formatSocketAddress,
  networkOf,
  normalisedAddress,
  parseSocketAddress,
} from "../../src/transports/address.ts";

describe("an address to listen on", () => {
  it.each([
    ["[::]:4059", "::", 4059],
    ["[2001:db8::7]:1", "2001:db8::7", 1],
    ["0.0.0.0:0", "0.0.0.0", 0],
    ["localhost:65535", "localhost", 65_535],
    [":4059", "::", 4059],
  ])("%s", (text, host, port) => {
    expect(parseSocketAddress(text)).toEqual({ host, port });
  });

  it.each(["", "4059", "host", "host:", "host:x", "host:65536", "::1:4059", "[::1]", "[::1:4059", "a b:1:2"])(
    "%j is refused, with an example of what is right",
    (text) => {
      expect(() => parseSocketAddress(text)).toThrow(/HOST:PORT.*"\[::\]:4059"/);
    },
  );

  it("is written with brackets where it needs them", () => {
    expect(formatSocketAddress({ host: "::1", port: 7 })).toBe("[::1]:7");
    expect(formatSocketAddress({ host: "10.0.0.1", port: 7 })).toBe("10.0.0.1:7");
  });
});

it("an IPv4 address mapped into IPv6 is written as IPv4", () => {
  expect(normalisedAddress("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(normalisedAddress("::ffff:0:1")).toBe("::ffff:0:1");
  expect(normalisedAddress("2001:db8::1")).toBe("2001:db8::1");
});

it.each([
  ["192.0.2.77", "192.0.2.0/24"],
  ["::ffff:192.0.2.77", "192.0.2.0/24"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2/64"],
  ["2001:db8::1", "2001:db8:0:0/64"],
  ["2001:0DB8:0:0::1", "2001:db8:0:0/64"],
  ["2001:db8:1:2::", "2001:db8:1:2/64"],
  ["::1", "0:0:0:0/64"],
  ["64:ff9b::192.0.2.1", "64:ff9b:0:0/64"],
  ["fe80::1%eth0", "fe80:0:0:0%eth0/64"],
  ["dcu-17.example.net", "dcu-17.example.net"],
])("%s is in the network %s", (host, network) => {
  expect(networkOf(host)).toBe(network);
});
