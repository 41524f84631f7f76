import { describe, expect, it } from "vitest";
import { MbusDeframer } from "../../src/dlms/mbus/deframer.ts";
import type { MbusLongFrame } from "../../src/dlms/mbus/long-frame.ts";
import { MbusReassembly } from "../../src/dlms/mbus/segments.ts";
import { fieldFrames, fieldFramesPresent } from "../support/field-frames.ts";
import { drain, hex, singly, skippedOctets, splits } from "../support/framing.ts";

// 68 06 06 68: six octets C to data; sum of 53 FF 10 01 67 0F is 1D9.
const SINGLE = hex("68 06 06 68 53 FF 10 01 67 0F D9 16");
// DLMS-FACTS 19.5: the encrypted-only alert push in one frame.
const ALERT = hex(
  `6854546853FF100167DB084142430000000001442000000010295184EC92371DEBAF0A7AF95A0B38165E94EAA3D45D0EA05AA6651FAC843D80F486
   7F578FAD0BD94303F386947F898FF7AD8AFE1D476F9866063C5DB5658EEF16`,
);
// Segments 0 and 1, the last one: 53+FF+00+01+67+0A = 1C4, 53+FF+11+01+67+0B = 1D6.
const FIRST = hex("68 06 06 68 53 FF 00 01 67 0A C4 16");
const LAST = hex("68 06 06 68 53 FF 11 01 67 0B D6 16");

const keep = (frame: MbusLongFrame) => ({ ...frame, data: frame.data.toString("hex") });
const of = (chunks: Iterable<Buffer>) => drain(new MbusDeframer(), chunks, keep);

describe("M-Bus long frames", () => {
  it("give control, address, segment, SAPs and data", () => {
    expect(of([SINGLE]).frames).toEqual([
      {
        control: 0x53,
        address: 0xff,
        segmentNumber: 0,
        finalSegment: true,
        stsap: 1,
        dtsap: 0x67,
        data: "0f",
        octets: 12,
      },
    ]);
    expect(of([ALERT]).frames[0]!.data).toMatch(/^db084142430000000001442000000010.*5658e$/);
  });

  it("are the same whole, octet by octet, and cut anywhere", () => {
    const whole = of([ALERT]);
    expect(of(singly(ALERT))).toEqual(whole);
    for (const parts of splits(ALERT)) expect(of(parts)).toEqual(whole);
  });

  it("are found in one chunk with others, behind noise, and behind a corrupt one", () => {
    expect(of([Buffer.concat([SINGLE, ALERT])]).frames).toHaveLength(2);
    const noisy = of([Buffer.concat([hex("68 16 00 68 68"), SINGLE])]);
    expect(noisy.frames).toHaveLength(1);
    expect(skippedOctets(noisy.discarded)).toBe(5);
    const corrupt = Buffer.from(ALERT);
    corrupt[20]! ^= 0x01;
    const both = of([Buffer.concat([corrupt, SINGLE, Buffer.alloc(300)])]);
    expect(both.frames.map(({ data }) => data)).toEqual(["0f"]);
    expect(skippedOctets(both.discarded)).toBe(corrupt.length + 300);
  });

  it("with the CI field of another protocol are refused", () => {
    // CI 72, the variable data structure of a water meter: 53+FF+72+01+67+0F = 23B
    const { frames, discarded } = of([hex("68 06 06 68 53 FF 72 01 67 0F 3B 16")]);
    expect(frames).toEqual([]);
    expect(discarded[0]).toMatchObject({ count: 12, reason: "malformed" });
  });

  it("whose length has lost its 256 (Sagemcom T210-D) are believed for their checksum", () => {
    // 252 octets of data: L would be 257 = 101, and 01 is sent. 53+FF+10+01+67 = 1CA, 252 × 01 = FC: 2C6
    const long = Buffer.concat([hex("68 01 01 68 53 FF 10 01 67"), Buffer.alloc(252, 1), hex("C6 16")]);
    expect(of(singly(long)).frames[0]!.data).toBe("01".repeat(252));
  });
});

