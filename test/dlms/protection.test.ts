import { createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type ProtectionKeys,
  protect,
  readSecurityHeader,
  unprotect,
} from "../../src/dlms/security/protection.ts";
import { StreamDeframer } from "../../src/ingest/deframer.ts";
import { DEFAULT_LIMITS } from "../../src/limits.ts";
import { drain, hex } from "../support/framing.ts";
import { PUSH } from "./hdlc-vectors.ts";

const EK = "000102030405060708090A0B0C0D0E0F";
const AK = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF";
const keysOf = (encryption: string, authentication: string | null): ProtectionKeys => ({
  encryption: createSecretKey(hex(encryption)),
  authentication: authentication === null ? null : createSecretKey(hex(authentication)),
});
const KEYS = keysOf(EK, AK);
const WIDE_KEYS = keysOf(`${EK}101112131415161718191A1B1C1D1E1F`, `${AK}E0E1E2E3E4E5E6E7E8E9EAEBECEDEEEF`);

const CLIENT = hex("4D4D4D0000BC614E");
const SERVER = hex("4142430000000001");
const GET = "C0010000080000010000FF0200";
const CLOCK_GET = "C001C100080000010000FF0200";
const CLOCK_ANSWER = "C401C100090C07EA0718FF0A0F1E00FEB600";
const CIPHERED_PUSH =
  "295184EC92371DEBAF0A7AF95A0B38165E94EAA3D45D0EA05AA6651FAC843D80F4867F578FAD0BD94303F386947F898FF7AD8AFE1D476F9866063C5DB5658E";

/** Worked by an independent implementation: security control ‖ invocation counter ‖ octets ‖ tag. */
const VECTORS = [
  {
    what: "authenticated only",
    title: CLIENT,
    content: `1001234567${GET}06725D910F9221D263877516`,
    plain: GET,
  },
  { what: "encrypted only", title: CLIENT, content: "2001234567411312FF935A47566827C467BC", plain: GET },
  {
    what: "authenticated and encrypted",
    title: CLIENT,
    content: "3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B",
    plain: GET,
  },
  {
    what: "glo-get-request of a client",
    title: CLIENT,
    content: "3000000003BBC29BB99274633EDC67AD5D562B050DB6DE606AD347E26DC9",
    plain: CLOCK_GET,
  },
  {
    what: "glo-get-response of a server",
    title: SERVER,
    content: "3000000003D66E0035B96A18B1DC5467E315EF5951D8F1EE6218B0230B0FE0234C8231",
    plain: CLOCK_ANSWER,
  },
  { what: "push, encrypted only", title: SERVER, content: `2000000010${CIPHERED_PUSH}`, plain: PUSH },
  {
    what: "push, authenticated and encrypted",
    title: SERVER,
    content: `3000000010${CIPHERED_PUSH}09D3C90EA0DCEF8E06E34AC4`,
    plain: PUSH,
  },
];

describe.each(VECTORS)("$what", ({ title, content, plain }) => {
  const octets = hex(content);
  const tagged = (octets[0]! & 0x10) !== 0;

  it("gives its plaintext, and says whether a tag was checked", () => {
    const { plaintext, verified, control, counter } = unprotect(octets, title, KEYS);
    expect(plaintext.toString("hex").toUpperCase()).toBe(plain);
    expect(verified).toBe(tagged);
    expect({ control, counter }).toEqual(readSecurityHeader(octets));
  });

  it("is what the writer writes", () => {
    const written = protect(hex(plain), readSecurityHeader(octets), title, KEYS);
    expect(written.toString("hex").toUpperCase()).toBe(content);
  });

  it("takes the authentication key as octets too", () => {
    const keys = { ...KEYS, authentication: hex(AK) };
    expect(unprotect(octets, title, keys).plaintext.equals(hex(plain))).toBe(true);
  });

  it.runIf(tagged)("is refused with any octet of it changed, another title or another key", () => {
    const badTag = expect.objectContaining({ name: "SecurityError", reason: "bad_tag" });
    for (let at = 1; at < octets.length; at++) {
      const wrong = Buffer.from(octets);
      wrong[at]! ^= 1;
      expect(() => unprotect(wrong, title, KEYS)).toThrow(badTag);
    }
    expect(() => unprotect(octets, hex("4D4D4D0000BC6149"), KEYS)).toThrow(badTag);
    expect(() => unprotect(octets, title, keysOf(AK, AK))).toThrow(badTag);
    expect(() => unprotect(octets, title, keysOf(EK, EK))).toThrow(badTag);
    expect(() => unprotect(octets, title, keysOf(EK, null))).toThrow(
      expect.objectContaining({ reason: "key_missing" }),
    );
  });

  it("is refused when it is cut off", () => {
    const least = tagged ? 17 : 5;
    for (let length = 0; length < octets.length; length++) {
      const cut = octets.subarray(0, length);
      if (length < least)
        expect(() => unprotect(cut, title, KEYS)).toThrow(expect.objectContaining({ reason: "malformed" }));
      else if (tagged)
        expect(() => unprotect(cut, title, KEYS)).toThrow(expect.objectContaining({ reason: "bad_tag" }));
    }
  });
});

