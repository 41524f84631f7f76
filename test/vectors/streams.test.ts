import { describe, expect, it } from "vitest";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import type { LineFraming } from "../../src/line-framing.ts";
import { PUSH } from "../dlms/hdlc-vectors.ts";
import { type FieldFrame, fieldFrames, fieldFramesPresent } from "../support/field-frames.ts";
import { type Drained, drain, hex, singly, skippedOctets, splits } from "../support/framing.ts";

/** What real meters sent, as a listener gets it: cut anywhere, merged, behind noise, between the frames of other meters. */
type Vector = FieldFrame;

/** Framings that a listener is set to; the others it has to tell by itself. */
const SET: Record<string, LineFraming> = {
  "hdlc-stuffed": "hdlc-stuffed",
  "hdlc-damaged": "hdlc-text-mode",
};
/** Framings that have a mark, a length or a check sequence by which they are found behind noise. */
const MARKED = new Set(["hdlc", "hdlc+trailer", "wrapper", "mbus", "mbus-badlen"]);
/** Where an APDU begins that has no frame. */
const BARE: Record<string, number> = {
  "raw-apdu": 0,
  "ascii-push": 0,
  "zeroed-wrapper": 8,
  "plc-llc": 3,
  "hdlc-info": 3,
  p1: 0,
};

/** Requests and what associations exchange never come unasked, and so are not looked for where no frame is. */
const isPushed = ({ framing, hex: octets }: Vector) =>
  framing === "ascii-push" || /^(0f|c2|da|db|dd|df|e0)/.test(octets.slice(2 * BARE[framing]!));

const vectors: Vector[] = fieldFrames
  .map(({ vector }) => vector)
  .filter((vector) => MARKED.has(vector.framing) || vector.framing in SET || vector.framing in BARE)
  .filter((vector) => !(vector.framing in BARE) || (isPushed(vector) && vector.negative === undefined));
const cases = vectors.map((vector) => [vector.id, vector, hex(vector.hex)] as const);
const only = (framings: (framing: string) => boolean) => cases.filter(([, { framing }]) => framings(framing));

const deframe = ({ framing }: Pick<Vector, "framing">, chunks: Iterable<Buffer>): Drained<string> =>
  drain(new StreamDeframer({ framing: SET[framing] ?? "auto", limits: DEFAULT_LIMITS }), chunks, ({ apdu }) =>
    apdu.toString("hex"),
  );
/** The same APDUs, and as many octets that belong to none. */
const summary = ({ frames, discarded }: Drained<string>) => ({ frames, lost: skippedOctets(discarded) });

/** Frames of other meters, laid out by hand; the one of M-Bus carries the single octet 0F. */
const GOOD = {
  hdlc: { octets: hex(`7EA04B81031353ADE6E700${PUSH}67CA7E`), apdu: PUSH.toLowerCase() },
  wrapper: { octets: hex(`000100010040003F${PUSH}`), apdu: PUSH.toLowerCase() },
  mbus: { octets: hex("6806066853FF1001670FD916"), apdu: "0f" },
};
const goodFor = (framing: string) => GOOD[framing.split(/[-+]/)[0] as keyof typeof GOOD];

/** Cuts `octets` at random places, the same for the same seed. */
function* randomCuts(octets: Buffer, seed: number): Generator<Buffer> {
  let state = seed;
  for (let from = 0; from < octets.length; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    const to = Math.min(octets.length, from + 1 + ((state >> 8) % 97));
    yield octets.subarray(from, to);
    from = to;
  }
}

describe.skipIf(!fieldFramesPresent)("every field vector as a stream", () => {
  it("there are enough of them", () => {
    expect(vectors.length).toBeGreaterThan(110);
  });

  it.each(cases)("%s: octet by octet and cut at every position as whole", (_id, vector, octets) => {
    const whole = summary(deframe(vector, [octets]));
    expect(summary(deframe(vector, singly(octets)))).toEqual(whole);
    const step = Math.max(1, Math.floor(octets.length / 400));
    let at = 0;
    for (const chunks of splits(octets)) {
      if (at++ % step === 0) expect(summary(deframe(vector, chunks))).toEqual(whole);
    }
    for (let seed = 1; seed <= 5; seed++) {
      expect(summary(deframe(vector, randomCuts(octets, seed)))).toEqual(whole);
    }
  });

  it.each(only((framing) => framing in BARE))(
    "%s: is one APDU, twice in one read two",
    (_id, vector, octets) => {
      const { framing } = vector;
      const { frames, discarded } = deframe(vector, [octets]);
      expect(discarded).toEqual([]);
      expect(frames.join("")).toBe(octets.toString("hex", BARE[framing]!));
      const twice = deframe(vector, [Buffer.concat([octets, octets])]);
      expect(twice).toEqual({ frames: [...frames, ...frames], discarded: [] });
    },
  );

  it.each(only((framing) => framing in BARE))(
    "%s: is found after noise and a silence",
    (_id, vector, octets) => {
      const deframer = new StreamDeframer({ framing: "auto", limits: DEFAULT_LIMITS });
      const keep = ({ apdu }: { apdu: Buffer }) => apdu.toString("hex");
      expect(drain(deframer, [hex("FFFE33")], keep, 0).frames).toEqual([]);
      expect(drain(deframer, [octets], keep, 1_000).frames).toEqual(deframe(vector, [octets]).frames);
    },
  );

  const marked = only((framing) => MARKED.has(framing));

  it.each(marked)("%s: twice in one read, and behind noise", (_id, vector, octets) => {
    const { frames } = deframe(vector, [octets]);
    const unfinished = vector.negative !== undefined || vector.tags.includes("unfinished-segments");
    if (!unfinished) {
      expect(deframe(vector, [Buffer.concat([octets, octets])]).frames).toEqual([...frames, ...frames]);
    }
    // A wrapper header in noise is only believed with an APDU behind it.
    if (vector.negative !== undefined) return;
    const noise = hex("FF10335500A5");
    expect(deframe(vector, [Buffer.concat([noise, octets])]).frames).toEqual(frames);
    expect(deframe(vector, [noise, octets]).frames).toEqual(frames);
  });

  it.each(marked)(
    "%s: between two good frames of another meter nothing of theirs is lost",
    (_id, vector, octets) => {
      const { octets: good, apdu } = goodFor(vector.framing);
      const { frames } = deframe(vector, [Buffer.concat([good, octets, good])]);
      expect(frames[0]).toBe(apdu);
      expect(frames.at(-1)).toBe(apdu);
      if (vector.negative === undefined)
        expect(frames.slice(1, -1)).toEqual(deframe(vector, [octets]).frames);
    },
  );
});
