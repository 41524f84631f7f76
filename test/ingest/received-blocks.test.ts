import { describe, expect, it } from "vitest";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { gatewayName } from "../../src/ingest/gateway-header.ts";
import { ReceivedBlocks } from "../../src/ingest/received-blocks.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { hex } from "../support/framing.ts";

const P = "0f0000000100020209060100010800ff060004afb2";
const Q = "0f0000000200020209060100020800ff0600000011";

/** E0 · control (80 last, 01 window) · number 2 · acknowledged 2 · length · octets */
const block = (number: number, octets: string, control: string) =>
  `e0${control}000${number}0000${(octets.length / 2).toString(16).padStart(2, "0")}${octets}`;
/** Each push in two blocks, cut behind ten octets. */
const blocks = (push: string) => [block(1, push.slice(0, 20), "41"), block(2, push.slice(20), "81")];

/** 0001 · source · destination · length; E6 · network · address with its length */
function wrapped(apdu: string, source = 1): string {
  const length = (apdu.length / 2).toString(16).padStart(4, "0");
  return `0001${source.toString(16).padStart(4, "0")}0040${length}${apdu}`;
}
const behind = (meter: string, apdu: string) =>
  `e60004${Buffer.from(meter, "latin1").toString("hex")}${apdu}`;

function receive(stream: string, limits = DEFAULT_LIMITS) {
  const deframer = new StreamDeframer({ framing: "auto", limits });
  const unblocking = new ReceivedBlocks(limits);
  deframer.push(hex(stream), 0);
  const pushes: string[] = [];
  const refused: string[] = [];
  for (let next = deframer.next(0); next.kind !== "need-more"; next = deframer.next(0)) {
    if (next.kind === "discarded") refused.push(next.text);
    else {
      const taken = unblocking.take(next.value, 0);
      if (taken.kind === "discarded") refused.push(taken.text);
      if (taken.kind !== "complete") continue;
      const { apdu, gateway, sourceAddress } = taken.value;
      const whose = gateway === undefined ? String(sourceAddress) : gatewayName(gateway);
      pushes.push(`${whose} ${apdu.toString("hex")}`);
    }
  }
  return { pushes, refused, unblocking };
}

const [p1, p2] = blocks(P) as [string, string];
const [q1, q2] = blocks(Q) as [string, string];

describe("blocks of several meters on one connection", () => {
  it("behind a gateway are put together meter by meter", () => {
    const stream = [
      ["M042", p1],
      ["M043", q1],
      ["M042", p2],
      ["M043", q2],
    ].map(([meter, apdu]) => wrapped(behind(meter!, apdu!)));
    expect(receive(stream.join(""))).toMatchObject({ pushes: [`M042 ${P}`, `M043 ${Q}`], refused: [] });
  });

  it("never become one APDU: what nothing precedes is refused, and hurts no other", () => {
    const stream = wrapped(behind("M042", p1)) + wrapped(behind("M043", q2)) + wrapped(behind("M042", p2));
    const { pushes, refused } = receive(stream);
    expect(pushes).toEqual([`M042 ${P}`]);
    expect(refused).toEqual(["block 2 came which none precedes"]);
  });

  it("are told apart by their logical device", () => {
    const stream = wrapped(p1, 1) + wrapped(q1, 2) + wrapped(p2, 1) + wrapped(q2, 2);
    expect(receive(stream)).toMatchObject({ pushes: [`1 ${P}`, `2 ${Q}`], refused: [] });
  });

  it("of too many, or too large together, are given up from the oldest on", () => {
    const many = Array.from({ length: 33 }, (_, index) => wrapped(p1, index + 1)).join("");
    const { pushes, refused } = receive(many + wrapped(p2, 33) + wrapped(p2, 1));
    expect(pushes).toEqual([`33 ${P}`]);
    expect(refused).toHaveLength(2);
    expect(refused[0]).toMatch(/blocks of more than 32 senders/);
    const small = { ...DEFAULT_LIMITS, apduBytesMax: 25 };
    const large = receive(
      wrapped(p1, 1) + wrapped(q1, 2) + wrapped(block(1, P.slice(2, 22), "41"), 3),
      small,
    );
    expect(large.refused).toEqual([expect.stringMatching(/more than 25 octets/)]);
  });

  it("that wait in vain are all given up in the end", () => {
    const { unblocking } = receive(wrapped(p1, 1) + wrapped(q1, 2));
    expect(unblocking.unfinished).toBe(true);
    for (let times = 0; times < 2; times++) {
      expect(unblocking.handleTimeout(DEFAULT_LIMITS.apduMs).kind).toBe("discarded");
    }
    expect(unblocking.handleTimeout(DEFAULT_LIMITS.apduMs).kind).toBe("need-more");
    expect(unblocking.unfinished).toBe(false);
  });
});

describe("a gateway's header in front of an APDU without a frame", () => {
  it.each(["e6", "e7"])("%s says whose it is", (tag) => {
    const bare = tag + behind("M042", P).slice(2);
    expect(receive(bare + bare)).toMatchObject({ pushes: [`M042 ${P}`, `M042 ${P}`], refused: [] });
    const blocked = [p1, p2].map((one) => tag + behind("M042", one).slice(2)).join("");
    expect(receive(blocked)).toMatchObject({ pushes: [`M042 ${P}`], refused: [] });
  });

  it("may name the meter in octets that are no text: then by its hex digits", () => {
    expect(receive(`e60003ff00a1${P}`)).toMatchObject({ pushes: [`ff00a1 ${P}`], refused: [] });
  });

  it("is not seen in an LLC header", () => {
    expect(receive(`e6e700${P}e6e600${Q}`)).toMatchObject({ pushes: [`1 ${P}`, `1 ${Q}`], refused: [] });
  });
});
