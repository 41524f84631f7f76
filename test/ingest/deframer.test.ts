import { describe, expect, it } from "vitest";
import { hdlcAddress } from "../../src/dlms/hdlc/address.ts";
import { writeHdlcFrame } from "../../src/dlms/hdlc/frame.ts";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { PUSH } from "../dlms/hdlc-vectors.ts";
import { drain, hex, singly, skippedOctets, splits } from "../support/framing.ts";

const WRAPPED = hex(`000100010040003F${PUSH}`);
const FRAMED = hex(`7EA04B81031353ADE6E700${PUSH}67CA7E`);
const SNRM = hex("7EA0070321930F017E");
/** I frame with an AARQ: client 32 to server 1, N(S) 0. */
const AARQ =
  "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0";
const I_FRAME = hex(`7EA044034110B3E1E6E600${AARQ}D0F57E`);
/** Two I frames of server 1 to client 16, N(S) 0 and 1: C401C10001010203090C07EA0718FF0A0F and the rest. */
const SEGMENT_1 = hex("7EA81D210330B175E6E700C401C10001010203090C07EA0718FF0A0F2E287E");
const SEGMENT_2 = hex("7EA01621033296CC0000FEB600120902060000C350E51D7E");
const JOINED = "C401C10001010203090C07EA0718FF0A0F0000FEB600120902060000C350";

const create = (framing: "auto" | "hdlc" | "wrapper" = "auto", limits: Partial<typeof DEFAULT_LIMITS> = {}) =>
  new StreamDeframer({ framing, limits: { ...DEFAULT_LIMITS, ...limits } });
const deframe = (chunks: Iterable<Buffer>, deframer = create(), now = 0) =>
  drain(deframer, chunks, ({ framing, apdu }) => `${framing} ${apdu.toString("hex").toUpperCase()}`, now);

const push = (framing: string) => `${framing} ${PUSH}`;

describe("a line with octet stuffing", () => {
  it("loses no frame behind one that was given up in the middle of an escape", () => {
    // The frame of docs/reference/push-formats.md, "HDLC with octet stuffing".
    const good = "7ea0220302231360bae6e7000f0000000100020209060100010800ff0600007d5e7d5d65377e";
    const deframer = new StreamDeframer({ framing: "hdlc-stuffed", limits: DEFAULT_LIMITS });
    const { frames } = deframe([hex(`7ea022030223137d${good}`)], deframer as ReturnType<typeof create>);
    expect(frames).toEqual(["hdlc 0F0000000100020209060100010800FF0600007E7D"]);
  });
});

