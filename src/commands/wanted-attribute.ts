import type { Data } from "../dlms/encoding/data-types.ts";

/** An attribute of a meter's object as it is meant to be. */
export interface WantedAttribute {
  readonly index: number;
  /** As in the Blue Book. */
  readonly name: string;
  /** In words, a text for each element of a list; compared with `describe` of what the meter has. */
  readonly expected: readonly string[];
  /** The Data to write; `found` is what the meter has, null where it could not be read. null: it can't be written, see `problem`. */
  readonly build: ((found: Data | null) => Data) | null;
  /** What a Data says, in the words of `expected`: what makes no difference is not in them. @throws DataMismatch */
  readonly describe: (data: Data) => string[];
  /** Why it can't be compared or written; null: nothing is in the way. */
  readonly problem: string | null;
}