describe("suite 2", () => {
  // Worked with Python's cryptography package: AESGCM(key).encrypt(title ‖ counter, …), tag cut to 12 octets.
  it.each([
    ["32", "32 01234567 E82B2AD3EE8C12A6FB27038F08 442193498C6A53DE55EEB9D2"],
    ["22", "22 01234567 E82B2AD3EE8C12A6FB27038F08"],
    ["12", `12 01234567 ${GET} B2D2B6A0A8DD79BA67B3C7EE`],
  ])("has keys of 32 octets: security control %s", (_control, content) => {
    expect(unprotect(hex(content), CLIENT, WIDE_KEYS).plaintext.toString("hex").toUpperCase()).toBe(GET);
    const header = readSecurityHeader(hex(content));
    expect(protect(hex(GET), header, CLIENT, WIDE_KEYS).equals(hex(content))).toBe(true);
  });
});

describe("what is refused", () => {
  const content = (control: string) => hex(`${control}00000001${CIPHERED_PUSH}`);
  it.each([
    ["70", "unsupported", KEYS], // broadcast key
    ["B0", "unsupported", KEYS], // compressed
    ["33", "unsupported", KEYS], // suite 3
    ["32", "wrong_suite", KEYS], // suite 2 wants keys of 32 octets
    ["30", "wrong_suite", WIDE_KEYS],
    ["31", "wrong_suite", WIDE_KEYS],
  ])("security control %s: %s", (control, reason, keys) => {
    expect(() => unprotect(content(control), SERVER, keys)).toThrow(expect.objectContaining({ reason }));
  });

  it("a tag of four octets", () => {
    // The first four octets of the right tag: Node would accept them without the length of the tag.
    const short = hex("3001234567411312FF935A47566827C467BC7D825C3B");
    expect(() => unprotect(short, CLIENT, KEYS)).toThrow(expect.objectContaining({ name: "SecurityError" }));
  });

  it("a system title of nine octets", () => {
    expect(() => unprotect(content("30"), Buffer.alloc(9), KEYS)).toThrow(
      expect.objectContaining({ reason: "malformed" }),
    );
  });
});

it("an APDU that is neither encrypted nor authenticated is passed on as not verified", () => {
  expect(unprotect(hex(`0000000007${GET}`), CLIENT, KEYS)).toEqual({
    control: 0,
    counter: 7,
    plaintext: hex(GET),
    verified: false,
  });
});

/** DB 08 title(8), then a length of one to three octets: cut by hand, the codec has no part in this test. */
function envelope(apdu: Buffer): { title: Buffer; content: Buffer } {
  const form = apdu[10]!;
  return { title: apdu.subarray(2, 10), content: apdu.subarray(form < 0x80 ? 11 : form === 0x81 ? 12 : 13) };
}

const apdusOf = (octets: string) =>
  drain(new StreamDeframer({ framing: "auto", limits: DEFAULT_LIMITS }), [hex(octets)], ({ apdu }) =>
    Buffer.from(apdu),
  ).frames;

const other = (file: string) =>
  readFileSync(new URL(`../vectors/other-implementations/${file}`, import.meta.url), "utf8")
    .trim()
    .split("\n")
    .filter((line) => !line.startsWith("#"));

describe("what Gurux ciphered", () => {
  const pushes = other("pushes.tsv")
    .map((line) => line.split("\t") as [string, string, string, string, string, string, string])
    .filter(([, , protection, , , blocks]) => protection !== "none" && blocks === "-");

  it("covers suites 0 and 1, and all three kinds of protection", () => {
    expect(new Set(pushes.map(([, , , suite]) => suite))).toEqual(new Set(["0", "1"]));
    expect(new Set(pushes.map(([, , protection]) => protection))).toEqual(new Set(["a", "e", "ae"]));
  });

  it.each(pushes)(
    "%s %s %s suite %s %s",
    (_producer, _framing, protection, suite, _layout, _blocks, octets) => {
      const apdus = apdusOf(octets);
      expect(apdus).toHaveLength(1);
      const { title, content } = envelope(apdus[0]!);
      const { control, plaintext, verified } = unprotect(content, title, KEYS);
      expect(control).toBe({ a: 0x10, e: 0x20, ae: 0x30 }[protection]! | Number(suite));
      expect(verified).toBe(protection !== "e");
      // data-notification, long-invoke-id C0000001, and at the end the last register, 07C69CD5.
      expect(plaintext.toString("hex")).toMatch(/^0fc0000001.*0607c69cd5$/);
    },
  );

  it("of IS 15959 meters is the notification's body in clear", () => {
    let opened = 0;
    for (const line of other("is15959-pushes.jsonl")) {
      const { id, hex: octets, security, keys, body } = JSON.parse(line);
      const apdus = apdusOf(octets);
      if (security === "none" || apdus.length !== 1 || apdus[0]![0] !== 0xdb) continue;
      const { title, content } = envelope(apdus[0]!);
      const { plaintext } = unprotect(content, title, keysOf(keys.guek, keys.gak));
      expect(plaintext.toString("hex").endsWith(body), id).toBe(true);
      opened += 1;
    }
    expect(opened).toBe(29);
  });
});
