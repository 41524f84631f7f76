import type { RefusalReason } from "../refusal.ts";

/** What became of a push, as the metrics count it. */
export type PushVerdict = "applied" | "duplicate" | "retransmission" | "quarantined" | "refused";

/** Counts and times what the ingest does. Called on the hot path: implementations only add to numbers. */
export interface IngestObserver {
  connectionOpened(): void;
  connectionClosed(): void;
  frameReceived(framing: string): void;
  pushDone(verdict: PushVerdict): void;
  refused(reason: RefusalReason): void;
  /** Octets that belonged to no frame and were skipped. */
  discarded(octets: number): void;
  acknowledged(): void;
  /** From the last octet read until the push is safe in the durable log, or by COMMIT. */
  durableSeconds(seconds: number): void;
  /** Decoding and mapping of one push. */
  decodeSeconds(seconds: number): void;
  rowsStored(table: string, count: number): void;
  /** One batch, from BEGIN to COMMIT. */
  dbWriteSeconds(seconds: number): void;
}
