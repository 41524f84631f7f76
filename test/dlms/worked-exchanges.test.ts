import { describe, expect, it } from "vitest";
import type { Exchange, ServiceMeans } from "../../src/dlms/association/client-exchange.ts";
import { invoke } from "../../src/dlms/association/client-invoke.ts";
import { read } from "../../src/dlms/association/client-read.ts";
import { write } from "../../src/dlms/association/client-write.ts";
import { disconnectControl } from "../../src/dlms/cosem/classes/disconnect-control.ts";
import { imageTransfer } from "../../src/dlms/cosem/classes/image-transfer.ts";
import type { Method } from "../../src/dlms/cosem/classes/interface-class.ts";
import { type ObisCode, parseObis } from "../../src/dlms/cosem/obis-code.ts";
import { rowsBetween, writeSelection } from "../../src/dlms/cosem/selective-access.ts";
import type { Data } from "../../src/dlms/encoding/data-types.ts";
import { readDateTime } from "../../src/dlms/encoding/date-time.ts";
import { hlsAnswer, type SecretMechanism } from "../../src/dlms/security/hls.ts";
import { readApdu, writeApdu } from "../../src/dlms/xdlms/apdu.ts";
import { hex, LIMITS, secret } from "../support/associations.ts";

/*
 * DLMS-FACTS 19.3 and 19.6: what our client sends for what a caller asks, and what answers to challenges are. The rest of section 19 is in
 * hdlc-vectors (19.1), association-client and association-server (19.2 and 19.3), data and apdu (19.3, 19.4), security and protection (19.6),
 * mbus (19.5). Key agreement, its last rows, is not built yet.
 */

const MEANS: ServiceMeans = {
  conformance: 0x1e1d,
  requestOctetsMax: 0xffff,
  limits: LIMITS,
  bytesMax: 65_536,
  quirks: new Set(),
  nextInvokeId: () => 0xc1,
  onProgress: () => {},
};

const firstRequest = (exchange: Exchange<unknown>): string =>
  writeApdu(exchange.next(undefined as never).value as Parameters<typeof writeApdu>[0])
    .toString("hex")
    .toUpperCase();

const attribute = (classId: number, obis: string, attributeId: number) => ({
  classId,
  instanceId: parseObis(obis),
  attributeId,
});
const image = parseObis("0.0.44.0.0.255");
const relay = parseObis("0.0.96.3.10.255");
const time = (octets: string) => readDateTime(hex(octets), 0);
const octets = (text: string): Data => ({ type: "octet-string", value: hex(text) });
const structure = (...value: Data[]): Data => ({ type: "structure", value });
const invoked = <T>(classId: number, instanceId: ObisCode, { index, parameters }: Method<T>, value: T) =>
  invoke([{ method: { classId, instanceId, methodId: index }, parameters: parameters.write(value) }], MEANS);
const { remoteDisconnect, remoteReconnect } = disconnectControl.methods;
const { imageTransferInitiate, imageBlockTransfer, imageVerify, imageActivate } = imageTransfer.methods;

