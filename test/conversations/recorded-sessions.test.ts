import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readAcse } from "../../src/dlms/acse/apdu.ts";
import { ClientAssociation } from "../../src/dlms/association/client.ts";
import type { ClientOptions } from "../../src/dlms/association/client-options.ts";
import { mechanismOf } from "../../src/dlms/association/mechanisms.ts";
import { ApduProtection, ReceivedCounter } from "../../src/dlms/association/protection.ts";
import { ServerAssociation } from "../../src/dlms/association/server.ts";
import { carriesApdu } from "../../src/dlms/hdlc/control.ts";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import { SegmentReassembly } from "../../src/dlms/hdlc/segments.ts";
import { readSecurityHeader } from "../../src/dlms/security/protection.ts";
import { WrapperDeframer } from "../../src/dlms/wrapper/deframer.ts";
import { readApdu } from "../../src/dlms/xdlms/apdu.ts";
import { AK, counting, EK, LIMITS, secret } from "../support/associations.ts";
import { PaperMeter } from "../support/paper-meter.ts";

/*
 * Whole conversations of Gurux Python and jDLMS clients with meters of Gurux Java, C, C++, jDLMS and an IS 15959-like one, recorded on
 * loopback on 2026-11-23: stream, source port, destination port, payload. Their keys are those of DLMS-FACTS section 19.
 */
const FILE = new URL("../vectors/other-implementations/sessions.tsv", import.meta.url);
const METERS = new Set([5061, 5063, 5071, 5081, 5083, 5090, 5300, 5310]);

interface Message {
  readonly by: "client" | "meter";
  readonly apdu: Buffer;
  readonly clientSap: number;
}

interface Stream {
  readonly name: string;
  readonly port: number;
  readonly messages: Message[];
}

/** Takes APDUs out of HDLC or wrapper framing, whichever the first octet is of. */
class Unframed {
  readonly #hdlc = new HdlcDeframer();
  readonly #wrapper = new WrapperDeframer();
  readonly #segments = new SegmentReassembly({ apduOctetsMax: 1_048_576, apduMs: 60_000 });

  take(
    octets: Buffer,
    isClient: boolean,
    framing: "hdlc" | "wrapper",
  ): { apdu: Buffer; clientSap: number }[] {
    const found: { apdu: Buffer; clientSap: number }[] = [];
    if (framing === "wrapper") {
      this.#wrapper.push(octets);
      for (let next = this.#wrapper.next(); next.kind === "frame"; next = this.#wrapper.next()) {
        const { sourceWPort, destinationWPort, payload } = next.value;
        found.push({ apdu: Buffer.from(payload), clientSap: isClient ? sourceWPort : destinationWPort });
      }
      return found;
    }
    this.#hdlc.push(octets);
    for (let next = this.#hdlc.next(); next.kind === "frame"; next = this.#hdlc.next()) {
      const frame = next.value;
      if (!carriesApdu(frame.control)) continue;
      const whole = this.#segments.add(frame, 0);
      const clientSap = isClient ? frame.source.upper : frame.destination.upper;
      if (whole.kind === "frame") found.push({ apdu: Buffer.from(whole.value.apdu), clientSap });
    }
    return found;
  }
}

function streams(): Stream[] {
  const found = new Map<
    string,
    Stream & { ends: Record<"client" | "meter", Unframed>; framing: "hdlc" | "wrapper" }
  >();
  for (const line of readFileSync(FILE, "utf8").trim().split("\n")) {
    const [number, source, destination, payload] = line.split("\t") as [string, string, string, string];
    const by = METERS.has(Number(destination)) ? "client" : "meter";
    const port = Number(by === "client" ? destination : source);
    const octets = Buffer.from(payload, "hex");
    let stream = found.get(number);
    if (stream === undefined) {
      const framing = octets[0] === 0x7e ? "hdlc" : "wrapper";
      stream = {
        name: `stream ${number}, meter ${port}, ${framing}`,
        port,
        messages: [],
        ends: { client: new Unframed(), meter: new Unframed() },
        framing,
      };
      found.set(number, stream);
    }
    for (const one of stream.ends[by].take(octets, by === "client", stream.framing))
      stream.messages.push({ by, ...one });
  }
  return [...found.values()].flatMap(byAssociation);
}

/** A stream may hold several associations, one after the other: as a rule the public client first, for the counter. */
function byAssociation({ name, port, messages }: Stream): Stream[] {
  const parts: Stream[] = [];
  for (const message of messages) {
    if (message.apdu[0] === 0x60)
      parts.push({ name: `${name}, client ${message.clientSap}`, port, messages: [] });
    parts.at(-1)?.messages.push(message);
  }
  return parts;
}

const isCiphered = (context: string | null) => context?.endsWith(".3") === true;
const password = (port: number, clientSap: number) =>
  port >= 5300 ? (clientSap === 48 ? "1234567890123456" : "12345678") : "Gurux";

/** The AARQ and the AARE of a stream. */
function handshake({ messages }: Stream) {
  const first = (by: Message["by"], tag: number) =>
    messages.find((one) => one.by === by && one.apdu[0] === tag)!;
  const request = first("client", 0x60);
  const aarq = readAcse(request.apdu, LIMITS);
  const answer = first("meter", 0x61);
  const aare = readAcse(answer.apdu, LIMITS);
  if (aarq.apdu !== "aarq" || aare.apdu !== "aare") throw new Error("no AARQ and AARE");
  const mechanism = mechanismOf(aarq.mechanismName)!;
  return { request, aarq, answer, aare, mechanism, ciphered: isCiphered(aarq.applicationContextName) };
}

const counterIn = (userInformation: Buffer) => readSecurityHeader(userInformation.subarray(2)).counter;
const all = streams().filter(({ messages }) => messages.some(({ apdu }) => apdu[0] === 0x61));

describe("conversations of other implementations", () => {
  it("are all there", () => {
    expect(all.length).toBeGreaterThan(10);
  });

  it.each(all)("$name: our client understands the meter", (stream) => {
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
            suite: 0,
            keys: { encryption: EK, authentication: AK },
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
      quirks: { withListRefused: false },
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
  });

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
              suite: 0,
              keys: { encryption: EK, authentication: AK },
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
      const key = {
        keys: { encryption: EK, authentication: AK },
        sent: counting(1),
        received: new ReceivedCounter(-1, true),
      };
      return new ApduProtection(0, titles[by === "client" ? "meter" : "client"], peer, key);
    };
    const protections = { client: open("client"), meter: open("meter") };
    for (const { by, apdu } of stream.messages) {
      if (apdu[0]! >= 0x60 && apdu[0]! <= 0x64) continue;
      const { plaintext } = ciphered ? protections[by].open(apdu) : { plaintext: apdu };
      expect(readApdu(plaintext, LIMITS).apdu, apdu.toString("hex")).toMatch(/-(request|response)$/);
    }
  });
});