describe("M-Bus segments", () => {
  const limits = { apduOctetsMax: 4, apduMs: 1_000 };
  const frames = (octets: Buffer) => drain(new MbusDeframer(), [octets], (f) => f).frames;

  it("become one APDU", () => {
    const reassembly = new MbusReassembly(limits);
    const [first, last] = frames(Buffer.concat([FIRST, LAST]));
    expect(reassembly.add(first!, 0)).toEqual({ kind: "need-more" });
    expect(reassembly.deadline()).toBe(1_000);
    expect(reassembly.add(last!, 10)).toEqual({ kind: "frame", apdu: hex("0A 0B"), octets: 24 });
    expect(reassembly.deadline()).toBeNull();
  });

  it("that are empty and never end are too many one day", () => {
    const reassembly = new MbusReassembly({ apduOctetsMax: 262_144, apduMs: 60_000 });
    const [empty] = frames(FIRST).map((frame) => ({ ...frame, data: Buffer.alloc(0) }));
    let given = 0;
    for (; given < 10_000; given++) {
      const joined = reassembly.add({ ...empty!, segmentNumber: given & 0x0f }, 0);
      if (joined.kind === "discarded") {
        expect(joined.reason).toBe("limit");
        break;
      }
    }
    expect(given).toBe(4_096);
    expect(reassembly.memoryBytes).toBe(0);
  });

  it("that miss one, or never end, are given up with a reason", () => {
    const reassembly = new MbusReassembly(limits);
    const [first, last] = frames(Buffer.concat([FIRST, LAST]));
    // Its own 12 octets are lost, where nothing came before as well as behind what it doesn't follow.
    expect(reassembly.add(last!, 0)).toMatchObject({ kind: "discarded", reason: "malformed", count: 12 });
    reassembly.add(first!, 0);
    expect(reassembly.add({ ...last!, segmentNumber: 2 }, 0)).toMatchObject({ kind: "discarded", count: 24 });
    expect(reassembly.add(first!, 0)).toEqual({ kind: "need-more" });
    expect(reassembly.add(first!, 5)).toMatchObject({ kind: "discarded", count: 12 });
    expect(reassembly.add(last!, 6)).toMatchObject({ kind: "frame", apdu: hex("0A 0B") });
    reassembly.add(first!, 10);
    expect(reassembly.expire(1_009)).toBeNull();
    expect(reassembly.expire(1_010)).toMatchObject({ kind: "discarded", count: 12 });
  });

  it("longer than an APDU may be are given up", () => {
    const reassembly = new MbusReassembly({ apduOctetsMax: 1, apduMs: 1_000 });
    const [first, last] = frames(Buffer.concat([FIRST, LAST]));
    reassembly.add(first!, 0);
    expect(reassembly.add(last!, 0)).toMatchObject({ kind: "discarded", reason: "limit" });
  });
});

describe.skipIf(!fieldFramesPresent)("M-Bus frames of real meters", () => {
  const vectors = fieldFrames.map(({ vector }) => vector).filter(({ framing }) => framing.startsWith("mbus"));

  // General-glo-ciphering says its own length: 82 and 81 are the forms of A-XDR.
  it.each(vectors)("$id is one whole APDU", (vector) => {
    const octets = Buffer.from(vector.hex, "hex");
    for (const chunks of [[octets], singly(octets)]) {
      const reassembly = new MbusReassembly({ apduOctetsMax: 4_096, apduMs: 1_000 });
      const { frames, discarded } = drain(new MbusDeframer(), chunks, (f) => ({
        ...f,
        data: Buffer.from(f.data),
      }));
      expect(discarded).toEqual([]);
      const last = frames.map((frame) => reassembly.add(frame, 0)).at(-1)!;
      if (last.kind !== "frame") throw new Error(last.kind);
      expect(last.apdu[0]).toBe(0xdb);
      const length = { 129: [11, 1], 130: [11, 2] }[last.apdu[10]!];
      const [at, size] = length ?? [10, 1];
      expect(last.apdu.length).toBe(at! + size! + last.apdu.readUIntBE(at!, size!));
    }
  });
});
