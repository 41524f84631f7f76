import { DecodeError } from "../../dlms/bytes/errors.ts";
import { parseHex } from "../../dlms/bytes/hex.ts";
import { DEFAULT_LIMITS } from "../../limits.ts";
import { Decoder } from "./decoder.ts";
import { type Framing, framingProblem, isFraming, Unframer } from "./framing.ts";
import { type DecodeKeys, decodeKeys, NO_KEYS } from "./keys.ts";
import type { Naming } from "./naming.ts";
import type { Sender } from "./opener.ts";
import type { DecodeResult } from "./result.ts";

/** A piece of an input: octets, and who sent them. */
export interface Piece {
  readonly octets: Buffer;
  readonly sender: Sender;
}

/** Decodes one input, whole or in pieces. Pieces of different senders are taken out of their framing apart. */
export function decodePieces(
  pieces: readonly Piece[],
  framing: Framing,
  keys: DecodeKeys,
  naming: Naming,
): Decoder {
  const decoder = new Decoder(keys, naming);
  const unframers = new Map<Sender, Unframer>();
  const take = (sender: Sender, { contents, problems }: ReturnType<Unframer["push"]>) => {
    decoder.problems.push(...problems);
    for (const content of contents) decoder.decode(content, sender);
  };
  for (const { octets, sender } of pieces) {
    const unframer = unframers.get(sender) ?? new Unframer(framing, DEFAULT_LIMITS);
    unframers.set(sender, unframer);
    take(sender, unframer.push(octets));
  }
  for (const [sender, unframer] of unframers) take(sender, unframer.end());
  decoder.end();
  return decoder;
}

/** What is printed of a decoder; where something must be refused, no values stand beside it. */
export function resultOf({ decoded, problems }: Decoder): DecodeResult {
  return { apdus: decoded.map(({ json }) => json), problems };
}

/** One line of `hes decode --batch`: JSON in, JSON out; whatever the line holds, there is an answer. */
export function decodeLine(line: string, naming: Naming): object {
  let id: unknown = null;
  try {
    const input: unknown = JSON.parse(line);
    if (typeof input !== "object" || input === null) throw new InputError("the line is no JSON object");
    id = (input as { id?: unknown }).id ?? null;
    return { id, ...decodeInput(input as BatchInput, naming) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof InputError || error instanceof DecodeError) {
      return { id, apdus: [], problems: [{ reason: "malformed", text: error.message }] };
    }
    throw error;
  }
}

/** Something about the input itself, not about the octets that it holds. */
class InputError extends Error {}

interface BatchInput {
  readonly framing?: unknown;
  readonly hex?: unknown;
  readonly parts?: unknown;
  readonly session?: unknown;
  readonly keys?: unknown;
}

function decodeInput(input: BatchInput, naming: Naming): DecodeResult {
  const framing = input.framing ?? "auto";
  if (typeof framing !== "string") throw new InputError("framing is no text");
  if (!isFraming(framing)) return { apdus: [], problems: [framingProblem(framing)] };
  return resultOf(decodePieces(piecesOf(input, framing), framing, keysOf(input.keys), naming));
}

function piecesOf({ hex, parts, session }: BatchInput, framing: Framing): Piece[] {
  if (Array.isArray(session) && session.length > 0) {
    return session.map((message: { dir?: unknown; hex?: unknown } | null) => ({
      octets: octetsOf(message?.hex),
      sender: message?.dir === "C" || message?.dir === "S" ? "client" : "meter",
    }));
  }
  const pieces = Array.isArray(parts) && parts.length > 0 ? parts.map(octetsOf) : [octetsOf(hex)];
  const joined = framing === "raw-apdu-chunks" ? [Buffer.concat(pieces)] : pieces;
  return joined.map((octets) => ({ octets, sender: null }));
}

function octetsOf(hex: unknown): Buffer {
  if (typeof hex !== "string") throw new InputError("hex is missing, or no text");
  return parseHex(hex);
}

function keysOf(keys: unknown): DecodeKeys {
  if (typeof keys !== "object" || keys === null) return NO_KEYS;
  const { guek, gak, system_title, dedicated, master_key } = keys as Record<string, unknown>;
  const key = (hex: unknown) => (typeof hex === "string" && hex !== "" ? parseHex(hex) : null);
  const others = { dedicated: key(dedicated), master: key(master_key) };
  return decodeKeys(key(guek), key(gak), key(system_title), others);
}
