import { describe, expect, it } from "vitest";
import { readAcse } from "../../src/dlms/acse/apdu.ts";
import { ClientAssociation } from "../../src/dlms/association/client.ts";
import type { ClientOptions } from "../../src/dlms/association/client-options.ts";
import { ApduProtection, ReceivedCounter } from "../../src/dlms/association/protection.ts";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import { readSecurityHeader } from "../../src/dlms/security/protection.ts";
import { readApdu } from "../../src/dlms/xdlms/apdu.ts";
import { counting, LIMITS, secret } from "../support/associations.ts";
import { PaperMeter } from "../support/paper-meter.ts";
import { handshake, keysAt, type Message, password, recordings } from "./recordings.ts";

const counterIn = (userInformation: Buffer) => readSecurityHeader(userInformation.subarray(2)).counter;
const all = recordings;

describe("conversations of other implementations", () => {
  it("are all there", () => {
    expect(all.length).toBeGreaterThan(10);
  });

  it.each(all.filter(({ foreignMeter }) => foreignMeter))(
    "$name: our client understands the meter",
    (stream) => {
      const { aarq, answer, aare, mechanism, ciphered } = handshake(stream);
      const keyed = ciphered || mechanism === 5;
      const title = aarq.callingApTitle ?? Buffer.from("4D4D4D0000000001", "hex");
      const options: ClientOptions = {
        mechanism,
        secret:
          mechanism === 1
            ? secret(String(aarq.callingAuthenticationValue))
            : secret(password(stream.port, answer.clientSap)),
        challenge: mechanism >= 2 ? aarq.callingAuthenticationValue : null,
        ciphered,
        systemTitle: title,
        security: keyed
          ? {
              ...keysAt(stream.port),
              sent: counting(ciphered ? counterIn(aarq.userInformation!) : 1),
              received: new ReceivedCounter(-1, true),
              bits: 0x30,
              required: 0,
              dedicated: null,
              general: false,
              meterTitle: null,
            }
          : null,
        proposedConformance: 0xffffff,
        requiredConformance: 0,
        maxReceivePduSize: 0xffff,
        limits: LIMITS,
        bytesMax: 1_048_576,
        blockWindow: 1,
        responseMs: 1_000,
        repeats: 0,
        quirks: new Set(),
      };
      const client = new ClientAssociation(options);
      client.associate(0);
      const ours = readAcse(client.takeOutput()!, LIMITS);
      // Our AARQ proposes the same; what it holds besides (conformance, PDU size) is ours to choose.
      expect({ ...ours, userInformation: null, callingApTitle: null, callingAeInvocationId: null }).toEqual({
        ...aarq,
        userInformation: null,
        callingApTitle: null,
        callingAeInvocationId: null,
      });
      const answers = stream.messages.filter(({ by }) => by === "meter").map(({ apdu }) => apdu);
      client.receive(answer.apdu, 0);
      if (mechanism >= 2) client.receive(answers[answers.indexOf(answer.apdu) + 1]!, 0);
      expect(aare.result).toBe("accepted");
      expect(client.takeEvent()).toMatchObject({ kind: "associated" });
      expect(client.state).toBe("associated");
    },
  );

  it.each(all)("$name: our meter understands the client", (stream) => {
    const { request, aarq, aare, mechanism, ciphered } = handshake(stream);
    const keyed = ciphered || mechanism === 5;
    const server = new ServerAssociation({
      clientSap: request.clientSap,
      serverSap: 1,
      systemTitle: aare.respondingApTitle ?? Buffer.from("4752580000000001", "hex"),
      policy: {
        mechanism,
        secret:
          mechanism === 1
            ? secret(String(aarq.callingAuthenticationValue))
            : secret(password(stream.port, request.clientSap)),
        ciphered,
        conformance: 0xffffff,
        security: keyed
          ? {
              ...keysAt(stream.port),
              sent: counting(1),
              received: new ReceivedCounter(-1, true),
              required: 0,
            }
          : null,
      },
      objects: new PaperMeter(),
      // The challenge that the client has answered.
      randomOctets: () => aare.respondingAuthenticationValue!,
      maxReceivePduSize: 0xffff,
      limits: LIMITS,
      apduOctetsMax: 1_048_576,
    });
    for (const { apdu } of stream.messages.filter(({ by }) => by === "client")) {
      server.receive(apdu);
      const answer = server.takeOutput();
      expect(answer, apdu.toString("hex")).not.toBeNull();
      // Everything that came is understood: objects are missing, which is an answer.
      if (apdu[0] !== 0x60 && apdu[0] !== 0x62) expect(answer![0], apdu.toString("hex")).not.toBe(0xd8);
    }
    expect(["associated", "idle"]).toContain(server.state);
  });

  it.each(all)("$name: every APDU can be opened and read", (stream) => {
    const { aarq, aare, ciphered } = handshake(stream);
    const titles = {
      client: aarq.callingApTitle ?? Buffer.alloc(8),
      meter: aare.respondingApTitle ?? Buffer.alloc(8),
    };
    const open = (by: Message["by"]) => {
      const peer = titles[by];
      const { suite, keys } = keysAt(stream.port);
      const key = {
        keys,
        sent: counting(1),
        received: new ReceivedCounter(-1, true),
      };
      return new ApduProtection(suite, titles[by === "client" ? "meter" : "client"], peer, key);
    };
    const protections = { client: open("client"), meter: open("meter") };
    for (const { by, apdu } of stream.messages) {
      if (apdu[0]! >= 0x60 && apdu[0]! <= 0x64) continue;
      const { plaintext } = ciphered ? protections[by].open(apdu) : { plaintext: apdu };
      expect(readApdu(plaintext, LIMITS).apdu, apdu.toString("hex")).toMatch(/-(request|response)$/);
    }
  });
});