describe("framing is told by the first octets", () => {
  it.each([
    ["wrapper", WRAPPED],
    ["hdlc", FRAMED],
  ])("%s: whole, octet by octet, cut anywhere, twice", (framing, octets) => {
    const once = { frames: [push(framing)], discarded: [] };
    expect(deframe([octets])).toEqual(once);
    expect(deframe(singly(octets))).toEqual(once);
    for (const chunks of splits(octets)) expect(deframe(chunks)).toEqual(once);
    expect(deframe([Buffer.concat([octets, octets])])).toEqual({
      ...once,
      frames: [push(framing), push(framing)],
    });
  });

  it("says where an APDU came from and went to", () => {
    const [wrapped, framed] = [WRAPPED, FRAMED].map((octets) => {
      const deframer = create();
      deframer.push(octets, 0);
      const found = deframer.next(0);
      return found.kind === "frame" ? found.value : null;
    });
    expect(wrapped).toMatchObject({
      framing: "wrapper",
      sourceAddress: 1,
      destinationAddress: 64,
      octets: 71,
    });
    expect(wrapped).not.toHaveProperty("hdlc");
    expect(framed).toMatchObject({
      framing: "hdlc",
      sourceAddress: 1,
      destinationAddress: 64,
      octets: 75,
      hdlc: { control: 0x13, sendSequence: null, source: { upper: 1 }, destination: { upper: 64 } },
    });
  });

  it("gives N(S) of an I frame, which wants an answer", () => {
    const deframer = create();
    deframer.push(I_FRAME, 0);
    expect(deframer.next(0)).toMatchObject({ value: { hdlc: { control: 0x10, sendSequence: 0 } } });
  });

  it.each([
    ["text of a modem", "+CONNECT 9600\r\n"],
    ["text of a meter that was set up wrongly", "id,1234"],
    ["zeros in place of a header", "\0\0\0\0\0\0\0\0"],
  ])("again, behind %s", (_what, text) => {
    const noise = Buffer.from(text, "latin1");
    for (const [framing, octets] of [
      ["wrapper", WRAPPED],
      ["hdlc", FRAMED],
    ] as const) {
      for (const chunks of [
        [Buffer.concat([noise, octets])],
        [noise, octets],
        singly(Buffer.concat([noise, octets])),
      ]) {
        const { frames, discarded } = deframe(chunks);
        expect(frames).toEqual([push(framing)]);
        expect(skippedOctets(discarded)).toBe(noise.length);
        expect(new Set(discarded.map(({ reason }) => reason))).toEqual(new Set(["malformed"]));
      }
    }
  });

  it("link frames without an APDU are passed over", () => {
    expect(deframe([Buffer.concat([SNRM, FRAMED])])).toEqual({ frames: [push("hdlc")], discarded: [] });
  });

  it("and what is not the given framing is refused where it was given", () => {
    expect(deframe([FRAMED, WRAPPED], create("wrapper")).frames).toEqual([push("wrapper")]);
    expect(deframe([WRAPPED, FRAMED], create("hdlc")).frames).toEqual([push("hdlc")]);
  });
});

