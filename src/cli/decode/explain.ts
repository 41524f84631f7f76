import { isAcseTag, readAcse } from "../../dlms/acse/apdu.ts";
import { DecodeError } from "../../dlms/bytes/errors.ts";
import { Reader, type ReadTrace } from "../../dlms/bytes/reader.ts";
import { DATA_LABEL } from "../../dlms/encoding/codec.ts";
import type { DataLimits } from "../../dlms/encoding/data.ts";
import { readApduFrom } from "../../dlms/xdlms/apdu.ts";
import { DEFAULT_LIMITS } from "../../limits.ts";
import type { Decoder } from "./decoder.ts";
import { dataLabels } from "./explain-data.ts";
import { framingLabels } from "./explain-framing.ts";
import { type Label, labelLines } from "./explain-lines.ts";
import type { Framing } from "./framing.ts";
import type { Opened } from "./opened.ts";
import { kebab, labelled } from "./print.ts";

const LIMITS: DataLimits = { depthMax: DEFAULT_LIMITS.depthMax, elementsMax: DEFAULT_LIMITS.pollElementsMax };

/** Every octet with what it is: the framing first, then each APDU, layer by layer. */
export function explainInput(octets: Buffer, framing: Framing, { decoded }: Decoder): string {
  const outside = framingLabels(octets, framing);
  const lines = outside.length === 0 ? [] : ["framing", ...labelLines(octets, outside), ""];
  for (const { opened } of decoded) lines.push(...explainLayers(opened));
  return lines.join("\n");
}

function explainLayers(opened: Opened): string[] {
  const { octets, apdu, body, inner } = opened;
  const bare = apdu === null && body !== null;
  const title =
    opened.text !== undefined
      ? opened.text.kind
      : bare
        ? body.type === "date-time"
          ? "date-time"
          : "Data"
        : "APDU";
  const lines = [`${title} of ${octets.length} octets`, ...labelLines(octets, labelsOf(opened)), ""];
  return inner === null ? lines : [...lines, ...explainLayers(inner)];
}

function labelsOf({ octets, apdu, body, text }: Opened): Label[] {
  if (text?.kind === "p1-telegram") return telegramLabels(octets);
  if (text?.kind === "ascii-push") return asciiPushLabels(octets);
  if (apdu === null && body?.type === "date-time") {
    return [{ from: 0, to: octets.length, depth: 0, text: labelled("date-time", body, () => null)[0]! }];
  }
  if (apdu === null && body !== null) return dataLabels(octets, 0, LIMITS, 0);
  const trace = new PartsTrace();
  let failure: string | null = null;
  try {
    if (octets.length > 0 && isAcseTag(octets[0]!)) readAcse(octets, LIMITS, trace);
    else traceApdu(octets, trace);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    failure = `could not be read: ${error.message}`;
  }
  const whole: Part = {
    name: apdu?.apdu ?? "APDU",
    from: 0,
    to: octets.length,
    value: apdu,
    parts: trace.parts,
  };
  return flatten(octets, whole, 0, failure ?? (apdu?.apdu === "data-notification" ? BODY : "rest"));
}

function telegramLabels(octets: Buffer): Label[] {
  const labels: Label[] = [];
  for (let from = 0; from < octets.length; ) {
    const lineFeed = octets.indexOf("\n", from);
    const to = lineFeed < 0 ? octets.length : lineFeed + 1;
    const line = octets.toString("latin1", from, to).trim();
    labels.push({ from, to, depth: 0, text: line === "" ? "end of line" : line });
    from = to;
  }
  return labels;
}

function asciiPushLabels(octets: Buffer): Label[] {
  const comma = octets.indexOf(",");
  const value = octets.length - comma - 1 === 4 ? "alarm register" : "logical name";
  return [
    { from: 0, to: comma, depth: 0, text: `identifier ${octets.toString("latin1", 0, comma)}` },
    { from: comma, to: comma + 1, depth: 0, text: "comma" },
    { from: comma + 1, to: octets.length, depth: 0, text: value },
  ];
}

function traceApdu(octets: Buffer, trace: PartsTrace): void {
  const reader = new Reader(octets);
  reader.trace = trace;
  readApduFrom(reader, LIMITS);
}

