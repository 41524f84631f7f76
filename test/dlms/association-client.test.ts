import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ClientAssociation } from "../../src/dlms/association/client.ts";
import type { Exchange, ServiceMeans } from "../../src/dlms/association/client-exchange.ts";
import { invoke } from "../../src/dlms/association/client-invoke.ts";
import type { ClientEvent, ClientOptions } from "../../src/dlms/association/client-options.ts";
import { read } from "../../src/dlms/association/client-read.ts";
import { write } from "../../src/dlms/association/client-write.ts";
import { ReceivedCounter } from "../../src/dlms/association/protection.ts";
import { parseObis } from "../../src/dlms/cosem/obis-code.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import {
  AK,
  CLIENT_TITLE,
  counting,
  EK,
  hex,
  LIMITS,
  SERVER_TITLE,
  secret,
} from "../support/associations.ts";

/* Octets of DLMS-FACTS section 19: worked out by hand or by another implementation, none by ours. */

const OPTIONS: ClientOptions = {
  mechanism: 0,
  secret: null,
  challenge: null,
  ciphered: false,
  systemTitle: null,
  security: null,
  proposedConformance: 0x007e1f,
  requiredConformance: 0,
  maxReceivePduSize: 1200,
  limits: LIMITS,
  bytesMax: 65_536,
  blockWindow: 1,
  responseMs: 1_000,
  repeats: 0,
  quirks: { withListRefused: false },
};

/** Sends what it must, checks that it is what is expected, and answers. */
class Line {
  readonly association: ClientAssociation;
  now = 0;

  constructor(options: Partial<ClientOptions> = {}) {
    this.association = new ClientAssociation({ ...OPTIONS, ...options });
  }

  associate(...turns: string[]): ClientEvent | null {
    this.association.associate(this.now);
    return this.turns(turns);
  }

  run(service: (means: ServiceMeans) => Exchange<unknown>, ...turns: string[]): ClientEvent | null {
    this.association.run(service, this.now);
    return this.turns(turns);
  }

  /** A request that must be sent, the answer to it, the next request … */
  turns(turns: readonly string[]): ClientEvent | null {
    for (let at = 0; at < turns.length; at += 2) {
      expect(this.association.takeOutput()?.toString("hex").toUpperCase()).toBe(turns[at]);
      if (turns[at + 1] !== undefined) this.association.receive(hex(turns[at + 1]!), this.now);
    }
    return this.association.takeEvent();
  }
}

const CLOCK = { classId: 8, instanceId: parseObis("0.0.1.0.0.255"), attributeId: 2 };
const ENERGY = { classId: 3, instanceId: parseObis("1.0.1.8.0.255"), attributeId: 2 };
const CLOCK_TIME: Data = { type: "octet-string", value: hex("07EA0718FF0A0F1E00FEB600") };

const AARQ = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0";
const AARE = "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F0400007E1F04000007";

const HLS2: Partial<ClientOptions> = {
  mechanism: 2,
  secret: secret("0123456789ABCDEF"),
  challenge: Buffer.from("ClientChallenge1"),
  ciphered: true,
  systemTitle: CLIENT_TITLE,
  proposedConformance: 0x20189d,
  maxReceivePduSize: 750,
};
const security = (first = 1) => ({
  suite: 0 as const,
  keys: { encryption: EK, authentication: AK },
  sent: counting(first),
  received: new ReceivedCounter(),
  bits: 0x30,
  required: 0x30,
  dedicated: null,
  general: false,
  meterTitle: null,
});
const AARQ_HLS2 =
  "605DA109060760857405080103A60A04084D4D4D0000BC614E8A0207808B0760857405080202AC128010436C69656E744368616C6C656E676531BE230421211F3000000001D061000A04EC615571A4CC968BB3A4FF6CC37F97D3A1587908E6";
const AARE_HLS2 =
  "6169A109060760857405080103A203020100A305A10302010EA40A0408414243000000000188020780890760857405080202AA1280105365727665724368616C6C656E676531BE230421281F30000000016C14212E7D5643804C8F26F9B87F3035F375B2F46B8BE2644DFF";
const PASS_3 =
  "CB30300000000233CA3FF2C2E065A0FE7F093CE30E366749432D0105AE5DC9C19006D2EA34C873B892CDE959980534870DB2";
const PASS_4 = "CF29300000000222291BFFABE9BA79F6628755D0AF8A41A4093CAD70799E1907C1DC11DC542BDDB9B7FD48";

