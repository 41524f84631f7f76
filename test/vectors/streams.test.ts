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

/** Calculations and times: nothing of theirs ever stood on a line. `hdlc-noflags` is a frame without the flags that make it one. */
const NO_STREAM = new Set(["crypto", "cosem-datetime", "hdlc-noflags"]);

/** Requests and what associations exchange never come unasked, and so are not looked for where no frame is. */
const isPushed = ({ framing, hex: octets }: Vector) =>
  framing === "ascii-push" || /^(0f|c2|da|db|dd|df|e0)/.test(octets.slice(2 * BARE[framing]!));

/** As it would come over a line: Data gets a notification around it, and what nothing would tell from noise a wrapper. */
function onALine(vector: Vector): Vector {
  const { framing, parts, hex: octets, negative } = vector;
  if (framing in BARE && isPushed(vector) && negative === undefined) return vector;
  if (framing in BARE || framing === "axdr" || framing === "raw-apdu-chunks") {
    const apdus =
      framing === "axdr" ? [`0f0000000000${octets}`] : (parts ?? [octets.slice(2 * (BARE[framing] ?? 0))]);
    return { ...vector, framing: "wrapper", hex: apdus.map(wrapped).join("") };
  }
  return vector;
}

function wrapped(apdu: string): string {
  const header = Buffer.from([0, 1, 0, 1, 0, 0x10, 0, 0]);
  header.writeUInt16BE(apdu.length / 2, 6);
  return header.toString("hex") + apdu;
}

const vectors: Vector[] = fieldFrames
  .map(({ vector }) => onALine(vector))
  .filter(({ framing }) => !NO_STREAM.has(framing));
const isKnown = (framing: string) => MARKED.has(framing) || framing in SET || framing in BARE;
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
/** Of the same kind of line; behind what stands in front of a bare APDU there. */
function goodFor({ framing, hex: octets }: Vector): { octets: Buffer; apdu: string } {
  if (!(framing in BARE)) return GOOD[framing.split(/[-+]/)[0] as keyof typeof GOOD];
  if (framing === "ascii-push") return { octets: ASCII_PUSH, apdu: ASCII_PUSH.toString("hex") };
  return { octets: hex(octets.slice(0, 2 * BARE[framing]!) + PUSH), apdu: PUSH.toLowerCase() };
}
const ASCII_PUSH = Buffer.from("EXXXX999999999999,\x00\x00\x00\x01", "latin1");

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
    expect(fieldFrames.length).toBe(166);
    expect(vectors.map(({ framing }) => framing).filter((framing) => !isKnown(framing))).toEqual([]);
    expect(vectors.length).toBe(160);
  });

  it.each(cases)("%s: octet by octet and cut at every position as whole", (_id, vector, octets) => {
    const whole = summary(deframe(vector, [octets]));
    expect(summary(deframe(vector, singly(octets)))).toEqual(whole);
    for (const chunks of splits(octets)) expect(summary(deframe(vector, chunks))).toEqual(whole);
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

  const marked = only((framing) => !(framing in BARE));

  it.each(marked)("%s: twice in one read, and behind noise", (_id, vector, octets) => {
    const { frames } = deframe(vector, [octets]);
    const unfinished = vector.negative !== undefined || vector.tags.includes("unfinished-segments");
    if (!unfinished) {
      expect(deframe(vector, [Buffer.concat([octets, octets])]).frames).toEqual([...frames, ...frames]);
    }
    // A wrapper header in noise is only believed with an APDU behind it.
    const noise = hex("FF10335500A5");
    const believed = (chunks: Buffer[]) => {
      const found = deframe(vector, chunks).frames;
      // What is refused either way may go with the noise.
      if (vector.negative !== undefined && found.length === 0) return;
      expect(found).toEqual(frames);
    };
    believed([Buffer.concat([noise, octets])]);
    believed([noise, octets]);
  });

  it.each(cases)(
    "%s: between two good frames of another meter nothing of theirs is lost",
    (_id, vector, octets) => {
      const { octets: good, apdu } = goodFor(vector);
      const { frames } = deframe(vector, [Buffer.concat([good, octets, good])]);
      expect(frames[0]).toBe(apdu);
      expect(frames.at(-1)).toBe(apdu);
      if (vector.negative === undefined)
        expect(frames.slice(1, -1)).toEqual(deframe(vector, [octets]).frames);
    },
  );
});