/** Marks the octets behind the last part as the Data of a notification. */
const BODY = "body";

interface Part {
  readonly name: string;
  readonly from: number;
  to: number;
  value: unknown;
  readonly parts: Part[];
}

class PartsTrace implements ReadTrace {
  readonly parts: Part[] = [];
  readonly #open: Part[] = [];

  begin(name: string, offset: number): void {
    const part: Part = {
      name: name === DATA_LABEL ? name : kebab(name),
      from: offset,
      to: offset,
      value: null,
      parts: [],
    };
    (this.#open.at(-1)?.parts ?? this.parts).push(part);
    this.#open.push(part);
  }

  end(offset: number, value: unknown): void {
    const part = this.#open.pop()!;
    part.to = offset;
    part.value = value;
  }
}

/** Labels for a part and what is in it. Octets that no part claims are flags and counts, or what comes last. */
function flatten(octets: Buffer, part: Part, depth: number, last: string): Label[] {
  const { name, from, to, value, parts } = part;
  if (parts.length === 0 && depth > 0) return leaf(octets, part, depth);
  const labels: Label[] = [];
  let at = from;
  for (const inner of parts) {
    if (inner.from > at) labels.push({ from: at, to: inner.from, depth, text: opening(name, value, depth) });
    labels.push(...flatten(octets, inner, depth + 1, last));
    at = Math.max(inner.to, inner.from);
  }
  if (at >= to) return labels;
  if (depth > 0) return [...labels, { from: at, to, depth, text: name }];
  if (last !== BODY || at === from)
    return [...labels, { from: at, to, depth, text: at === from ? name : last }];
  return [...labels, ...bodyLabels(octets, at, depth)];
}

function bodyLabels(octets: Buffer, from: number, depth: number): Label[] {
  try {
    const labels = dataLabels(octets, from, LIMITS, depth + 1);
    const end = labels.at(-1)?.to ?? from;
    return end < octets.length
      ? [...labels, { from: end, to: octets.length, depth, text: "left over" }]
      : labels;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return [{ from, to: octets.length, depth, text: `body that is no Data: ${error.message}` }];
  }
}

function opening(name: string, value: unknown, depth: number): string {
  if (depth === 0) return name;
  return Array.isArray(value) ? `${name}: ${value.length}` : `${name}: present`;
}

function leaf(octets: Buffer, { name, from, to, value }: Part, depth: number): Label[] {
  if (name === DATA_LABEL) return dataLabels(octets, from, LIMITS, depth);
  if (name === "content" && Buffer.isBuffer(value) && value.length >= 5) {
    return contentLabels(value, from, to, depth);
  }
  if (to === from) return [];
  const text = name === "choice" ? String(value) : labelled(name, value, () => null)[0]!;
  if (!Buffer.isBuffer(value)) return [{ from, to, depth, text: value === null ? `${name}: none` : text }];
  const start = to - value.length;
  const head = { from, to: start, depth, text: `${name}: length ${value.length}` };
  const rest = { from: start, to, depth: depth + 1, text };
  return [...(start > from ? [head] : []), ...(value.length > 0 ? [rest] : [])];
}

/** Length, security control, invocation counter, what is protected, and the tag. */
function contentLabels(content: Buffer, from: number, to: number, depth: number): Label[] {
  const start = to - content.length;
  const control = content[0]!;
  const tag = (control & 0x10) !== 0 && content.length >= 17 ? to - 12 : to;
  const labels = [
    { from, to: start, depth, text: `content: length ${content.length}` },
    {
      from: start,
      to: start + 1,
      depth: depth + 1,
      text: `security control ${control.toString(16).padStart(2, "0")}`,
    },
    {
      from: start + 1,
      to: start + 5,
      depth: depth + 1,
      text: `invocation counter ${content.readUInt32BE(1)}`,
    },
    { from: start + 5, to: tag, depth: depth + 1, text: (control & 0x20) !== 0 ? "ciphertext" : "APDU" },
  ];
  if (tag < to) labels.push({ from: tag, to, depth: depth + 1, text: "authentication tag" });
  return labels.filter((one) => one.to > one.from);
}
