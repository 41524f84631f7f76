import { describe, expect, it } from "vitest";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import type { AssociationPolicy, ServerOptions } from "../../src/dlms/association/server-options.ts";
import { CLIENT_TITLE, hex, LIMITS, SERVER_TITLE, secret, suite0 } from "../support/associations.ts";
import { PaperMeter } from "../support/paper-meter.ts";

/* Octets of DLMS-FACTS section 19: worked out by hand or by another implementation, none by ours. */

const CLOCK = hex("07EA0718FF0A0F1E00FEB600");

const meter = () =>
  new PaperMeter()
    .attribute(8, "0.0.1.0.0.255", 2, { type: "octet-string", value: CLOCK })
    .attribute(3, "1.0.1.8.0.255", 2, { type: "double-long-unsigned", value: 50_000 });

const PLAIN: AssociationPolicy = {
  mechanism: 0,
  secret: null,
  ciphered: false,
  conformance: 0x001c1d,
  security: null,
};

function server(policy: AssociationPolicy | null, options: Partial<ServerOptions> = {}): ServerAssociation {
  return new ServerAssociation({
    clientSap: 16,
    serverSap: 1,
    systemTitle: SERVER_TITLE,
    policy,
    objects: meter(),
    randomOctets: () => Buffer.from("ServerChallenge1"),
    maxReceivePduSize: 1024,
    limits: LIMITS,
    apduOctetsMax: 65_536,
    ...options,
  });
}

/** The answers to each request, in hex. */
function talk(association: ServerAssociation, requests: readonly string[]): string[] {
  return requests.map((request) => {
    association.receive(hex(request));
    const answers: string[] = [];
    for (let out = association.takeOutput(); out !== null; out = association.takeOutput()) {
      answers.push(out.toString("hex").toUpperCase());
    }
    return answers.join(" ");
  });
}

const AARQ_PLAIN = "601DA109060760857405080101BE10040E01000000065F1F0400007E1F04B0";
const AARQ_LLS =
  "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0";
const AARE_001C1D = "6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F0400001C1D04000007";
const AARQ_HLS2 =
  "605DA109060760857405080103A60A04084D4D4D0000BC614E8A0207808B0760857405080202AC128010436C69656E744368616C6C656E676531BE230421211F3000000001D061000A04EC615571A4CC968BB3A4FF6CC37F97D3A1587908E6";
const PASS_3 =
  "CB30300000000233CA3FF2C2E065A0FE7F093CE30E366749432D0105AE5DC9C19006D2EA34C873B892CDE959980534870DB2";
const GLO_GET_CLOCK = "C81E3000000003BBC29BB99274633EDC67AD5D562B050DB6DE606AD347E26DC9";

const HLS2: AssociationPolicy = {
  mechanism: 2,
  secret: secret("0123456789ABCDEF"),
  ciphered: true,
  conformance: 0x20189d,
  security: suite0(1),
};

