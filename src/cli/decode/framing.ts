import { isAcseTag } from "../../dlms/acse/apdu.ts";
import type { Discarded } from "../../dlms/bytes/deframed.ts";
import { DecodeError } from "../../dlms/bytes/errors.ts";
import { Reader } from "../../dlms/bytes/reader.ts";
import { readLength } from "../../dlms/encoding/length.ts";
import { readAsciiPush } from "../../dlms/text/ascii-push.ts";
import { TELEGRAM_START } from "../../dlms/text/p1-telegram.ts";
import { apduName } from "../../dlms/xdlms/apdu.ts";
import { StreamDeframer } from "../../ingest/deframer.ts";
import { gatewayHeaderOctets } from "../../ingest/gateway-header.ts";
import type { Limits } from "../../limits.ts";
import type { LineFraming } from "../../line-framing.ts";
import type { Problem } from "./result.ts";

/** Names of framings that `hes decode` is told, or finds. */
export const FRAMINGS = [
  "auto",
  "hdlc",
  "hdlc-noflags",
  "hdlc-info",
  "hdlc+trailer",
  "wrapper",
  "zeroed-wrapper",
  "mbus",
  "mbus-badlen",
  "plc-llc",
  "raw-apdu",
  "raw-apdu-chunks",
  "axdr",
  "cosem-datetime",
  "hdlc-stuffed",
  "hdlc-damaged",
  "hdlc-text-mode",
  "p1",
  "ascii-push",
] as const;

export type Framing = (typeof FRAMINGS)[number];

export function isFraming(name: string): name is Framing {
  return (FRAMINGS as readonly string[]).includes(name);
}

/** What stands in the frames: an APDU, a bare Data, or the twelve octets of a time. */
export interface Content {
  readonly kind: "apdu" | "data" | "date-time";
  readonly octets: Buffer;
}

export interface Unframed {
  readonly contents: readonly Content[];
  readonly problems: readonly Problem[];
}

const apdu = (octets: Buffer): Content => ({ kind: "apdu", octets });

/** Takes whole inputs out of their framing; `end` says that nothing more comes. One for each direction of a line. */
export class Unframer {
  readonly #framing: Framing;
  readonly #limits: Limits;
  #stream: StreamDeframer | null = null;

  constructor(framing: Framing, limits: Limits) {
    this.#framing = framing;
    this.#limits = limits;
  }

  push(octets: Buffer): Unframed {
    const framing = this.#framing === "auto" ? framingOf(octets) : this.#framing;
    switch (framing) {
      case "hdlc":
        return this.#fromStream("hdlc", octets);
      case "hdlc+trailer": {
        const found = this.#fromStream("hdlc", octets);
        return found.contents.length > 0 ? { ...found, problems: [] } : found;
      }
      case "hdlc-noflags":
        return this.#fromStream("hdlc", Buffer.concat([FLAG, octets, FLAG]));
      case "wrapper":
        return this.#fromStream("wrapper", octets);
      case "hdlc-stuffed":
      case "hdlc-text-mode":
        return this.#fromStream(framing, octets);
      case "hdlc-damaged":
        return this.#fromStream("hdlc-text-mode", octets);
      case "mbus":
      case "mbus-badlen":
        return this.#fromStream("auto", octets);
      case "zeroed-wrapper":
        return { contents: [apdu(octets.subarray(8))], problems: [] };
      case "plc-llc":
        return { contents: [apdu(octets.subarray(3))], problems: [] };
      case "hdlc-info":
        return { contents: bareApdus(withoutLlc(octets)), problems: [] };
      case "axdr":
        return { contents: [{ kind: "data", octets }], problems: [] };
      case "cosem-datetime":
        return { contents: [{ kind: "date-time", octets }], problems: [] };
      default:
        return { contents: bareApdus(withoutGateway(octets)), problems: [] };
    }
  }

  /** What is left over and can't be completed any more. */
  end(): Unframed {
    const stream = this.#stream;
    const deadline = stream?.deadline() ?? null;
    if (stream === null || deadline === null) return { contents: [], problems: [] };
    stream.handleTimeout(deadline);
    const drained = drain(stream, deadline);
    return { ...drained, problems: [CUT_OFF] };
  }

