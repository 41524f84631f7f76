import { existsSync, readFileSync } from "node:fs";

/**
 * Frames of real meters, gathered from public sources. The collection is not part of the repository: it is read where it lies beside a
 * checkout, and without it the tests on it are skipped, loudly.
 */
const FILE = new URL("../../../shared/vectors/field-frames.jsonl", import.meta.url);

export interface FieldFrame {
  readonly id: string;
  readonly kind: string;
  readonly maker: string;
  readonly framing: string;
  readonly apdu: string;
  readonly tags: readonly string[];
  readonly hex: string;
  readonly parts?: readonly string[];
  readonly session?: readonly { readonly dir: string; readonly hex: string }[];
  readonly keys?: {
    readonly guek?: string;
    readonly gak?: string;
    readonly system_title?: string;
  } | null;
  /** Why it must be refused. */
  readonly negative?: string;
  /** What the source asserts, in the source's own terms. */
  readonly expect?: Readonly<Record<string, unknown>> | null;
  /** A second opinion: what an independent decoder makes of it. */
  readonly plaintext?: string;
  readonly decoded?: unknown;
  /** Of a calculation that is no message. */
  readonly inputs?: Readonly<Record<string, string>>;
  /** What an independent verifier found. */
  readonly verified: {
    readonly hdlc?: {
      readonly frames: number;
      readonly fcs_bad: number;
      readonly segs: number;
      readonly ctl: string;
    };
    readonly wrapper?: { readonly frames: number; readonly ports: readonly (readonly [number, number])[] };
  };
}

export const fieldFramesPresent = existsSync(FILE);
if (!fieldFramesPresent) console.warn(`SKIPPED: the frames of the field are not there (${FILE.pathname})`);

/** Each vector, with the line that it stands in; none where the collection isn't there. */
export const fieldFrames: readonly { readonly line: string; readonly vector: FieldFrame }[] =
  fieldFramesPresent
    ? readFileSync(FILE, "utf8")
        .trim()
        .split("\n")
        .map((line) => ({ line, vector: JSON.parse(line) as FieldFrame }))
    : [];
