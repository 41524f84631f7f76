import { createSecretKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { readAcse } from "../../src/dlms/acse/apdu.ts";
import { mechanismOf } from "../../src/dlms/association/mechanisms.ts";
import { carriesApdu } from "../../src/dlms/hdlc/control.ts";
import { HdlcDeframer } from "../../src/dlms/hdlc/deframer.ts";
import { SegmentReassembly } from "../../src/dlms/hdlc/segments.ts";
import type { ProtectionKeys } from "../../src/dlms/security/protection.ts";
import type { SecuritySuite } from "../../src/dlms/security/security-control.ts";
import { WrapperDeframer } from "../../src/dlms/wrapper/deframer.ts";
import { AK, EK, hex, LIMITS } from "../support/associations.ts";

/*
 * Conversations recorded on loopback: stream, source port, destination port, payload. Of 2026-11-23: Gurux Python and jDLMS clients with
 * meters of Gurux Java, C, C++, jDLMS and an IS 15959-like one. Of 2026-11-26: our client with meters of Gurux Java, C and C++, and Gurux
 * Python's client with our simulated meter, which then had the associations of --trial-clients (ports 5600 and 5620). Other ports'
 * keys are those of DLMS-FACTS section 19.
 */
const FILES = ["sessions.tsv", "sessions-2026-11-26.tsv"].map(
  (name) => new URL(`../vectors/other-implementations/${name}`, import.meta.url),
);
const METERS = new Set([5061, 5063, 5071, 5081, 5083, 5090, 5300, 5310, 5600, 5620]);
/** Whose meter is ours: what it says proves nothing. */
const OURS = new Set([5600, 5620]);

export interface Message {
  readonly by: "client" | "meter";
  readonly apdu: Buffer;
  readonly clientSap: number;
}

export interface Stream {
  readonly name: string;
  readonly port: number;
  /** Both ends are of other implementations, or the meter is. */
  readonly foreignMeter: boolean;
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
  for (const line of FILES.flatMap((file) => readFileSync(file, "utf8").trim().split("\n"))) {
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
        foreignMeter: !OURS.has(port),
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
function byAssociation({ name, port, foreignMeter, messages }: Stream): Stream[] {
  const parts: Stream[] = [];
  for (const message of messages) {
    if (message.apdu[0] === 0x60)
      parts.push({ name: `${name}, client ${message.clientSap}`, port, foreignMeter, messages: [] });
    parts.at(-1)?.messages.push(message);
  }
  return parts;
}

const isCiphered = (context: string | null) => context?.endsWith(".3") === true;

/** Passwords and secrets of the simulated meter, seed 7. */
const SIMULATED: Readonly<Record<number, string>> = {
  32: "91d584d62bcd01f3",
  48: "bdc5a8c1427ae176",
  97: "730323fd45498abf",
  98: "a773c170cbc8ed6f",
  99: "5fdf858bd1ca9b82",
  100: "1fb9e63b86653677",
  102: "d511f354ff6aea62",
  113: "6cf770a1b0533b5c",
  114: "79344ed74140e1a4",
  115: "73b8e65d982ec59a",
  116: "a54f85224f14e71a",
  118: "2f8a279d83bb8cab",
};

export function password(port: number, clientSap: number): string {
  if (OURS.has(port)) return SIMULATED[clientSap] ?? "";
  if (port >= 5300) return clientSap === 48 ? "1234567890123456" : "12345678";
  return "Gurux";
}

const keysOfHex = (encryption: string, authentication: string): ProtectionKeys => ({
  encryption: createSecretKey(hex(encryption)),
  authentication: createSecretKey(hex(authentication)),
});
const SIMULATED_0 = keysOfHex("bef71614e6b12251d45df0459100ceae", "adac13046f9a226a93723d77b4bda3c8");
const SIMULATED_2 = keysOfHex(
  "bef71614e6b12251d45df0459100ceae1dbb5a09e554a97f28c92c9d8a02185b",
  "adac13046f9a226a93723d77b4bda3c8bd7dae040879ed22b52dd11389ea3d20",
);

/** What the meter at a port is keyed with. */
export function keysAt(port: number): { readonly suite: SecuritySuite; readonly keys: ProtectionKeys } {
  if (port === 5600) return { suite: 0, keys: SIMULATED_0 };
  if (port === 5620) return { suite: 2, keys: SIMULATED_2 };
  return { suite: 0, keys: { encryption: EK, authentication: AK } };
}

/** The AARQ and the AARE of a stream. */
export function handshake({ messages }: Stream) {
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

/** Every association that was accepted. */
export const recordings = streams().filter(({ messages }) => messages.some(({ apdu }) => apdu[0] === 0x61));
