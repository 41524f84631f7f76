import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readHdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { readWpdu } from "../../src/dlms/wrapper/wpdu.ts";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import type { ReceivedApdu } from "../../src/ingest/received-apdu.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { PUSH } from "../dlms/hdlc-vectors.ts";
import { drain, hex, singly, skippedOctets } from "../support/framing.ts";

const WRAPPED = hex(`000100010040003F${PUSH}`);
const FRAMED = hex(`7EA04B81031353ADE6E700${PUSH}67CA7E`);

type Framing = "auto" | "hdlc" | "wrapper";
const create = (framing: Framing = "auto") => new StreamDeframer({ framing, limits: DEFAULT_LIMITS });
const keep = ({ framing, apdu }: ReceivedApdu) => `${framing} ${apdu.toString("hex")}`;

/** Octets of which many are such as frames begin with. */
const suspicious = fc.oneof(
  fc.constantFrom(0x7e, 0xa0, 0xa8, 0x00, 0x01, 0x03, 0xe6, 0xe7, 0x0f, 0x08, 0x13, 0x41, 0x21),
  fc.integer({ min: 0, max: 255 }),
);
/** Real frames, parts of them, frames with an octet changed, and noise, one behind the other. */
const piece = fc.oneof(
  fc.array(suspicious, { maxLength: 40 }).map((octets) => Buffer.from(octets)),
  fc
    .tuple(fc.constantFrom(WRAPPED, FRAMED), fc.nat(80), fc.nat(80))
    .map(([frame, from, to]) => frame.subarray(Math.min(from, to), Math.max(from, to))),
  fc
    .tuple(fc.constantFrom(WRAPPED, FRAMED), fc.nat(70), fc.integer({ min: 1, max: 255 }))
    .map(([frame, at, change]) => {
      const changed = Buffer.from(frame);
      changed[at]! ^= change;
      return changed;
    }),
  fc.constantFrom(WRAPPED, FRAMED),
);
const stream = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces));
const framing = fc.constantFrom<Framing>("auto", "hdlc", "wrapper");

const cut = (octets: Buffer, at: readonly number[]): Buffer[] => {
  const borders = [
    0,
    ...at.map((border) => border % (octets.length + 1)).sort((a, b) => a - b),
    octets.length,
  ];
  return borders.slice(1).map((border, index) => octets.subarray(borders[index], border));
};

describe("any octets whatever", () => {
  it("give APDUs, reports and nothing else, the same however they are cut", () => {
    fc.assert(
      fc.property(stream, framing, fc.array(fc.nat(), { maxLength: 8 }), (octets, kind, at) => {
        const whole = drain(create(kind), [octets], keep);
        const parts = drain(create(kind), cut(octets, at), keep);
        expect(parts.frames).toEqual(whole.frames);
        expect(skippedOctets(parts.discarded)).toBe(skippedOctets(whole.discarded));
        for (const { count, reason, text } of whole.discarded) {
          expect(count).toBeGreaterThan(0);
          expect(["malformed", "limit"]).toContain(reason);
          expect(text.length).toBeGreaterThan(10);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("never leave a deframer that is stuck: after timeouts, a push is found", () => {
    fc.assert(
      fc.property(stream, fc.constantFrom(WRAPPED, FRAMED), (octets, push) => {
        const deframer = create();
        drain(deframer, [octets], keep, 0);
        let now = 0;
        for (let deadline = deframer.deadline(); deadline !== null; deadline = deframer.deadline()) {
          expect(deadline).toBeGreaterThan(now);
          now = deadline;
          deframer.handleTimeout(now);
          drain(deframer, [Buffer.alloc(0)], keep, now);
        }
        // Once HDLC has been seen, or seems to come, only that framing is certain to be found.
        const settled = deframer.framing === "hdlc" ? FRAMED : push;
        expect(drain(deframer, [settled], keep, now).frames.join()).toContain(PUSH.toLowerCase());
      }),
      { numRuns: 1_000 },
    );
  });

  it("are read as one frame, or refused by a DecodeError", () => {
    const refused = (read: () => unknown) => {
      try {
        read();
        return true;
      } catch (error) {
        return (error as Error).name === "DecodeError";
      }
    };
    fc.assert(
      fc.property(stream, (octets) => {
        expect(refused(() => readHdlcFrame(octets))).toBe(true);
        expect(refused(() => readHdlcFrame(octets.subarray(1, -1)))).toBe(true);
        expect(refused(() => readWpdu(octets, 1_000))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

const TRIES_MAX = 20;
/** Ten times what 64 KiB take; looked at again with each octet that comes, they would take seconds. */
const AT_ONCE_MS = 200;
const SINGLY_MS = 1_000;

/** Whether a stream, taken chunk by chunk, is through in `ms` milliseconds: once in some tries, for other work on the machine. */
function isThroughIn(ms: number, chunks: readonly Buffer[], kind: Framing): boolean {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const from = performance.now();
    drain(create(kind), chunks, () => null);
    if (performance.now() - from < ms) return true;
  }
  return false;
}

/** A frame with a right header check sequence and a wrong frame check sequence, which claims 2,047 octets. */
const PROMISING = hex("7E A7 FF 03 03 13");

function header(): Buffer {
  // Format, destination 1, source 1, control 13, then the HCS that belongs to them (CRC-16/X-25, worked bit by bit).
  let register = 0xffff;
  for (const octet of PROMISING.subarray(1)) {
    register ^= octet;
    for (let bit = 0; bit < 8; bit++) register = register & 1 ? (register >> 1) ^ 0x8408 : register >> 1;
  }
  register ^= 0xffff;
  return Buffer.concat([PROMISING, Buffer.from([register & 0xff, register >> 8])]);
}

describe("64 KiB of hostile octets cost little, at once and one by one", () => {
  const size = 65_536;
  const filled = (pattern: Buffer) => Buffer.alloc(size, pattern);
  it.each([
    ["flags", filled(hex("7E"))],
    ["starts of long frames", filled(hex("7EA7FF"))],
    ["right headers of long frames", filled(header())],
    ["right headers that share their flags", filled(header().subarray(1))],
    ["the shortest frames with a wrong sum", filled(hex("7EA00703211301020304"))],
    ["wrapper versions", filled(hex("0001"))],
    ["wrapper headers of empty PDUs", filled(hex("0001000100010000"))],
    ["wrapper headers over the limit", filled(hex("000100010001FFFF"))],
    ["zeros", filled(hex("00"))],
    ["a wrapper PDU that swallows frames", Buffer.concat([hex("0001000100403FF8"), filled(FRAMED)])],
    ["good frames", filled(FRAMED)],
    ["good PDUs", filled(WRAPPED)],
  ])("%s", (_what, octets) => {
    for (const kind of ["auto", "hdlc", "wrapper"] as const) {
      expect(isThroughIn(AT_ONCE_MS, [octets], kind), `${kind}, at once`).toBe(true);
      expect(isThroughIn(SINGLY_MS, singly(octets), kind), `${kind}, one by one`).toBe(true);
    }
  });

  it("and noise in one chunk is reported in few words", () => {
    const { discarded } = drain(create(), [filled(hex("7EA7FF"))], () => null);
    expect(discarded.length).toBeLessThan(3);
  });
});
