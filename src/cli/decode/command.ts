import { existsSync, readFileSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { Command } from "commander";
import { DecodeError } from "../../dlms/bytes/errors.ts";
import { parseHex } from "../../dlms/bytes/hex.ts";
import { EXIT, UserError } from "../../exit.ts";
import { parseSecret } from "../../keys/secret-text.ts";
import { DEFAULT_LIMITS } from "../../limits.ts";
import type { Program } from "../program.ts";
import { decodeLine, decodePieces, resultOf } from "./batch.ts";
import type { Decoder } from "./decoder.ts";
import { explainInput } from "./explain.ts";
import { FRAMINGS, framingProblem, isFraming } from "./framing.ts";
import { decodeKeys } from "./keys.ts";
import { Naming } from "./naming.ts";
import { problemText, textOfDecoded } from "./print.ts";

interface DecodeOptions {
  readonly framing: string;
  readonly guek?: string;
  readonly gak?: string;
  readonly systemTitle?: string;
  readonly dedicatedKey?: string;
  readonly masterKey?: string;
  readonly json?: true;
  readonly explain?: true;
  readonly batch?: true;
}

/** `hes decode`: what a frame says, without a database. */
export function decodeCommand(program: Program): Command {
  return new Command("decode")
    .description("Decode frames, APDUs or bare Data, and say what the values are")
    .argument("[input]", "hex digits, a file of hex digits or of octets, or - for standard input", "-")
    .option("--framing <name>", `one of ${FRAMINGS.join(", ")}`, "auto")
    .option("--guek <key>", "encryption key: hex, or text: and characters")
    .option("--gak <key>", "authentication key: hex, or text: and characters")
    .option("--system-title <hex>", "of the sender, where the APDU does not carry it")
    .option("--dedicated-key <key>", "of the association, for ded- APDUs")
    .option("--master-key <key>", "for keys that come along, wrapped")
    .option("--explain", "label every octet")
    .option("--json", "one JSON document")
    .option("--batch", "read JSON lines { id, framing, hex, keys } and write one JSON line each")
    .action(async (input: string, options: DecodeOptions) => {
      if (options.batch) return batch(program, input);
      decodeOne(program, input, options);
    });
}

function decodeOne(program: Program, input: string, options: DecodeOptions): void {
  if (!isFraming(options.framing)) throw new UserError(EXIT.usage, framingProblem(options.framing).text);
  const keys = decodeKeys(
    secret("--guek", options.guek),
    secret("--gak", options.gak),
    secret("--system-title", options.systemTitle),
    {
      dedicated: secret("--dedicated-key", options.dedicatedKey),
      master: secret("--master-key", options.masterKey),
    },
  );
  if (keys.encryption !== null && ![16, 32].includes(keys.encryption.symmetricKeySize!)) {
    throw new UserError(EXIT.usage, "--guek must be 16 octets, or 32 for security suite 2");
  }
  const octets = octetsOf(input);
  const naming = new Naming({
    depthMax: DEFAULT_LIMITS.depthMax,
    elementsMax: DEFAULT_LIMITS.pollElementsMax,
  });
  const decoder = decodePieces([{ octets, sender: null }], options.framing, keys, naming);
  if (options.json) program.print(JSON.stringify(resultOf(decoder), null, 2));
  else if (options.explain) program.print(explainInput(octets, options.framing, decoder));
  if (!options.json) program.print(textOfAll(decoder, naming));
  if (decoder.problems.length > 0) program.finish(EXIT.data);
}

/** The text for all that was decoded, and what was wrong. Also what the test vectors in test/vectors expect. */
export function textOfAll({ decoded, problems }: Decoder, naming: Naming): string {
  const names = {
    nameOf: (code: string, attribute: number) => naming.nameOf(code, attribute),
    unitOf: (code: string, attribute: number) => naming.unitOf(code, attribute),
  };
  const parts = decoded.map((one) => textOfDecoded(one, names));
  if (problems.length > 0)
    parts.push(["problems", ...problems.map((one) => `  ${problemText(one)}`)].join("\n"));
  return parts.length === 0 ? "no APDU" : parts.join("\n");
}

function secret(option: string, text: string | undefined): Buffer | null {
  if (text === undefined || text === "") return null;
  try {
    return parseSecret(text);
  } catch (error) {
    throw new UserError(EXIT.usage, `${option}: ${(error as Error).message}`);
  }
}

/** Hex digits as they stand, a file of them or of octets, or standard input of either. */
function octetsOf(input: string): Buffer {
  if (input === "-") return hexOrOctets(readFileSync(0));
  if (existsSync(input) && statSync(input).isFile()) return hexOrOctets(readFileSync(input));
  try {
    return parseHex(input);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new UserError(EXIT.data, `${input} is no file, and no hex: ${error.message}`);
  }
}

function hexOrOctets(content: Buffer): Buffer {
  try {
    return parseHex(content.toString("latin1"));
  } catch (error) {
    if (error instanceof DecodeError) return content;
    throw error;
  }
}

async function batch(program: Program, input: string): Promise<void> {
  const naming = new Naming({
    depthMax: DEFAULT_LIMITS.depthMax,
    elementsMax: DEFAULT_LIMITS.pushElementsMax,
  });
  if (input !== "-") {
    for (const line of readFileSync(input, "utf8").split("\n")) printLine(program, line, naming);
    return;
  }
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) printLine(program, line, naming);
}

function printLine(program: Program, line: string, naming: Naming): void {
  if (line.trim() !== "") program.print(JSON.stringify(decodeLine(line, naming)));
}
