import type { Tree } from "../../dlms/encoding/data-tree.ts";
import type { RefusalReason } from "../../refusal.ts";

/** Why something could not be decoded, or must be refused. */
export interface Problem {
  readonly reason: RefusalReason;
  /** In octets of what was being read, where it is known. */
  readonly offset?: number;
  readonly text: string;
}

export interface Protection {
  /** Security control, two hex digits. */
  readonly control: string;
  readonly suite: number;
  readonly counter: number;
  /** Hex; the originator's, as sent or as given. */
  readonly system_title: string;
  /** Whether a tag was checked; false for what was only encrypted. */
  readonly verified: boolean;
}

export interface NamedValue {
  readonly obis: string;
  readonly attribute: number;
  readonly class: number;
  /** Scaled as the frame says; raw where it says nothing. */
  readonly value: unknown;
  /** Symbol of the unit, where the frame names one. */
  readonly unit: string | null;
  readonly raw: unknown;
  readonly scaler: number | null;
  /** What the catalogue calls it. */
  readonly name: string | null;
}

export interface NamedEvent {
  /** An event code, or the bit of a status word. */
  readonly code: number;
  readonly name: string | null;
  readonly log: string | null;
  readonly severity: string | null;
  readonly time: string | null;
  /** The object that says so; null where the body's layout does. */
  readonly obis: string | null;
}

export interface DecodedApdu {
  readonly apdu: string;
  readonly direction: "push" | "request" | "response";
  readonly protection: Protection | null;
  /** Hex of the innermost APDU; null where it could not be opened. */
  readonly plaintext: string | null;
  /** As the meter gave it. */
  readonly time: string | null;
  readonly data: Tree | readonly Tree[];
  readonly values: readonly NamedValue[];
  readonly events: readonly NamedEvent[];
}

export interface DecodeResult {
  readonly apdus: readonly DecodedApdu[];
  readonly problems: readonly Problem[];
}
