/**
 * Where an accepted push is safe before it is acknowledged, and where it waits until the database has it. What a record holds is for its
 * writer to know; to the log it is octets.
 */
export interface DurableLog {
  /**
   * Whether other daemons append to it and read from it too. Then what is appended here may be read elsewhere, and the reverse, and
   * records may stand in it twice that two daemons accepted.
   */
  readonly isShared: boolean;
  /**
   * Takes a record in. `settled` is called once: when the record is safe, or when it is not going to be. Never throws. Records of one
   * meter are read in the order in which they were appended.
   */
  append(payload: Buffer, meterId: string, settled: (outcome: AppendOutcome) => void): void;
  /**
   * The next entries, `max` at most; waits until there is one. Only what is safe is read. Empty once the log is closed. One reader.
   */
  read(max: number): Promise<readonly LogEntry[]>;
  /** These are applied (their COMMIT has returned), and need not be kept. */
  trim(positions: readonly number[]): void;
  state(): LogState;
  /** Writes what was appended; then nothing more is taken in or read. */
  close(): Promise<void>;
}

export type AppendOutcome =
  | { readonly kind: "durable"; readonly position: number }
  /** Not safe here. It may still become safe by COMMIT. */
  | { readonly kind: "refused"; readonly reason: "full" | "failed" | "closed"; readonly text: string };

export interface LogEntry {
  /** Where it stands; only the log itself can read more into it. */
  readonly position: number;
  readonly payload: Buffer;
  /** Whether it may have been applied already: it was read before, and what became of it is not known. */
  readonly again: boolean;
  /** Another one than before: of what this meter sent, another daemon may have read some meanwhile. 0 in a log that isn't shared. */
  readonly epoch: number;
}

export interface LogState {
  /** Records that are safe and not trimmed. */
  readonly records: number;
  readonly bytes: number;
  readonly bytesMax: number;
  /** "ok", or what is wrong in a few words. */
  readonly condition: string;
}

/** Share of its bound at which a log warns, and at which nothing more is read from meters. */
export const WARN_SHARE = 0.8;
export const STOP_SHARE = 0.95;

export function isNearlyFull({ bytes, bytesMax }: LogState): boolean {
  return bytes >= bytesMax * STOP_SHARE;
}

/** What a log tells its keeper of. */
export interface LogObserver {
  /** Something is wrong that an operator should know. */
  problem(text: string, error: unknown): void;
  /** One group of records became safe. */
  synced(records: number, seconds: number): void;
}