describe("a client's end of an association, octet for octet", () => {
  it("without security, LLS, and the public client of Indian meters", () => {
    const line = new Line();
    expect(line.associate(AARQ, AARE)).toEqual({
      kind: "associated",
      conformance: 0x007e1f,
      meterTitle: null,
    });
    const lls = new Line({ mechanism: 1, secret: secret("12345678") });
    expect(
      lls.associate(
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0",
        AARE,
      )?.kind,
    ).toBe("associated");
    const india = new Line({ proposedConformance: 0x000010, maxReceivePduSize: 750 });
    expect(
      india.associate("601DA109060760857405080101BE10040E01000000065F1F040000001002EE", AARE),
    ).toMatchObject({ conformance: 0x10 });
  });

  it("GET, SET, ACTION of the fact sheet", () => {
    const get = new Line();
    get.associate(AARQ, AARE);
    expect(
      get.run(
        (means) => read([{ attribute: CLOCK }], means),
        "C001C100080000010000FF0200",
        "C401C100090C07EA0718FF0A0F1E00FEB600",
      ),
    ).toEqual({ kind: "done", value: [{ kind: "data", value: CLOCK_TIME }] });

    const list = new Line();
    list.associate(AARQ, AARE);
    expect(
      list.run(
        (means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means),
        "C003C10200080000010000FF020000030100010800FF0200",
        "C403C10200090C07EA0718FF0A0F1E00FEB60000060000C350",
      ),
    ).toMatchObject({ value: [{ value: CLOCK_TIME }, { value: { value: 50_000 } }] });

    const set = new Line();
    set.associate(AARQ, AARE);
    expect(
      set.run(
        (means) => write([{ attribute: CLOCK, value: CLOCK_TIME }], means),
        "C101C100080000010000FF0200090C07EA0718FF0A0F1E00FEB600",
        "C501C103",
      ),
    ).toEqual({ kind: "done", value: [{ kind: "refused", result: "read-write-denied" }] });

    const action = new Line();
    action.associate(AARQ, AARE);
    const relay = { classId: 70, instanceId: parseObis("0.0.96.3.10.255"), methodId: 1 };
    expect(
      action.run(
        (means) => invoke([{ method: relay, parameters: { type: "integer", value: 0 } }], means),
        "C301C10046000060030AFF01010F00",
        "C701C10000",
      ),
    ).toEqual({ kind: "done", value: [{ kind: "done", value: null }] });
  });

  it("reads block after block", () => {
    const line = new Line();
    line.associate(AARQ, AARE);
    // The row of DLMS-FACTS 19.1 (segmented response) cut into two blocks by hand.
    const event = line.run(
      (means) => read([{ attribute: { ...CLOCK, classId: 7 } }], means),
      "C001C100070000010000FF0200",
      "C402C10000000001000F0203090C07EA0718FF0A0F0000FEB6",
      "C002C100000001",
      "C402C101000000020009" + "00120902060000C350",
    );
    expect(event).toMatchObject({
      kind: "done",
      value: [
        { kind: "data", value: { type: "structure", value: [{}, { value: 0x0902 }, { value: 50_000 }] } },
      ],
    });
  });

  it("an exception is a value, and the association stands", () => {
    const line = new Line();
    line.associate(AARQ, AARE);
    expect(
      line.run((means) => read([{ attribute: CLOCK }], means), "C001C100080000010000FF0200", "D80102"),
    ).toMatchObject({
      kind: "done",
      value: [{ kind: "rejected", response: { serviceError: "service-not-supported" } }],
    });
    expect(line.association.state).toBe("associated");
  });

  it("a list that the meter refuses is read one by one, and not tried again", () => {
    const quirks = { withListRefused: false };
    const line = new Line({ quirks });
    line.associate(AARQ, AARE);
    const event = line.run(
      (means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means),
      "C003C10200080000010000FF020000030100010800FF0200",
      "D80202",
      "C001C200080000010000FF0200",
      "C401C200090C07EA0718FF0A0F1E00FEB600",
      "C001C300030100010800FF0200",
      "C401C30104",
    );
    expect(event).toMatchObject({
      value: [{ value: CLOCK_TIME }, { kind: "refused", result: "object-undefined" }],
    });
    expect(quirks.withListRefused).toBe(true);
  });

  it.each([
    // Of Gurux C: a list with a refusal and no more. Of Gurux Java: blocks under the choice of a list, cut here after the first octets.
    ["fewer results than announced", "C403C2010361"],
    ["blocks that aren't called so", "C403C200000000018203F50900011F0204"],
  ])("a list that is answered with %s is read one by one", (_what, answer) => {
    const quirks = { withListRefused: false };
    const line = new Line({ quirks });
    line.associate(AARQ, AARE);
    const event = line.run(
      (means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means),
      "C003C10200080000010000FF020000030100010800FF0200",
      answer.replace(/^C403C2/, "C403C1"),
      "C001C200080000010000FF0200",
      "C401C200090C07EA0718FF0A0F1E00FEB600",
      "C001C300030100010800FF0200",
      "C401C30104",
    );
    expect(event).toMatchObject({
      value: [{ value: CLOCK_TIME }, { kind: "refused", result: "object-undefined" }],
    });
    expect(quirks.withListRefused).toBe(true);
  });

  it("HLS 2 with AES-128 and ciphering: four passes and a GET", () => {
    const line = new Line({ ...HLS2, security: security() });
    expect(line.associate(AARQ_HLS2, AARE_HLS2, PASS_3, PASS_4)).toEqual({
      kind: "associated",
      conformance: 0x20189d,
      meterTitle: SERVER_TITLE,
    });
    expect(
      line.run(
        (means) => read([{ attribute: CLOCK }], means),
        "C81E3000000003BBC29BB99274633EDC67AD5D562B050DB6DE606AD347E26DC9",
        "CC233000000003D66E0035B96A18B1DC5467E315EF5951D8F1EE6218B0230B0FE0234C8231",
      ),
    ).toEqual({ kind: "done", value: [{ kind: "data", value: CLOCK_TIME }] });
  });

  it("AARQ with HLS 5 and a dedicated key", () => {
    const octets = hex("00112233445566778899AABBCCDDEEFF");
    const line = new Line({
      mechanism: 5,
      challenge: Buffer.from("K56iVagY"),
      ciphered: true,
      systemTitle: CLIENT_TITLE,
      security: { ...security(0x01234567), dedicated: { key: createSecretKey(octets), octets } },
      proposedConformance: 0x007e1f,
    });
    line.association.associate(0);
    const aarq = line.association.takeOutput()!.toString("hex").toUpperCase();
    // The fact sheet's InitiateRequest has a conformance and a PDU size that it doesn't name: all but its ciphertext and tag.
    expect(aarq.slice(0, 140)).toBe(
      "6066A109060760857405080103A60A04084D4D4D0000BC614E8A0207808B0760857405080205AC0A80084B35366956616759BE34043221303001234567801302FF8A7874133D",
    );
  });
});

