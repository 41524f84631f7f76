import type { AcseApdu } from "../../dlms/acse/apdu.ts";
import type { Data } from "../../dlms/encoding/data.ts";
import type { Telegram } from "../../dlms/text/p1-telegram.ts";
import type { Apdu } from "../../dlms/xdlms/apdu.ts";
import type { Problem, Protection } from "./result.ts";

/** Pushes that are no APDU. */
export type PushedText =
  | { readonly kind: "p1-telegram"; readonly telegram: Telegram }
  /** `body` says the same as Data. */
  | { readonly kind: "ascii-push"; readonly body: Buffer };

/** One layer of what was received: an APDU, and the one that was in it. */
export interface Opened {
  /** The octets of this layer. */
  readonly octets: Buffer;
  /** Null where they could not be read. */
  readonly apdu: Apdu | AcseApdu | null;
  /** How the layer inside was protected. */
  readonly protection: Protection | null;
  readonly inner: Opened | null;
  /** The Data of a notification's body or of joined datablocks. */
  readonly body: Data | null;
  /** What was sent as text and not as an APDU. */
  readonly text?: PushedText;
  readonly problem: Problem | null;
}

/** The layer of which everything else is about. */
export function innermost(opened: Opened): Opened {
  let at = opened;
  while (at.inner !== null) at = at.inner;
  return at;
}

/** The first protection from the outside, which is the one that the meter's keys are for. */
export function protectionOfLayers(opened: Opened): Protection | null {
  for (let at: Opened | null = opened; at !== null; at = at.inner) {
    if (at.protection !== null) return at.protection;
  }
  return null;
}
