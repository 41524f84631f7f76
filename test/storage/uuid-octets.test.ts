import { expect, it } from "vitest";
import { UuidOctets } from "../../src/storage/uuid-octets.ts";

const hex = ({ a, b, c, d }: UuidOctets) => [a, b, c, d].map((n) => (n >>> 0).toString(16).padStart(8, "0"));

it("reads a uuid as four numbers, in either case", () => {
  const octets = new UuidOctets();
  octets.read("f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
  expect(hex(octets)).toEqual(["f81d4fae", "7dec11d0", "a76500a0", "c91e6bf6"]);
  octets.read("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF7");
  expect(hex(octets)).toEqual(["f81d4fae", "7dec11d0", "a76500a0", "c91e6bf7"]);
});

it("refuses what is none, and remembers nothing of it", () => {
  const octets = new UuidOctets();
  const wrong = ["", "f81d4fae7dec11d0a76500a0c91e6bf6", "f81d4fae-7dec-11d0-a765-00a0c91e6bg6"];
  for (const text of [...wrong, ...wrong]) expect(() => octets.read(text)).toThrow(TypeError);
});
