import { describe, expect, it } from "vitest";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import type { HdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { WrapperDeframer } from "../../src/dlms/wrapper/deframer.ts";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { fieldFrames, fieldFramesPresent } from "../support/field-frames.ts";
import { drain, hex, singly, skippedOctets } from "../support/framing.ts";

const vectors = fieldFrames.map(({ vector }) => vector);
const of = (framing: string) => vectors.filter((vector) => vector.framing === framing);

const control = (frame: HdlcFrame) => frame.control.toString(16).padStart(2, "0");
/** I and UI frames have bit 0 of the control octet clear, or are 03 without the P/F bit. */
const carriesPart = ({ control, information }: HdlcFrame) =>
  information !== null && ((control & 1) === 0 || (control & 0xef) === 0x03);
const apdus = (chunks: Iterable<Buffer>) =>
  drain(new StreamDeframer({ framing: "auto", limits: DEFAULT_LIMITS }), chunks, ({ framing, apdu }) => ({
    framing,
    apdu: apdu.toString("hex"),
  }));

describe.skipIf(!fieldFramesPresent)("HDLC of real meters", () => {
  it.each(of("hdlc"))("$id", (vector) => {
    const octets = hex(vector.hex);
    const seen = vector.verified.hdlc!;
    const whole = drain(new HdlcDeframer(), [octets], control);
    if (seen.fcs_bad === 0) {
      expect(whole.frames).toHaveLength(seen.frames);
      expect(whole.frames.slice(0, 10).join(" ")).toBe(seen.ctl.split(" ").slice(0, 10).join(" "));
    } else {
      expect(whole.frames).toHaveLength(seen.frames - seen.fcs_bad);
    }
    const damaged = seen.fcs_bad > 0 || (vector.negative !== undefined && seen.frames === 0);
    const truncated = vector.tags.includes("truncated");
    if (!truncated) expect(skippedOctets(whole.discarded) > 0).toBe(damaged);
    expect(drain(new HdlcDeframer(), singly(octets), control).frames).toEqual(whole.frames);

    const joined = apdus([octets]);
    expect(apdus(singly(octets)).frames).toEqual(joined.frames);
    if (vector.tags.includes("unfinished-segments")) return;
    const parts = drain(new HdlcDeframer(), [octets], carriesPart).frames.filter((carries) => carries);
    expect(joined.frames).toHaveLength(Math.max(0, parts.length - seen.segs));
  });

  it("gives the APDU of a push in three segments whose borders are anywhere, and of seventeen frames nine", () => {
    const push = apdus([hex(vectors.find(({ id }) => id === "dp-iskra550-3seg")!.hex)]).frames;
    expect(push).toHaveLength(1);
    expect(push[0]!.apdu).toMatch(/^0f000026eb0c/);
    const blocks = apdus([hex(vectors.find(({ id }) => id === "bx-captureobjects-9blocks")!.hex)]);
    expect(blocks.frames).toHaveLength(9);
    expect(blocks.frames.every(({ apdu }) => apdu.startsWith("c402c1"))).toBe(true);
    expect(blocks.discarded).toEqual([]);
  });

  it("messages of conversations come out one by one, in both directions", () => {
    let messages = 0;
    for (const { id, session } of of("hdlc")) {
      for (const message of session ?? []) {
        const { frames, discarded } = drain(new HdlcDeframer(), [hex(message.hex)], control);
        expect({ id, frames: frames.length > 0, discarded }).toEqual({ id, frames: true, discarded: [] });
        messages += 1;
      }
    }
    expect(messages).toBeGreaterThan(50);
  });

  it("a damaged one followed by a good one costs only itself", () => {
    const good = of("hdlc").find(({ id }) => id === "dp-aidon-1ph")!;
    for (const { hex: octets, negative, id, verified } of of("hdlc")) {
      if (negative === undefined || (verified.hdlc!.fcs_bad === 0 && verified.hdlc!.frames > 0)) continue;
      const stream = Buffer.concat([hex(octets), hex(good.hex)]);
      const deframer = new HdlcDeframer();
      const found = drain(deframer, [stream], control).frames;
      if (found.length === 0) {
        // The damaged one says that it is longer than both: only time tells.
        deframer.abandon();
        found.push(...drain(deframer, [Buffer.alloc(0)], control).frames);
      }
      expect({ id, found }).toEqual({ id, found: ["13"] });
    }
  });
});

describe.skipIf(!fieldFramesPresent)("wrapper of real meters", () => {
  it.each(of("wrapper"))("$id", (vector) => {
    const octets = hex(vector.hex);
    const seen = vector.verified.wrapper!;
    const ports = ({ sourceWPort, destinationWPort }: { sourceWPort: number; destinationWPort: number }) => [
      sourceWPort,
      destinationWPort,
    ];
    const whole = drain(new WrapperDeframer(), [octets], ports);
    expect(whole.frames).toHaveLength(seen.frames);
    expect(whole.frames.slice(0, seen.ports.length)).toEqual(seen.ports);
    expect(whole.discarded).toEqual([]);
    const joined = apdus([octets]);
    expect(joined.discarded).toEqual([]);
    const carried = joined.frames.reduce((sum, { apdu }) => sum + apdu.length / 2, 0);
    expect(carried + 8 * seen.frames).toBe(octets.length);
    expect(apdus(singly(octets))).toEqual(joined);
    expect(apdus([octets.subarray(0, 9), octets.subarray(9)])).toEqual(joined);
  });

  it("one octet behind a PDU is noise, and the next PDU is right", () => {
    const good = hex(of("wrapper").find(({ id }) => id === "mat-profile")!.hex);
    const { frames, discarded } = apdus([Buffer.concat([good, hex("7F"), good])]);
    expect(frames).toHaveLength(2);
    expect(skippedOctets(discarded)).toBe(1);
  });
});

/** Where the APDU begins in what has no frame, or only something that looks like one. */
const BARE: Record<string, number> = {
  "ascii-push": 0,
  "zeroed-wrapper": 8,
  "plc-llc": 3,
  "hdlc-info": 3,
  p1: 0,
};

describe.skipIf(!fieldFramesPresent)("APDUs without a frame", () => {
  const bare = vectors.filter(({ framing, tags }) => framing in BARE && !tags.includes("no push"));
  // Requests and association messages never come unasked, so that they are not looked for.
  const pushed = bare.filter(({ hex: octets, framing }) =>
    framing === "ascii-push" ? true : /^(0f|c2|db)/.test(octets.slice(2 * BARE[framing]!)),
  );

  it.each(pushed)("$id ($framing) is found whole and octet by octet", ({ hex: octets, framing }) => {
    const whole = { frames: [{ apdu: octets.slice(2 * BARE[framing]!) }], discarded: [] };
    expect(apdus([hex(octets)])).toMatchObject(whole);
    expect(apdus(singly(hex(octets)))).toMatchObject(whole);
    expect(apdus([hex(octets + octets)])).toMatchObject({
      frames: [...whole.frames, ...whole.frames],
      discarded: [],
    });
  });
});

describe.skipIf(!fieldFramesPresent)("octets behind a frame", () => {
  it("a signature behind an HDLC frame does not hurt the frame, nor the next one", () => {
    const [signed] = of("hdlc+trailer");
    const octets = hex(signed!.hex);
    const { frames, discarded } = apdus([Buffer.concat([octets, octets])]);
    expect(frames).toHaveLength(2);
    expect(frames[0]!.apdu).toMatch(/^db0849534b69743c103f4f2000/);
    expect(skippedOctets(discarded)).toBeGreaterThan(0);
  });

  it("a frame that a text-mode adapter has damaged gives nothing", () => {
    for (const { hex: octets } of of("hdlc-damaged")) expect(apdus([hex(octets)]).frames).toEqual([]);
  });
});
