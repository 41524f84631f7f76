import type { Row } from "../mapping/rows.ts";
import type { CounterName } from "./counter-name.ts";

/** The received counter that a push moves, and where to. */
export interface CounterMove {
  readonly meterId: string;
  readonly name: CounterName;
  /** The counter of the frame, 0 … 2³²−1. */
  readonly counter: number;
  /** First 16 octets of SHA-256 over the protected APDU as received, as Latin-1. */
  readonly digest: string;
  /**
   * The verdict stands in the durable log, or is on its way there, and the push may be acknowledged: it is stored, whatever the counter in the
   * database. Where false, another daemon that was faster makes it a replay.
   */
  readonly isFinal: boolean;
}

/** Why an authentic APDU is kept aside instead of mapped. */
export interface QuarantineReason {
  /** `undecodable`, `unmappable`, `scaler_unknown`, `counter_jump`, … */
  readonly reason: string;
  readonly text: string;
}

/**
 * All that is committed in one transaction for a push, or for what a poll read.
 * Cells of history and frame have no id yet: the store reserves identifiers and sets `id` and `frame_id` everywhere.
 */
export interface CommitUnit {
  readonly meterId: string;
  /** Rows of measurement, profile, reading and event tables. */
  readonly rows: readonly Row[];
  /** null: of a poll, which keeps its own history and has no frame. */
  readonly history: Row | null;
  readonly frame: Row | null;
  /** Absent where nothing was ciphered, or where the meter's policy allows a counter that stands still. */
  readonly counter: CounterMove | null;
  readonly quarantine: QuarantineReason | null;
  /** It may be stored already, and then is not stored again: it was read from the durable log, which may not have been trimmed in time. */
  readonly again: boolean;
}

/** What one accepted push leaves behind, with the counter's move. */
export interface AcceptedPush extends CommitUnit {
  readonly history: Row;
  readonly frame: Row;
}

/**
 * What became of a push at COMMIT. `replay` and `retransmission`: another daemon had moved the counter meanwhile. `duplicate`: its rows, or
 * the push itself, were there already.
 */
export type CommitVerdict = "applied" | "duplicate" | "quarantined" | "retransmission" | "replay";

export interface CommitOutcome {
  readonly verdict: CommitVerdict;
  /** Rows that are new or were filled in. */
  readonly rowsStored: number;
  /** Rows that were there already, with the same values. */
  readonly rowsDuplicate: number;
  /** Rows that were there with other values: kept in `reading_conflicts`, the original untouched. */
  readonly rowsConflicting: number;
  /** The rows that were not there before. */
  readonly rowsNew: readonly Row[];
}

/** Where accepted pushes become durable. */
export interface PushStore {
  /** All of `pushes` in one transaction; resolves after COMMIT with synchronous_commit on. Rejects with StorageError. */
  commit(pushes: readonly CommitUnit[]): Promise<CommitOutcome[]>;
}
