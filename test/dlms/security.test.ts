import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { gmac, verifyGmac } from "../../src/dlms/security/gmac.ts";
import {
  acceptCounter,
  type CounterState,
  frameDigest,
  judgeCounter,
} from "../../src/dlms/security/invocation-counter.ts";
import { unwrapKey, wrapKey } from "../../src/dlms/security/key-wrap.ts";
import { hex } from "../support/framing.ts";

const key = (octets: string) => createSecretKey(hex(octets));
const EK = "000102030405060708090A0B0C0D0E0F";
const KEYS = { encryption: key(EK), authentication: key("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF") };

describe("GMAC", () => {
  const answers = [
    {
      challenge: "P6wRJ21F",
      title: "4D4D4D0000000001",
      counter: 1,
      answer: "10000000011A52FE7DD3E72748973C1E28",
    },
    {
      challenge: "K56iVagY",
      title: "4D4D4D0000BC614E",
      counter: 0x01234567,
      answer: "1001234567FE1466AFB3DBCD4F9389E2B7",
    },
  ];
  it.each(answers)("of $challenge is that of the Green Book", ({ challenge, title, counter, answer }) => {
    const made = gmac(Buffer.from(challenge), { suite: 0, counter }, hex(title), KEYS);
    expect(made.toString("hex").toUpperCase()).toBe(answer);
    expect(verifyGmac(hex(answer), Buffer.from(challenge), hex(title), KEYS)).toEqual({
      control: 0x10,
      counter,
    });
  });

  it("of another challenge, title, or with a changed octet is refused", () => {
    const { challenge, title, answer } = answers[0]!;
    const badTag = expect.objectContaining({ reason: "bad_tag" });
    expect(() => verifyGmac(hex(answer), Buffer.from("P6wRJ21G"), hex(title), KEYS)).toThrow(badTag);
    expect(() => verifyGmac(hex(answer), Buffer.from(challenge), hex("4D4D4D0000000002"), KEYS)).toThrow(
      badTag,
    );
    for (let at = 1; at < 17; at++) {
      const wrong = hex(answer);
      wrong[at]! ^= 0x80;
      expect(() => verifyGmac(wrong, Buffer.from(challenge), hex(title), KEYS)).toThrow(badTag);
    }
    const malformed = expect.objectContaining({ reason: "malformed" });
    expect(() => verifyGmac(hex(answer).subarray(0, 16), Buffer.from(challenge), hex(title), KEYS)).toThrow(
      malformed,
    );
    expect(() => verifyGmac(hex(`30${answer.slice(2)}`), Buffer.from(challenge), hex(title), KEYS)).toThrow(
      malformed,
    );
  });
});

describe("key wrap", () => {
  const vectors = [
    // RFC 3394, 4.1
    {
      kek: EK,
      clear: "00112233445566778899AABBCCDDEEFF",
      wrapped: "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
    },
    // RFC 3394, 4.6
    {
      kek: `${EK}101112131415161718191A1B1C1D1E1F`,
      clear: `00112233445566778899AABBCCDDEEFF${EK}`,
      wrapped: "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
    },
  ];
  it.each(vectors)("$wrapped", ({ kek, clear, wrapped }) => {
    expect(wrapKey(key(kek), key(clear)).toString("hex").toUpperCase()).toBe(wrapped);
    expect(unwrapKey(key(kek), hex(wrapped)).export().toString("hex").toUpperCase()).toBe(clear);
  });

  it("refuses another key-encryption key, a changed octet, and other lengths", () => {
    const wrapped = hex(vectors[0]!.wrapped);
    const bad = expect.objectContaining({ reason: "bad_tag" });
    expect(() => unwrapKey(key("11".repeat(16)), wrapped)).toThrow(bad);
    for (let at = 0; at < wrapped.length; at++) {
      const wrong = Buffer.from(wrapped);
      wrong[at]! ^= 1;
      expect(() => unwrapKey(key(EK), wrong)).toThrow(bad);
    }
    const malformed = expect.objectContaining({ reason: "malformed" });
    expect(() => unwrapKey(key(EK), wrapped.subarray(0, 23))).toThrow(malformed);
    expect(() => unwrapKey(key(EK), Buffer.alloc(0))).toThrow(malformed);
    expect(() => wrapKey(key("11".repeat(24)), key(EK))).toThrow(
      expect.objectContaining({ reason: "wrong_suite" }),
    );
  });
});

describe("the verdict on a counter", () => {
  const digest = (text: string) => frameDigest(Buffer.from(text));
  const havingAccepted = (...accepted: [number, string][]): CounterState => {
    const state: CounterState = { high: null, digests: [] };
    for (const [counter, text] of accepted) acceptCounter(state, counter, digest(text));
    return state;
  };

  it("is the first 16 octets of SHA-256", () => {
    // FIPS 180-2, appendix B.1: SHA-256("abc") = BA7816BF 8F01CFEA 414140DE 5DAE2223 …
    expect(Buffer.from(digest("abc"), "latin1").toString("hex")).toBe("ba7816bf8f01cfea414140de5dae2223");
  });

  it.each([
    ["the first frame ever, with counter 0", havingAccepted(), 0, "a", "fresh"],
    ["one more", havingAccepted([7, "a"]), 8, "b", "fresh"],
    ["far above 2³¹", havingAccepted([0x80000000, "a"]), 0xffffffff, "b", "fresh"],
    ["higher, though the octets are known", havingAccepted([7, "a"]), 8, "a", "fresh"],
    ["the same frame again", havingAccepted([7, "a"]), 7, "a", "retransmission"],
    ["an earlier frame again", havingAccepted([7, "a"], [9, "b"]), 7, "a", "retransmission"],
    ["the same counter on other octets", havingAccepted([7, "a"]), 7, "b", "replay"],
    ["a lower counter", havingAccepted([7, "a"]), 6, "b", "replay"],
    ["the digest of another counter", havingAccepted([7, "a"], [9, "b"]), 7, "b", "replay"],
  ] as const)("%s", (_what, state, counter, text, verdict) => {
    const before = structuredClone({ high: state.high, kept: state.digests.length });
    expect(judgeCounter(state, counter, digest(text))).toBe(verdict);
    expect({ high: state.high, kept: state.digests.length }).toEqual(before);
  });

  it("lets a counter stand still only where that is allowed", () => {
    const state = havingAccepted([0, "a"]);
    expect(judgeCounter(state, 0, digest("b"))).toBe("replay");
    expect(judgeCounter(state, 0, digest("b"), { mayStandStill: true })).toBe("fresh");
    expect(judgeCounter(state, 0, digest("a"), { mayStandStill: true })).toBe("retransmission");
    expect(judgeCounter(havingAccepted([0, "a"], [5, "b"]), 0, digest("c"), { mayStandStill: true })).toBe(
      "replay",
    );
  });

  it("remembers 64 frames", () => {
    const state = havingAccepted(
      ...Array.from({ length: 65 }, (_, at): [number, string] => [at, `frame ${at}`]),
    );
    expect(state.digests).toHaveLength(64);
    expect(judgeCounter(state, 1, digest("frame 1"))).toBe("retransmission");
    expect(judgeCounter(state, 0, digest("frame 0"))).toBe("replay");
  });

  it("never lets the highest counter go back", () => {
    const state = havingAccepted([9, "a"]);
    acceptCounter(state, 3, digest("b"));
    expect(state.high).toBe(9);
  });
});
