import { describe, expect, it } from "vitest";
import { WrapperDeframer } from "../../src/dlms/wrapper/deframer.ts";
import { readWpdu, type Wpdu, writeWpdu } from "../../src/dlms/wrapper/wpdu.ts";
import { drain, hex, singly, skippedOctets, splits } from "../support/framing.ts";
import { PUSH } from "./hdlc-vectors.ts";

const VECTORS = [
  {
    what: "push of server 1 to client 64",
    octets: `000100010040003F${PUSH}`,
    from: 1,
    to: 64,
    payload: PUSH,
  },
  {
    what: "glo-get-request of client 48",
    octets: "0001003000010020C81E3000000003BBC29BB99274633EDC67AD5D562B050DB6DE606AD347E26DC9",
    from: 48,
    to: 1,
    payload: "C81E3000000003BBC29BB99274633EDC67AD5D562B050DB6DE606AD347E26DC9",
  },
  { what: "RLRE without content (ADDAX)", octets: "00010001000100026300", from: 1, to: 1, payload: "6300" },
] as const;

const described = ({ sourceWPort, destinationWPort, payload }: Wpdu) => ({
  from: sourceWPort,
  to: destinationWPort,
  payload: payload.toString("hex").toUpperCase(),
});
const APDU_TAGS = new Set([0x0f, 0x63, 0xc8]);
const deframe = (chunks: Iterable<Buffer>, payloadOctetsMax = 0xffff) =>
  drain(new WrapperDeframer({ payloadOctetsMax, apduTags: APDU_TAGS }), chunks, described);

describe.each(VECTORS)("$what", ({ octets: text, from, to, payload }) => {
  const octets = hex(text);
  const pdu = { from, to, payload };

  it("is found whole, octet by octet, cut at any position, and twice in a chunk", () => {
    const found = { frames: [pdu], discarded: [] };
    expect(deframe([octets])).toEqual(found);
    expect(deframe(singly(octets))).toEqual(found);
    for (const chunks of splits(octets)) expect(deframe(chunks)).toEqual(found);
    expect(deframe([Buffer.concat([octets, octets])])).toEqual({ frames: [pdu, pdu], discarded: [] });
  });

  it("is found behind noise, which is reported with its reason and length", () => {
    const { frames, discarded } = deframe([Buffer.concat([hex("00 02 00 01 FF 00"), octets])]);
    expect(frames).toEqual([pdu]);
    expect(discarded).toEqual([
      { kind: "discarded", count: 6, reason: "malformed", text: "wrapper version is not 1" },
    ]);
  });

  it("is found behind one whose version is wrong", () => {
    const wrong = Buffer.from(octets);
    wrong[1] = 2;
    for (const chunks of [[Buffer.concat([wrong, octets])], singly(Buffer.concat([wrong, octets]))]) {
      const { frames, discarded } = deframe(chunks);
      expect(frames).toEqual([pdu]);
      expect(skippedOctets(discarded)).toBe(octets.length);
    }
  });

  it("can be read alone, written, and every prefix of it is refused as truncated", () => {
    expect(described(readWpdu(octets))).toEqual(pdu);
    const written = writeWpdu({ sourceWPort: from, destinationWPort: to, payload: hex(payload) });
    expect(written.equals(octets)).toBe(true);
    for (let length = 0; length < octets.length; length++) {
      expect(() => readWpdu(octets.subarray(0, length))).toThrow(
        expect.objectContaining({ name: "DecodeError", code: "truncated" }),
      );
    }
    expect(() => readWpdu(Buffer.concat([octets, Buffer.from([0])]))).toThrow(
      expect.objectContaining({ code: "trailing" }),
    );
  });
});

describe("a header that is not believed", () => {
  const good = hex(VECTORS[0].octets);
  const behind = (header: string, payloadOctetsMax?: number) =>
    deframe([Buffer.concat([hex(header), good])], payloadOctetsMax);

  it("is one with a length over the limit", () => {
    const { frames, discarded } = behind("0001000100010041", 0x40);
    expect(frames).toHaveLength(1);
    expect(discarded).toEqual([
      { kind: "discarded", count: 8, reason: "limit", text: "wrapper PDU is longer than the limit" },
    ]);
  });

  it("is one with no APDU behind it", () => {
    const { frames, discarded } = behind("0001000100010000");
    expect(frames).toHaveLength(1);
    expect(discarded).toEqual([
      { kind: "discarded", count: 8, reason: "malformed", text: "wrapper PDU without an APDU" },
    ]);
  });

  it("is one found in noise with wPorts that nobody uses", () => {
    const { frames, discarded } = behind("FF 0001 0400 0001 0002");
    expect(frames).toHaveLength(1);
    expect(skippedOctets(discarded)).toBe(9);
  });

  it("but at the beginning any wPort is believed", () => {
    expect(deframe([hex("0001 ABCD 1234 0002 6300")]).frames).toEqual([
      { from: 0xabcd, to: 0x1234, payload: "6300" },
    ]);
  });
});

it("a PDU that is given up makes room for one inside what had come of it", () => {
  const good = hex(VECTORS[0].octets);
  const deframer = new WrapperDeframer();
  // The first header says 4,096 octets, and its sender stopped after four of them.
  expect(drain(deframer, [hex("0001 0001 0040 1000 0F000000"), good], described).frames).toEqual([]);
  deframer.abandon();
  expect(deframer.next()).toMatchObject({ kind: "discarded", count: 12, reason: "malformed" });
  expect(deframer.next()).toMatchObject({ kind: "frame" });
  expect(deframer.next()).toEqual({ kind: "need-more" });
});

it("a PDU found behind noise survives a push that comes before it was taken", () => {
  const good = hex(VECTORS[0].octets);
  const deframer = new WrapperDeframer();
  const chunk = Buffer.concat([hex("FFFF"), good, hex("0001")]);
  for (const octet of singly(chunk)) deframer.push(octet);
  expect(deframer.next()).toMatchObject({ kind: "discarded", count: 2 });
  for (let at = 0; at < 10; at++) deframer.push(Buffer.alloc(100, 0xee));
  const found = deframer.next();
  expect(found.kind === "frame" && described(found.value)).toEqual({ from: 1, to: 64, payload: PUSH });
});