describe("a connection in the middle of which something is wrong", () => {
  it.each([
    ["whose length reaches into the frame", "DB0453494D"],
    ["whose length reaches behind everything", "CA6D0C1B"],
    ["that never was one", "E0517E5C"],
  ])("finds the frame behind the rear half of another that begins like an APDU %s", (_, half) => {
    expect(deframe([hex(half), FRAMED]).frames).toEqual([push("hdlc")]);
    expect(deframe([Buffer.concat([hex(half), FRAMED])]).frames).toEqual([push("hdlc")]);
  });

  it("takes an APDU without a frame for what it is where a frame follows it", () => {
    expect(deframe([hex(PUSH), FRAMED]).frames).toEqual([push("bare"), push("hdlc")]);
  });

  // A Data-Notification with a bit-string of 126 bits, whose length is the flag of the frame behind it.
  const REAR = hex("0F1E00FEB60004");

  it("finds the frame that begins in what looks like a whole APDU, however they are cut", () => {
    const octets = Buffer.concat([REAR, FRAMED]);
    for (const chunks of splits(octets)) expect(deframe(chunks).frames).toEqual([push("hdlc")]);
    expect(deframe(singly(octets)).frames).toEqual([push("hdlc")]);
  });

  it.each([
    ["a right header of a frame that does not go on", "7E A04B81031353ADE6E700 000000000000"],
    ["a flag at its end", "7E 00000000000000000000000000 00007E"],
  ])("takes an APDU for what it is after a silence, with %s in it", (_, bits) => {
    const apdu = Buffer.concat([REAR, hex(bits)]);
    const deframer = create();
    expect(deframe([apdu], deframer, 1_000)).toEqual({ frames: [], discarded: [] });
    expect(deframer.deadline()).toBe(1_500);
    deframer.handleTimeout(1_499);
    expect(deframe([], deframer, 1_499).frames).toEqual([]);
    deframer.handleTimeout(1_500);
    expect(deframe([hex("")], deframer, 1_500).frames).toEqual([
      `bare ${apdu.toString("hex").toUpperCase()}`,
    ]);
    expect(deframer.deadline()).toBeNull();
  });

  it.each(["wrapper", "hdlc"] as const)("reports the damaged and gives the good ones (%s)", (framing) => {
    const good = framing === "wrapper" ? WRAPPED : FRAMED;
    const damaged = Buffer.from(good);
    damaged[framing === "wrapper" ? 1 : 40]! ^= 0x40;
    const { frames, discarded } = deframe([good, damaged, good]);
    expect(frames).toEqual([push(framing), push(framing)]);
    expect(discarded.length).toBeGreaterThan(0);
    expect(discarded.every(({ reason }) => reason === "malformed")).toBe(true);
  });

  it("a wrong wrapper version is reported at once, and as that", () => {
    const { frames, discarded } = deframe([WRAPPED, hex("0003 0001 0040 0004 C0C1C2C3")]);
    expect(frames).toHaveLength(1);
    expect(discarded).toEqual([
      { kind: "discarded", count: 12, reason: "malformed", text: "wrapper version is not 1" },
    ]);
  });

  it("a first HDLC frame that is damaged does not turn its content into wrapper PDUs", () => {
    const damaged = Buffer.from(FRAMED);
    damaged[60]! ^= 1;
    expect(deframe([damaged, FRAMED]).frames).toEqual([push("hdlc")]);
    expect(deframe(singly(Buffer.concat([damaged, FRAMED]))).frames).toEqual([push("hdlc")]);
  });

  it("once HDLC, always HDLC", () => {
    expect(deframe([FRAMED, WRAPPED, FRAMED])).toMatchObject({ frames: [push("hdlc"), push("hdlc")] });
  });

  it("a stray flag does not cost a wrapper PDU, and HDLC may follow wrapper", () => {
    expect(deframe([hex("7E"), WRAPPED, FRAMED])).toEqual({
      frames: [push("wrapper"), push("hdlc")],
      discarded: [],
    });
  });

  it("a wrapper PDU over the limit is a limit", () => {
    const { discarded } = deframe([hex("0001000100404001"), Buffer.alloc(64)]);
    expect(discarded[0]).toMatchObject({ reason: "limit", text: "wrapper PDU is longer than the limit" });
  });

  it("what was found but not yet taken survives the next push", () => {
    const deframer = create();
    const octets = Buffer.concat([hex("FFFF"), WRAPPED, hex("0001")]);
    for (const octet of singly(octets)) deframer.push(octet, 0);
    expect(deframer.next(0)).toMatchObject({ kind: "discarded", count: 2 });
    for (let at = 0; at < 20; at++) deframer.push(Buffer.alloc(100, 0xee), 0);
    const found = deframer.next(0);
    expect(found.kind === "frame" && found.value.apdu.toString("hex").toUpperCase()).toBe(PUSH);
  });
});