describe("what a client does not put up with", () => {
  const failing = (answer: string, options: Partial<ClientOptions> = {}) => {
    const line = new Line({ ...HLS2, security: security(), ...options });
    line.association.associate(0);
    line.association.takeOutput();
    line.association.receive(hex(answer), 0);
    return line.association.takeEvent() as { kind: string; error: Error & { reason: string } };
  };

  it("a refusal, whose reason is told", () => {
    const { kind, error } = failing("611FA109060760857405080101A203020101A305A10302010DBE0604040E010601", {
      ...OPTIONS,
      mechanism: 1,
      secret: secret("x"),
    });
    expect(kind).toBe("failed");
    expect(error.message).toContain("authentication-failure");
    expect(error.message).toContain("dlms-version-too-low");
    expect(error.reason).toBe("association_refused");
  });

  it.each([
    [
      "another mechanism",
      AARE_HLS2.replace("890760857405080202", "890760857405080205"),
      "association_refused",
    ],
    ["another context", AARE_HLS2.replace("0760857405080103A2", "0760857405080101A2"), "association_refused"],
    [
      "our own challenge",
      AARE_HLS2.replace("5365727665724368616C6C656E676531", "436C69656E744368616C6C656E676531"),
      "hls_failed",
    ],
    ["our own system title", AARE_HLS2.replace("4142430000000001", "4D4D4D0000BC614E"), "identity_mismatch"],
    [
      "a challenge of seven octets",
      AARE_HLS2.replace("6169", "6160").replace(
        "AA1280105365727665724368616C6C656E676531",
        "AA098007" + "53657276657243",
      ),
      "hls_failed",
    ],
    ["a tag that is not right", `${AARE_HLS2.slice(0, -2)}00`, "bad_tag"],
    [
      "an InitiateResponse in clear",
      "6156A109060760857405080103A203020100A305A10302010EA40A0408414243000000000188020780890760857405080202AA1280105365727665724368616C6C656E676531BE10040E0800065F1F040020189D02EE0007",
      "plaintext_refused",
    ],
  ])("%s", (_, answer, reason) => {
    expect(failing(answer).error.reason).toBe(reason);
  });

  it("another meter than the one that was meant", () => {
    const meterTitle = hex("4142430000000002");
    expect(failing(AARE_HLS2, { security: { ...security(), meterTitle } }).error.reason).toBe(
      "identity_mismatch",
    );
  });

  it("a meter without what is needed", () => {
    expect(failing(AARE_HLS2, { requiredConformance: 0x40 }).error.reason).toBe("association_refused");
  });

  it("a wrong answer to our challenge, and one from before", () => {
    const line = new Line({
      ...HLS2,
      secret: secret("0123456789ABCDEF"),
      challenge: Buffer.from("ClientChallenge2"),
      security: security(),
    });
    line.association.associate(0);
    line.association.takeOutput();
    line.association.receive(hex(AARE_HLS2), 0);
    line.association.receive(hex(PASS_4), 0);
    expect((line.association.takeEvent() as unknown as { error: { reason: string } }).error.reason).toBe(
      "hls_failed",
    );
    const replayed = new Line({ ...HLS2, security: { ...security(), received: new ReceivedCounter(1) } });
    replayed.association.associate(0);
    replayed.association.receive(hex(AARE_HLS2), 0);
    expect((replayed.association.takeEvent() as unknown as { error: { reason: string } }).error.reason).toBe(
      "replay",
    );
  });

  it("silence", () => {
    const line = new Line({ repeats: 1 });
    line.association.associate(0);
    expect(line.association.takeOutput()).not.toBeNull();
    line.association.handleTimeout(1_000);
    expect(line.association.takeOutput()).not.toBeNull();
    line.association.handleTimeout(2_000);
    expect(line.association.takeEvent()).toMatchObject({ kind: "failed", error: { name: "SilenceError" } });
  });
});
