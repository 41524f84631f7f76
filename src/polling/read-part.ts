import type { Data } from "../dlms/encoding/data-types.ts";
import type { KnownColumn } from "../storage/model-profiles.ts";

/** What one request, or one step of a long profile, gave: rows of values under columns. */
export interface ReadPart {
  readonly columns: readonly KnownColumn[];
  readonly rows: readonly (readonly Data[])[];
  /** Octets of the answer, as far as the road tells. */
  readonly octets: number;
}

/** What became of a part's rows. */
export interface StoredPart {
  readonly values: number;
  /** New or filled in. */
  readonly rows: number;
  /** Rows of the meter that could not be stored, and why the first of them could not. */
  readonly left: number;
  readonly reason: string | null;
}

/** Sums over a poll, also over one that ended in the middle. */
export class PollTally {
  values = 0;
  rows = 0;
  octets = 0;
  /** Rows that the meter gave. */
  captures = 0;
  left = 0;
  reason: string | null = null;

  read(part: ReadPart): void {
    this.octets += part.octets;
    this.captures += part.rows.length;
  }

  stored(part: StoredPart): void {
    this.values += part.values;
    this.rows += part.rows;
    this.left += part.left;
    this.reason ??= part.reason;
  }
}