  #fromStream(framing: LineFraming, octets: Buffer): Unframed {
    this.#stream ??= new StreamDeframer({ framing, limits: this.#limits });
    this.#stream.push(octets, 0);
    return drain(this.#stream, 0);
  }
}

const CUT_OFF: Problem = { reason: "malformed", text: "the octets end in the middle of a frame" };

function passedOver({ reason, count, text }: Omit<Discarded, "kind">): Problem {
  return { reason, text: `${count} octets passed over: ${text}` };
}

const FLAG = Buffer.from([0x7e]);

function drain(stream: StreamDeframer, now: number): Unframed {
  const contents: Content[] = [];
  const problems: Problem[] = [];
  for (;;) {
    const answer = stream.next(now);
    if (answer.kind === "need-more") return { contents, problems };
    if (answer.kind === "frame") contents.push(apdu(Buffer.from(answer.value.apdu)));
    else problems.push(passedOver(answer));
  }
}

/** General-block-transfers may stand one behind the other without any framing; other APDUs are alone. */
function bareApdus(octets: Buffer): Content[] {
  const contents: Content[] = [];
  let from = 0;
  while (octets[from] === 0xe0) {
    const end = endOfBlock(octets, from);
    if (end === null || end >= octets.length) break;
    contents.push(apdu(octets.subarray(from, end)));
    from = end;
  }
  contents.push(apdu(octets.subarray(from)));
  return contents;
}

/** Where a block ends: six octets and a length in front of its data. */
function endOfBlock(octets: Buffer, from: number): number | null {
  if (from + 6 >= octets.length) return null;
  try {
    const reader = new Reader(octets, from + 6);
    const length = readLength(reader);
    return reader.offset + length;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}

/** Without the header of a gateway, where one stands in front of an APDU. */
export function withoutGateway(octets: Buffer): Buffer {
  const header = gatewayHeaderOctets(octets, 0, octets.length);
  return typeof header === "number" && apduName(octets[header] ?? 0) !== null
    ? octets.subarray(header)
    : octets;
}

function withoutLlc(octets: Buffer): Buffer {
  return octets[0] === 0xe6 && (octets[1] === 0xe6 || octets[1] === 0xe7) ? octets.subarray(3) : octets;
}

/** What the first octets look like. */
export function framingOf(octets: Buffer): Framing {
  const [first, second] = octets;
  if (first === 0x7e) return "hdlc";
  if (first === 0x00 && second === 0x01) return "wrapper";
  if (first === 0x68 && octets[3] === 0x68 && octets[2] === second) return "mbus";
  if (first === TELEGRAM_START) return "p1";
  if (readAsciiPush(octets) !== null) return "ascii-push";
  if (first === 0xe6 && (second === 0xe6 || second === 0xe7)) return "hdlc-info";
  if (octets.length > 8 && octets.subarray(0, 8).every((octet) => octet === 0)) return "zeroed-wrapper";
  if (first !== undefined && first >> 4 === 0xa && octets.length >= 7) {
    const length = ((first & 0x07) << 8) | second!;
    if (length === octets.length) return "hdlc-noflags";
  }
  if (first === 0x01 || first === 0x02 || first === 0x09)
    return looksLikeInitiate(octets) ? "raw-apdu" : "axdr";
  if (first === 0x90 && second !== undefined && octets.length > 3) return "plc-llc";
  if (first !== undefined && (apduName(first) !== null || isAcseTag(first))) return "raw-apdu";
  if (withoutGateway(octets) !== octets) return "raw-apdu";
  if (octets.length === 12 && first === 0x07) return "cosem-datetime";
  return "hdlc";
}

/** 01 begins an InitiateRequest and an array alike: the request has a conformance block. */
function looksLikeInitiate(octets: Buffer): boolean {
  return octets[0] === 0x01 && octets.includes(0x5f) && octets.length < 64;
}

/** Why a framing that was named can't be read. */
export function framingProblem(name: string): Problem {
  const text =
    name === "crypto"
      ? "crypto names inputs of a calculation, not a message"
      : `framing ${JSON.stringify(name)} is not known; one of ${FRAMINGS.join(", ")}`;
  return { reason: "unsupported", text };
}
