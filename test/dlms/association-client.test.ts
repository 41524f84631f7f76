import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ClientAssociation } from "../../src/dlms/association/client.ts";
import type { Exchange, MeterQuirks, ServiceMeans } from "../../src/dlms/association/client-exchange.ts";
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
  quirks: new Set(),
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
    const quirks: MeterQuirks = new Set();
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
    expect([...quirks]).toEqual(["get_list_refused"]);
  });

  it.each([
    // Of Gurux C: a list with a refusal and no more. Of Gurux Java: blocks under the choice of a list, cut here after the first octets.
    ["fewer results than announced", "C403C2010361"],
    ["blocks that aren't called so", "C403C200000000018203F50900011F0204"],
  ])("a list that is answered with %s is read one by one", (_what, answer) => {
    const quirks: MeterQuirks = new Set();
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
    expect([...quirks]).toEqual(["get_list_refused"]);
  });

  it("a list that is answered by blocks without end is read one by one", () => {
    const quirks: MeterQuirks = new Set();
    const line = new Line({ quirks, proposedConformance: 0x207e1f });
    line.associate();
    line.association.takeOutput();
    line.association.receive(hex(AARE.replace("007E1F", "207E1F")), 0);
    line.association.takeEvent();
    line.association.run((means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means), 0);
    expect(line.association.takeOutput()?.subarray(0, 2)).toEqual(hex("C003"));
    // The first block, and again and again: the meter does not take our acknowledgement for one.
    for (let at = 0; at < 65; at++) {
      line.association.receive(hex("E0010001000103C403C1"), at);
      expect(line.association.takeOutput()?.[0]).toBe(0xe0);
    }
    // Repetitions don't keep the time for an answer from running out.
    expect(line.association.deadline()).toBe(1_000);
    line.association.receive(hex("E0010001000103C403C1"), 65);
    expect(line.association.takeOutput()?.[0]).toBe(0xe0);
    expect(line.association.takeOutput()).toEqual(hex("C001C200080000010000FF0200"));
    expect([...quirks]).toEqual(["get_list_refused"]);
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

/* Octets by hand, from the layouts of DLMS-FACTS section 8. */
const RELAY = (methodId: number) => ({
  classId: 70,
  instanceId: parseObis("0.0.96.3.10.255"),
  methodId,
});
const INTEGER_0: Data = { type: "integer", value: 0 };
const number = (value: number): Data => ({ type: "long-unsigned", value });
const LISTS = "00080000010000FF0200" + "00030100010800FF0200";

describe("several things in one request", () => {
  const lists = (quirks: MeterQuirks = new Set(), more: Partial<ClientOptions> = {}) => {
    const line = new Line({ quirks, ...more });
    line.associate();
    line.association.takeOutput();
    line.association.receive(hex(AARE), 0);
    line.association.takeEvent();
    return line;
  };
  const set = (means: ServiceMeans) =>
    write(
      [
        { attribute: CLOCK, value: CLOCK_TIME },
        { attribute: ENERGY, value: number(5) },
      ],
      means,
    );
  const action = (means: ServiceMeans) =>
    invoke(
      [
        { method: RELAY(1), parameters: INTEGER_0 },
        { method: RELAY(2), parameters: null },
      ],
      means,
    );

  it("SET with list: a result each", () => {
    expect(lists().run(set, `C104C102${LISTS}02090C07EA0718FF0A0F1E00FEB600120005`, "C505C1020003")).toEqual({
      kind: "done",
      value: [{ kind: "done" }, { kind: "refused", result: "read-write-denied" }],
    });
  });

  it("ACTION with list: a result each, null-data where there are no parameters", () => {
    expect(
      lists().run(
        action,
        "C303C10200460000 60030AFF0100460000 60030AFF02020F0000".replaceAll(" ", ""),
        "C703C1020001001200070300",
      ),
    ).toEqual({
      kind: "done",
      value: [
        { kind: "done", value: number(7) },
        { kind: "refused", result: "read-write-denied" },
      ],
    });
  });

  it.each([
    ["an exception", "D80202"],
    ["one refusal for all", "C501C103"],
    // Nothing tells how far it came, and the same values may be written again.
    ["an answer that is none", "C505C10100"],
  ])("a list of SET that is answered with %s is written one by one, and no other list", (_what, answer) => {
    const quirks: MeterQuirks = new Set();
    const line = lists(quirks);
    expect(
      line.run(
        set,
        `C104C102${LISTS}02090C07EA0718FF0A0F1E00FEB600120005`,
        answer,
        "C101C200080000010000FF0200090C07EA0718FF0A0F1E00FEB600",
        "C501C200",
        "C101C300030100010800FF0200120005",
        "C501C30D",
      ),
    ).toMatchObject({ value: [{ kind: "done" }, { result: "scope-of-access-violated" }] });
    expect([...quirks]).toEqual(["set_list_refused"]);
    // What is read may still be a list.
    line.association.run((means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means), 0);
    expect(line.association.takeOutput()?.[1]).toBe(3);
  });

  it("a list of ACTION that is refused is invoked one by one", () => {
    const quirks: MeterQuirks = new Set();
    expect(
      lists(quirks).run(
        action,
        "C303C1020046000060030AFF010046000060030AFF02020F0000",
        "D80102",
        "C301C20046000060030AFF01010F00",
        "C701C20000",
        "C301C30046000060030AFF0200",
        "C701C30300",
      ),
    ).toMatchObject({ value: [{ kind: "done" }, { kind: "refused" }] });
    expect([...quirks]).toEqual(["action_list_refused"]);
  });

  it("a list of ACTION whose answer makes no sense is not invoked once more, and not the next time", () => {
    const quirks: MeterQuirks = new Set();
    const line = lists(quirks);
    expect(
      line.run(action, "C303C1020046000060030AFF010046000060030AFF02020F0000", "C703C1010000"),
    ).toMatchObject({ kind: "exchange-failed", error: { reason: "malformed" } });
    expect(line.association.takeOutput()).toBeNull();
    expect([...quirks]).toEqual(["action_list_refused"]);
  });

  // 64 octets of an APDU are taken: what InitiateResponse says.
  const AARE_64 = AARE.replace("04000007", "00400007").replace("7E1F", "1E1F");
  const small = (quirks?: MeterQuirks) => {
    const line = new Line(quirks === undefined ? {} : { quirks });
    line.associate(AARQ, AARE_64);
    return line;
  };
  const LONG = Buffer.from("0123456789ABCDEF".repeat(3));
  const octets: Data = { type: "octet-string", value: LONG };

  it("SET with list in blocks where it is longer than an APDU", () => {
    const raw = `020930${LONG.toString("hex").toUpperCase()}120005`;
    // 64 octets less 3 + 1 + 20 + 1 + 4 and 3 for the length; then less 8 and 3.
    const first = raw.slice(0, 32 * 2);
    const rest = raw.slice(32 * 2);
    expect(
      small().run(
        (means) =>
          write(
            [
              { attribute: CLOCK, value: octets },
              { attribute: ENERGY, value: number(5) },
            ],
            means,
          ),
        `C105C102${LISTS}000000000120${first}`,
        "C502C100000001",
        `C103C1010000000216${rest}`,
        "C504C102000300000002",
      ),
    ).toEqual({ kind: "done", value: [{ kind: "done" }, { kind: "refused", result: "read-write-denied" }] });
  });

  it("ACTION with list in blocks both ways", () => {
    const raw = `020930${LONG.toString("hex").toUpperCase()}00`;
    const first = raw.slice(0, 34 * 2);
    const rest = raw.slice(34 * 2);
    const answer = `020001000930${LONG.toString("hex").toUpperCase()}0C00`;
    expect(
      small().run(
        (means) =>
          invoke(
            [
              { method: RELAY(1), parameters: octets },
              { method: RELAY(2), parameters: null },
            ],
            means,
          ),
        `C305C1020046000060030AFF010046000060030AFF02000000000122${first}`,
        "C704C100000001",
        `C306C1010000000212${rest}`,
        `C702C1000000000130${answer.slice(0, 48 * 2)}`,
        "C302C100000001",
        `C702C101000000020${(answer.length / 2 - 48).toString(16).toUpperCase()}${answer.slice(48 * 2)}`,
      ),
    ).toEqual({
      kind: "done",
      value: [
        { kind: "done", value: octets },
        { kind: "refused", result: "type-unmatched" },
      ],
    });
  });

  it("a list in blocks that is refused at its first block is written one by one", () => {
    const quirks: MeterQuirks = new Set();
    const line = small(quirks);
    line.association.run(
      (means) =>
        write(
          [
            { attribute: CLOCK, value: octets },
            { attribute: ENERGY, value: number(5) },
          ],
          means,
        ),
      0,
    );
    expect(line.association.takeOutput()?.subarray(0, 2)).toEqual(hex("C105"));
    line.association.receive(hex("D80202"), 0);
    expect(line.association.takeOutput()?.subarray(0, 3)).toEqual(hex("C101C2"));
    expect([...quirks]).toEqual(["set_list_refused"]);
  });

  describe("by ACCESS, where there is nothing else", () => {
    const access = (quirks: MeterQuirks = new Set()) => {
      const line = new Line({ quirks, proposedConformance: 0x00005d });
      line.association.associate(0);
      line.association.takeOutput();
      line.association.receive(hex(AARE.replace("7E1F", "005D")), 0);
      line.association.takeEvent();
      return line;
    };

    it("SET", () => {
      expect(
        access().run(
          set,
          "D9C000000100020200080000010000FF020200030100010800FF0202090C07EA0718FF0A0F1E00FEB600120005",
          "DA4000000100000200000202000203",
        ),
      ).toEqual({
        kind: "done",
        value: [{ kind: "done" }, { kind: "refused", result: "read-write-denied" }],
      });
    });

    it("ACTION", () => {
      expect(
        access().run(
          action,
          "D9C00000010002030046000060030AFF01030046000060030AFF02020F0000",
          "DA400000010000021200070002030003 0C".replace(" ", ""),
        ),
      ).toEqual({
        kind: "done",
        value: [
          { kind: "done", value: number(7) },
          { kind: "refused", result: "type-unmatched" },
        ],
      });
    });

    it("refused, it is remembered for all services", () => {
      const quirks: MeterQuirks = new Set();
      const line = access(quirks);
      line.run(
        set,
        "D9C000000100020200080000010000FF020200030100010800FF0202090C07EA0718FF0A0F1E00FEB600120005",
        "D80202",
        "C101C200080000010000FF0200090C07EA0718FF0A0F1E00FEB600",
        "C501C200",
        "C101C300030100010800FF0200120005",
        "C501C300",
      );
      expect([...quirks]).toEqual(["access_refused"]);
      line.association.run((means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means), 0);
      expect(line.association.takeOutput()?.subarray(0, 2)).toEqual(hex("C001"));
    });
  });

  it("where lists are refused and ACCESS is offered, by ACCESS", () => {
    const quirks: MeterQuirks = new Set(["get_list_refused"]);
    const line = lists(quirks, { proposedConformance: 0x007e5f });
    line.association.run((means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means), 0);
    // This meter has not agreed to ACCESS.
    expect(line.association.takeOutput()?.subarray(0, 2)).toEqual(hex("C001"));
    const offering = new Line({ quirks, proposedConformance: 0x007e5f });
    offering.association.associate(0);
    offering.association.takeOutput();
    offering.association.receive(hex(AARE.replace("7E1F", "7E5F")), 0);
    offering.association.run((means) => read([{ attribute: CLOCK }, { attribute: ENERGY }], means), 0);
    expect(offering.association.takeOutput()?.[0]).toBe(0xd9);
  });
});

describe("an association that stands beforehand", () => {
  const preEstablished = { conformance: 0x00_1e1d, serverMaxReceivePduSize: 64 };
  const GET = "C001C100080000010000FF0200";
  const get = (means: ServiceMeans) => read([{ attribute: CLOCK }], means);

  it("needs no AARQ, keeps to what is known of the meter, and is left without a word", () => {
    const line = new Line({ preEstablished });
    expect(line.associate()).toEqual({ kind: "associated", conformance: 0x1e1d, meterTitle: null });
    expect(line.association.takeOutput()).toBeNull();
    expect(line.run(get, GET, "C401C100090C07EA0718FF0A0F1E00FEB600")).toMatchObject({ kind: "done" });
    // 64 octets and no more: the value comes in blocks.
    const long: Data = { type: "octet-string", value: Buffer.alloc(60, 0xaa) };
    line.association.run((means) => write([{ attribute: CLOCK, value: long }], means), 0);
    expect(line.association.takeOutput()?.subarray(0, 2)).toEqual(hex("C102"));
    line.association.receive(hex("D80102"), 0);
    line.association.takeEvent();
    line.association.release(0);
    expect(line.association.takeOutput()).toBeNull();
    expect(line.association.takeEvent()).toEqual({ kind: "released" });
  });

  it("is ciphered under the title that the meter is known by", () => {
    const known = { ...security(3), meterTitle: SERVER_TITLE };
    const line = new Line({
      ...HLS2,
      mechanism: 0,
      secret: null,
      challenge: null,
      security: known,
      preEstablished,
    });
    expect(line.associate()).toMatchObject({ kind: "associated", meterTitle: SERVER_TITLE });
    expect(
      line.run(
        get,
        "C81E3000000003BBC29BB99274633EDC67AD5D562B050DB6DE606AD347E26DC9",
        "CC233000000003D66E0035B96A18B1DC5467E315EF5951D8F1EE6218B0230B0FE0234C8231",
      ),
    ).toEqual({ kind: "done", value: [{ kind: "data", value: CLOCK_TIME }] });
    // An answer in clear is none.
    line.association.run(get, 0);
    line.association.takeOutput();
    line.association.receive(hex("C401C200090C07EA0718FF0A0F1E00FEB600"), 0);
    expect(line.association.takeEvent()).toMatchObject({
      kind: "exchange-failed",
      error: { reason: "plaintext_refused" },
    });
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
    [
      "a challenge of 65 octets",
      AARE_HLS2.replace("6169", "61819A").replace(
        "AA1280105365727665724368616C6C656E676531",
        `AA438041${"53".repeat(65)}`,
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
