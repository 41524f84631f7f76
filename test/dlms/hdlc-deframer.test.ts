import { describe, expect, it } from "vitest";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import { fcs16 } from "../../src/dlms/hdlc/fcs.ts";
import { type HdlcFrame, readHdlcFrame, writeHdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { drain, hex, singly, skippedOctets, splits } from "../support/framing.ts";
import { HDLC_VECTORS, type HdlcVector } from "./hdlc-vectors.ts";

const described = ({ segmented, destination, source, control, information, octets }: HdlcFrame) => ({
  segmented,
  destination: [destination.upper, destination.lower],
  source: [source.upper, source.lower],
  control,
  information: information?.toString("hex") ?? null,
  octets,
});

const expected = (vector: HdlcVector) => ({
  segmented: vector.segmented ?? false,
  destination: [...vector.destination],
  source: [...vector.source],
  control: vector.control,
  information: vector.information?.toLowerCase() ?? null,
  octets: vector.octets.length / 2 - 2,
});

const deframe = (chunks: Iterable<Buffer>) => drain(new HdlcDeframer(), chunks, described);

const GOOD = HDLC_VECTORS.find(({ what }) => what === "UI frame with a push")!;

describe("the check sequence", () => {
  it("of 123456789 is 906E", () => {
    expect(fcs16(Buffer.from("123456789"))).toBe(0x906e);
  });

  it("is that of the range only", () => {
    expect(fcs16(Buffer.from("xx123456789yyy"), 2, 11)).toBe(0x906e);
  });
});

describe.each(HDLC_VECTORS)("$what", (vector) => {
  const octets = hex(vector.octets);

  it("is found whole", () => {
    expect(deframe([octets])).toEqual({ frames: [expected(vector)], discarded: [] });
  });

  it("is found when it comes octet by octet", () => {
    expect(deframe(singly(octets))).toEqual({ frames: [expected(vector)], discarded: [] });
  });

  it("is found when it is cut at any position", () => {
    for (const chunks of splits(octets)) {
      expect(deframe(chunks)).toEqual({ frames: [expected(vector)], discarded: [] });
    }
  });

  it("is found twice in a chunk, with two flags and with one between", () => {
    const shared = Buffer.concat([octets, octets.subarray(1)]);
    for (const chunk of [Buffer.concat([octets, octets]), shared]) {
      expect(deframe([chunk])).toEqual({ frames: [expected(vector), expected(vector)], discarded: [] });
    }
  });

  it("is found behind idle flags and without its closing flag", () => {
    expect(deframe([Buffer.alloc(6, 0x7e), octets]).frames).toEqual([expected(vector)]);
    expect(deframe([octets.subarray(0, -1)]).frames).toEqual([expected(vector)]);
  });

  it("is found behind noise, which is reported", () => {
    const { frames, discarded } = deframe([Buffer.concat([hex("00 A0 07 7E 12 34 A8 FF"), octets])]);
    expect(frames).toEqual([expected(vector)]);
    expect(skippedOctets(discarded)).toBe(8 - 1); // the flag in the noise is not counted: flags may be idle
  });

  it("is not found when an octet of it is wrong, and the one behind it is", () => {
    for (let at = 1; at < octets.length - 1; at++) {
      const wrong = Buffer.from(octets);
      wrong[at]! ^= 0x10;
      const { frames, discarded } = deframe([Buffer.concat([wrong, ...Array(40).fill(hex(GOOD.octets))])]);
      expect(frames.length).toBeGreaterThanOrEqual(40 - 27); // a wrong length may reach over 2,047 octets
      expect(frames.every((frame) => frame.information === GOOD.information!.toLowerCase())).toBe(true);
      expect(skippedOctets(discarded)).toBeGreaterThan(0);
    }
  });

  it("can be read alone, and every prefix of it is refused as truncated", () => {
    const frame = octets.subarray(1, -1);
    expect(described(readHdlcFrame(frame))).toEqual(expected(vector));
    for (let length = 0; length < frame.length; length++) {
      expect(() => readHdlcFrame(frame.subarray(0, length))).toThrow(
        expect.objectContaining({ name: "DecodeError", code: "truncated" }),
      );
    }
    expect(() => readHdlcFrame(octets.subarray(1))).toThrow(expect.objectContaining({ code: "trailing" }));
  });

  it("is what the writer writes", () => {
    const address = ([upper, lower]: readonly [number, number | null], length: 1 | 2 | 4) =>
      hdlcAddress(upper, lower, length);
    const { destination, source } = readHdlcFrame(octets.subarray(1, -1));
    const written = writeHdlcFrame({
      segmented: vector.segmented ?? false,
      destination: address(vector.destination, destination.length),
      source: address(vector.source, source.length),
      control: vector.control,
      information: vector.information === null ? null : hex(vector.information),
    });
    expect(written.toString("hex")).toBe(vector.octets.toLowerCase());
  });
});