describe("a meter's end of an association, octet for octet", () => {
  it("without security: AARQ, GET normal and with-list, refusals, release", () => {
    const association = server({ ...PLAIN, conformance: 0x001e1d });
    const answers = talk(association, [
      AARQ_PLAIN,
      "C001C100080000010000FF0200",
      "C001C1000100002A0000FF0200",
      "C003C10200080000010000FF020000030100010800FF0200",
      "D94000000100020100080000010000FF020100030100010800FF02020000",
      "6203800100",
      "C001C100080000010000FF0200",
    ]);
    expect(answers).toEqual([
      AARE_001C1D.replace("001C1D", "001E1D"),
      "C401C100090C07EA0718FF0A0F1E00FEB600",
      "C401C10104",
      "C403C10200090C07EA0718FF0A0F1E00FEB60000060000C350",
      // ACCESS was not agreed on.
      "D80202",
      "6303800100",
      "D80101",
    ]);
  });

  it("gives the conformance of both sides, and refuses what was not agreed on", () => {
    const association = server(PLAIN);
    expect(talk(association, [AARQ_PLAIN, "C003C10200080000010000FF020000030100010800FF0200"])).toEqual([
      AARE_001C1D,
      "D80202",
    ]);
  });

  it("LLS: the right password, and a wrong one", () => {
    const policy: AssociationPolicy = { ...PLAIN, mechanism: 1, secret: secret("12345678") };
    expect(talk(server(policy), [AARQ_LLS])).toEqual([AARE_001C1D]);
    const refusing = server({ ...policy, secret: secret("12345679") });
    const [answer, after] = talk(refusing, [AARQ_LLS, "C001C100080000010000FF0200"]);
    expect(answer).toBe("6117A109060760857405080101A203020101A305A10302010D");
    expect(after).toBe("D80101");
  });

  it("HLS 2 with AES-128 in a ciphered context: passes 1 to 4, a ciphered GET", () => {
    const association = server(HLS2, { clientSap: 48, maxReceivePduSize: 750 });
    expect(talk(association, [AARQ_HLS2, PASS_3, GLO_GET_CLOCK])).toEqual([
      "6169A109060760857405080103A203020100A305A10302010EA40A0408414243000000000188020780890760857405080202AA1280105365727665724368616C6C656E676531BE230421281F30000000016C14212E7D5643804C8F26F9B87F3035F375B2F46B8BE2644DFF",
      "CF29300000000222291BFFABE9BA79F6628755D0AF8A41A4093CAD70799E1907C1DC11DC542BDDB9B7FD48",
      "CC233000000003D66E0035B96A18B1DC5467E315EF5951D8F1EE6218B0230B0FE0234C8231",
    ]);
    expect(association.state).toBe("associated");
  });

  it("answers an old counter with the one it expects, and a broken tag with an exception", () => {
    const association = server({ ...HLS2, security: suite0(1) });
    talk(association, [AARQ_HLS2, PASS_3, GLO_GET_CLOCK]);
    const broken = `${GLO_GET_CLOCK.slice(0, -2)}00`.replace("3000000003", "3000000009");
    expect(talk(association, [GLO_GET_CLOCK, broken])).toEqual(["D8020600000004", "D80205"]);
  });

  it("lets nobody in with a wrong answer to its challenge, nor in clear where ciphering is agreed on", () => {
    const association = server({ ...HLS2, secret: secret("0123456789ABCDEX"), security: suite0(1) });
    const [, pass4] = talk(association, [AARQ_HLS2, PASS_3]);
    expect(pass4?.slice(0, 2)).toBe("CF");
    expect(association.state).toBe("idle");
    expect(talk(association, [GLO_GET_CLOCK])).toEqual(["D80101"]);
    const second = server({ ...HLS2, security: suite0(1) });
    expect(talk(second, [AARQ_HLS2, PASS_3, "C001C100080000010000FF0200"]).at(-1)).toBe("D80101");
  });
});

describe("an association that stands beforehand, at the meter's end", () => {
  const GET_CLOCK = "C001C100080000010000FF0200";
  const THE_CLOCK = "C401C100090C07EA0718FF0A0F1E00FEB600";
  const pre = (clientMaxReceivePduSize: number, clientTitle: Buffer | null = null) => ({
    preEstablished: { clientTitle, clientMaxReceivePduSize },
  });

  it("answers without AARQ, is not released, and stands again with the next link", () => {
    const association = server({ ...PLAIN, ...pre(1_024) });
    expect(association.state).toBe("associated");
    expect(talk(association, [GET_CLOCK, "6203800100", GET_CLOCK])).toEqual([THE_CLOCK, "D80101", THE_CLOCK]);
    association.linkLost();
    expect(talk(association, [GET_CLOCK])).toEqual([THE_CLOCK]);
  });

  it("keeps to the conformance of the meter and the size that the client takes", () => {
    const association = server(
      { ...PLAIN, ...pre(64) },
      {
        objects: meter().attribute(1, "0.0.42.0.0.255", 2, {
          type: "octet-string",
          value: Buffer.alloc(80, 0xaa),
        }),
      },
    );
    const [list, block] = talk(association, [
      "C003C10200080000010000FF020000030100010800FF0200",
      "C001C1000100002A0000FF0200",
    ]);
    expect(list).toBe("D80202");
    // 64 octets: 12 in front of the raw data, of which the first two are the type and the length of the value.
    expect(block).toBe(`C402C100000000010034${"0950"}${"AA".repeat(50)}`);
  });

  it("is ciphered under the title that the client is known by", () => {
    const association = server(
      { ...HLS2, mechanism: 0, secret: null, security: suite0(3), ...pre(1_024, CLIENT_TITLE) },
      { clientSap: 48 },
    );
    expect(talk(association, [GLO_GET_CLOCK, GET_CLOCK])).toEqual([
      "CC233000000003D66E0035B96A18B1DC5467E315EF5951D8F1EE6218B0230B0FE0234C8231",
      // In clear it is none of this association.
      expect.stringMatching(/^D8/),
    ]);
  });
});