describe("segments", () => {
  it("are joined, with the LLC header taken away once", () => {
    const joined = { frames: [`hdlc ${JOINED}`], discarded: [] };
    expect(deframe([SEGMENT_1, SEGMENT_2])).toEqual(joined);
    expect(deframe([Buffer.concat([SEGMENT_1, SEGMENT_2.subarray(1)])])).toEqual(joined);
    expect(deframe(singly(Buffer.concat([SEGMENT_1, SEGMENT_2])))).toEqual(joined);
  });

  it("in I frames are answered with RR, but not the last one", () => {
    const deframer = create();
    deframe([SEGMENT_1], deframer);
    // N(S) was 0: RR with N(R) 1 of client 16 to server 1, which is the example of DLMS-FACTS 19.1 with control 31.
    expect(deframer.takeReply()?.toString("hex").toUpperCase()).toBe("7EA00703213117877E");
    expect(deframer.takeReply()).toBeNull();
    deframe([SEGMENT_2], deframer);
    expect(deframer.takeReply()).toBeNull();
  });

  it("that come again are passed over, and answered again", () => {
    const deframer = create();
    expect(deframe([SEGMENT_1, SEGMENT_1, SEGMENT_2], deframer)).toEqual({
      frames: [`hdlc ${JOINED}`],
      discarded: [],
    });
    expect(deframer.takeReply()).not.toBeNull();
  });

  it("go on behind a push of the same meter to another client", () => {
    const { frames, discarded } = deframe([SEGMENT_1, FRAMED, SEGMENT_2]);
    expect(frames).toEqual([push("hdlc"), `hdlc ${JOINED}`]);
    expect(discarded).toEqual([]);
  });

  it("that another push of the same meter to the same client takes the place of are reported", () => {
    // UI frame, segmented, E6 E7 00 0F, server 1 to client 64; then a push in one UI frame.
    const begun = writeHdlcFrame({
      segmented: true,
      destination: hdlcAddress(64),
      source: hdlcAddress(1),
      control: 0x03,
      information: hex("E6E7000F"),
    });
    const { frames, discarded } = deframe([begun, FRAMED]);
    expect(frames).toEqual([push("hdlc")]);
    expect(discarded).toMatchObject([{ count: 4, text: "an APDU in segments was started over" }]);
  });

  it("of which one is lost are given up", () => {
    const lost = deframe([SEGMENT_2]);
    // Without the first segment nothing tells that this is a part: it is handed on and will not decode.
    expect(lost.frames).toEqual(["hdlc 0000FEB600120902060000C350"]);
  });

  it("that never end are given up in time, and the next push is right", () => {
    const deframer = create("auto", { apduMs: 60_000 });
    deframe([SEGMENT_1], deframer, 1_000);
    expect(deframer.deadline()).toBe(61_000);
    deframer.handleTimeout(60_999);
    expect(deframer.next(60_999)).toEqual({ kind: "need-more" });
    deframer.handleTimeout(61_000);
    expect(deframer.next(61_000)).toEqual({
      kind: "discarded",
      count: 20,
      reason: "malformed",
      text: "segments of an APDU did not all come in time",
    });
    expect(deframer.deadline()).toBeNull();
    expect(deframe([FRAMED], deframer, 61_000).frames).toEqual([push("hdlc")]);
  });

  it("that exceed the limit are given up", () => {
    const { frames, discarded } = deframe([SEGMENT_1, SEGMENT_2], create("auto", { apduBytesMax: 30 }));
    expect(frames).toEqual([]);
    expect(discarded).toMatchObject([{ count: 33, reason: "limit" }]);
  });
});

describe("a frame that has begun", () => {
  it.each(["wrapper", "hdlc"] as const)(
    "must be complete in time (%s), and what is behind it is not lost",
    (framing) => {
      const good = framing === "wrapper" ? WRAPPED : FRAMED;
      const header = framing === "wrapper" ? hex("0001 0001 0040 1000") : hex("7E A7 FF 81 03 13");
      const deframer = create("auto", { frameMs: 30_000 });
      expect(deframer.deadline()).toBeNull();
      expect(deframe([header], deframer, 500)).toEqual({ frames: [], discarded: [] });
      expect(deframer.deadline()).toBe(30_500);
      deframe([good], deframer, 20_000);
      if (framing === "wrapper") {
        expect(deframer.deadline()).toBe(30_500); // the beginning counts, not the last octet
        deframer.handleTimeout(30_500);
        expect(deframer.next(30_500)).toEqual({
          kind: "discarded",
          count: 8,
          reason: "malformed",
          text: "a frame was not complete after 30 s",
        });
        expect(deframer.next(30_500)).toMatchObject({ kind: "frame" });
      }
      expect(deframer.next(30_500)).toEqual({ kind: "need-more" });
      expect(deframer.deadline()).toBeNull();
    },
  );

  it("does not begin with idle flags", () => {
    const deframer = create();
    deframe([hex("7E7E7E")], deframer, 1);
    expect(deframer.deadline()).toBeNull();
  });
});