describe("requests of DLMS-FACTS 19.3", () => {
  it.each<[string, () => Exchange<unknown>, string]>([
    [
      "get the clock",
      () => read([{ attribute: attribute(8, "0.0.1.0.0.255", 2) }], MEANS),
      "C001C100080000010000FF0200",
    ],
    [
      "get a day of block load by range",
      () => {
        const selection = rowsBetween(time("07EA0718FF00000000FEB600"), time("07EA0719FF00000000FEB600"));
        return read([{ attribute: attribute(7, "1.0.99.1.0.255", 2), selection }], MEANS);
      },
      "C001C100070100630100FF0201010204020412000809060000010000FF0F02120000090C07EA0718FF00000000FEB600090C07EA0719FF00000000FEB6000100",
    ],
    [
      "get entries 1 to 10 of a log",
      () => {
        const all = { fromSelectedValue: 1, toSelectedValue: 0 };
        const selection = writeSelection({ kind: "entry", fromEntry: 1, toEntry: 10, ...all });
        return read([{ attribute: attribute(7, "0.0.99.98.0.255", 2), selection }], MEANS);
      },
      "C001C100070000636200FF02010202040600000001060000000A120001120000",
    ],
    [
      "set a push schedule to 00:00 and 00:15",
      () => {
        const at = (text: string) => structure(octets(text), octets("FFFFFFFFFF"));
        const value: Data = { type: "array", value: [at("00000000"), at("000F0000")] };
        return write([{ attribute: attribute(22, "0.0.15.0.4.255", 4), value }], MEANS);
      },
      "C101C1001600000F0004FF0400010202020904000000000905FFFFFFFFFF02020904000F00000905FFFFFFFFFF",
    ],
    [
      "set a push destination",
      () => {
        const value = structure(
          { type: "enum", value: 0 },
          { type: "octet-string", value: Buffer.from("10.0.0.5:4059") },
          { type: "enum", value: 0 },
        );
        return write([{ attribute: attribute(40, "0.0.25.9.0.255", 3), value }], MEANS);
      },
      "C101C100280000190900FF030002031600090D31302E302E302E353A343035391600",
    ],
    ["disconnect", () => invoked(70, relay, remoteDisconnect, null), "C301C10046000060030AFF01010F00"],
    ["reconnect", () => invoked(70, relay, remoteReconnect, null), "C301C10046000060030AFF02010F00"],
    [
      "image initiate",
      () =>
        invoked(18, image, imageTransferInitiate, {
          imageIdentifier: Buffer.from("FW_1.01"),
          imageSize: 4_096,
        }),
      "C301C1001200002C0000FF01010202090746575F312E30310600001000",
    ],
    [
      "image block 0",
      () =>
        invoked(18, image, imageBlockTransfer, {
          imageBlockNumber: 0,
          imageBlockValue: hex("DEADBEEF"),
        }),
      "C301C1001200002C0000FF0201020206000000000904DEADBEEF",
    ],
    ["image verify", () => invoked(18, image, imageVerify, null), "C301C1001200002C0000FF03010F00"],
    ["image activate", () => invoked(18, image, imageActivate, null), "C301C1001200002C0000FF04010F00"],
  ])("%s", (_what, exchange, expected) => {
    expect(firstRequest(exchange())).toBe(expected);
  });

  it.each([
    [
      "action refused",
      "C701C10300",
      { apdu: "action-response", kind: "normal", result: "read-write-denied" },
    ],
    ["the counter that is expected", "D8020600000011", { serviceError: "invocation-counter-error" }],
  ])("an answer: %s", (_what, answer, expected) => {
    expect(readApdu(hex(answer), LIMITS)).toMatchObject(expected);
  });
});

describe("answers to challenges of DLMS-FACTS 19.6", () => {
  const server = Buffer.from("ServerChallenge1");
  const titles = { ownTitle: hex("4D4D4D0000000001"), peerTitle: hex("4D4D4D0000BC614E") };
  it.each<[SecretMechanism, Buffer, string]>([
    [2, server, "99f1ff8ef09980a5d81fbdaf55433652"],
    [2, Buffer.from("ClientChallenge1"), "8c452755c7606b56510316a3cca79417"],
    [3, server, "0fcbac6cebe61db64bfe8dbc8ddf1dab"],
    [4, server, "1f4adf2b66aad7c9fcfd23415b6365df06488ac8"],
    [6, Buffer.from("P6wRJ21F"), "fb0f8eca5a0ccd20065022687db2a46afbae484a00842bb88b40099ec4f597f4"],
  ])("mechanism %i", (mechanism, received, expected) => {
    const challenges = { received, sent: Buffer.from("K56iVagY"), ...titles };
    expect(hlsAnswer(mechanism, secret("0123456789ABCDEF"), challenges).toString("hex")).toBe(expected);
  });
});
