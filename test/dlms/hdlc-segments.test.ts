import { describe, expect, it } from "vitest";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import type { HdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { LLC_RESPONSE, writeApdu } from "../../src/dlms/hdlc/outgoing.ts";
import { SegmentReassembly } from "../../src/dlms/hdlc/segments.ts";
import { hex } from "../support/framing.ts";
import { HDLC_VECTORS } from "./hdlc-vectors.ts";

const CLIENT = hdlcAddress(64);
const METER = hdlcAddress(1, 17);
const UI = 0x03;
const LAST_UI = 0x13;
/** Control octet of an I frame with N(S), P and N(R) 0. */
const I = (send: number) => 0x10 | ((send & 7) << 1);

function part(control: number, information: string, more: boolean, source = METER): HdlcFrame {
  const octets = hex(information);
  return {
    segmented: more,
    destination: CLIENT,
    source,
    control,
    information: octets,
    octets: octets.length + 12,
  };
}

/** What comes of the frames, "·" where nothing does; `added` each a second after the one before. */
function join(frames: readonly HdlcFrame[], segments = create()): string[] {
  return frames.map((frame, at) => {
    const found = segments.add(frame, at * 1_000);
    if (found.kind === "frame") return found.value.apdu.toString("hex").toUpperCase();
    return found.kind === "need-more" ? "·" : `${found.reason}: ${found.count} ${found.text}`;
  });
}

const create = (apduOctetsMax = 1_000) => new SegmentReassembly({ apduOctetsMax, apduMs: 60_000 });

describe("segments of an APDU", () => {
  it.each([
    [
      "UI frames",
      [part(UI, "E6E7000F00", true), part(UI, "0102", true), part(LAST_UI, "03", false)],
      "0F00010203",
    ],
    ["I frames", [part(I(6), "E6E7000F", true), part(I(7), "01", true), part(I(0), "02", false)], "0F0102"],
    [
      "a UI frame, then I frames",
      [part(LAST_UI, "E6E7000F", true), part(I(0), "01", true), part(I(1), "02", false)],
      "0F0102",
    ],
    ["a frame without LLC header", [part(LAST_UI, "E040", false)], "E040"],
    ["the LLC header of a command", [part(I(0), "E6E600C0", false)], "C0"],
    [
      "an empty segment",
      [part(UI, "E6E7000F", true), part(UI, "", true), part(LAST_UI, "01", false)],
      "0F01",
    ],
  ])("in %s are joined", (_what, frames, apdu) => {
    expect(join(frames)).toEqual([...frames.slice(1).map(() => "·"), apdu]);
  });

  it("of two meters on one line are kept apart", () => {
    const other = hdlcAddress(1, 18);
    expect(
      join([
        part(UI, "E6E7000F", true),
        part(UI, "E6E700C2", true, other),
        part(LAST_UI, "01", false),
        part(LAST_UI, "02", false, other),
      ]),
    ).toEqual(["·", "·", "0F01", "C202"]);
  });

  it("sent again as I frame are passed over, and with other octets end the APDU", () => {
    const [first, second, last] = [
      part(I(0), "E6E7000F", true),
      part(I(1), "AA", true),
      part(I(2), "BB", false),
    ];
    expect(join([first, first, second, second, last])).toEqual(["·", "·", "·", "·", "0FAABB"]);
    expect(join([first, second, part(I(1), "AB", true)])).toEqual([
      "·",
      "·",
      "malformed: 6 a segment of an APDU is missing",
    ]);
  });

  it("of which an I frame is missing end the APDU, and the next one is right", () => {
    const frames = [part(I(0), "E6E7000F", true), part(I(2), "AA", true), part(I(3), "E6E700C2", false)];
    expect(join(frames)).toEqual(["·", "malformed: 5 a segment of an APDU is missing", "C2"]);
  });

  it("begun again give the later one", () => {
    const again = part(UI, "E6E700C2", true);
    expect(join([part(UI, "E6E7000F", true), again, part(LAST_UI, "01", false)])).toEqual([
      "·",
      "malformed: 4 an APDU in segments was started over",
      "C201",
    ]);
    const segments = create();
    const whole = [part(UI, "E6E7000F", true), part(LAST_UI, "E6E7000F05", false)];
    expect(join(whole, segments)).toEqual(["·", "0F05"]);
    expect(segments.takeLoss()).toMatchObject({ count: 4, text: "an APDU in segments was started over" });
    expect(segments.takeLoss()).toBeNull();
  });

  it("begun again without LLC header are told by the octets that the APDU began with", () => {
    // general-glo-ciphering: tag, system title of 8 octets, and the first octets behind it.
    const first = "DB0853494D0000000001821122";
    // The last segment was damaged on the way, and the sender has sent the whole once more.
    const frames = [part(UI, first, true), part(UI, first, true), part(LAST_UI, "33", false)];
    const started = "malformed: 13 an APDU in segments was started over";
    expect(join(frames)).toEqual(["·", started, `${first}33`]);
    // The next APDU of the same sender: another counter, the same beginning.
    const next = "DB0853494D0000000001829944";
    expect(join([part(UI, first, true), part(UI, next, true), part(LAST_UI, "55", false)])).toEqual([
      "·",
      started,
      `${next}55`,
    ]);
    const segments = create();
    expect(join([part(UI, first, true), part(LAST_UI, next, false)], segments)).toEqual(["·", next]);
    expect(segments.takeLoss()).toMatchObject({ count: 13 });
    // Octets that differ in the tenth, or are fewer, go on.
    const other = "DB0853494D0000000002";
    expect(join([part(UI, first, true), part(LAST_UI, other, false)])).toEqual(["·", `${first}${other}`]);
    const few = first.slice(0, 18);
    expect(join([part(UI, few, true), part(LAST_UI, few, false)])).toEqual(["·", `${few}${few}`]);
  });

  it("over the limit are given up, and free what they held", () => {
    const segments = create(10);
    const long = [part(UI, "E6E7000F00000000", true), part(UI, "010203", true)];
    expect(join(long, segments)).toEqual(["·", "limit: 11 APDU in segments is longer than the limit"]);
    expect(join([part(UI, "E6E7000F", true), part(LAST_UI, "010203", false)], segments)).toEqual([
      "·",
      "0F010203",
    ]);
  });

  it("of more than sixteen senders at once are refused", () => {
    const begun = Array.from({ length: 17 }, (_, at) => part(UI, "E6E7000F", true, hdlcAddress(1, 100 + at)));
    expect(join(begun).at(-1)).toBe("limit: 4 segments of too many APDUs at once");
    expect(join(begun).slice(0, -1)).toEqual(Array(16).fill("·"));
  });

  it("too old are given up, the younger ones stay", () => {
    const segments = create();
    join([part(UI, "E6E7000F", true), part(UI, "E6E700C2", true, hdlcAddress(1, 18))], segments);
    expect(segments.deadline()).toBe(60_000);
    expect(segments.expire(59_999)).toBeNull();
    expect(segments.expire(60_000)).toMatchObject({ count: 4, reason: "malformed" });
    expect(segments.deadline()).toBe(61_000);
    expect(join([part(LAST_UI, "01", false, hdlcAddress(1, 18))], segments)).toEqual(["C201"]);
  });

  it("are copies: the receive buffer may change", () => {
    const segments = create();
    const first = part(UI, "E6E7000F", true);
    segments.add(first, 0);
    first.information!.fill(0xee);
    expect(join([part(LAST_UI, "01", false)], segments)).toEqual(["0F01"]);
  });

  it("262,144 of them, of one octet each, are joined in time that grows no faster than they do", () => {
    const segments = create(262_144);
    const one = part(UI, "00", true);
    const from = performance.now();
    for (let count = 1; count < 262_144; count++) segments.add(one, 0);
    const found = segments.add(part(LAST_UI, "00", false), 0);
    expect(found.kind === "frame" && found.value.apdu.length).toBe(262_144);
    expect(performance.now() - from).toBeLessThan(2_000);
  });
});

describe("an APDU written as frames", () => {
  it("is one UI frame where it fits", () => {
    const vector = HDLC_VECTORS.find(({ what }) => what === "UI frame with a push")!;
    const apdu = hex(vector.information!.slice(6));
    const frames = writeApdu(
      { destination: hdlcAddress(64), source: hdlcAddress(1) },
      LLC_RESPONSE,
      apdu,
      128,
    );
    expect(frames.map((frame) => frame.toString("hex").toUpperCase())).toEqual([vector.octets]);
  });

  it("is segments where it does not", () => {
    const apdu = hex("C401C10001010203090C07EA0718FF0A0F0000FEB600120902060000C350");
    const frames = writeApdu(
      { destination: hdlcAddress(16), source: hdlcAddress(1) },
      LLC_RESPONSE,
      apdu,
      20,
      0,
    );
    // As the two segments of the example, but N(R) 0 instead of 1: control 10 and 12.
    expect(frames.map((frame) => frame.subarray(1, 6).toString("hex").toUpperCase())).toEqual([
      "A81D210310",
      "A016210312",
    ]);
  });
});
