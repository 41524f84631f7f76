import type { IngestObserver } from "../ingest/observer.ts";

export interface CommandObserver extends IngestObserver {
  /** How many were refused, by reason. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** What a command wants to know of the line that it sends frames through: why something was refused. */
export function commandObserver(): CommandObserver {
  const reasons = new Map<string, number>();
  const nothing = () => {};
  return {
    reasons,
    connectionOpened: nothing,
    connectionClosed: nothing,
    frameReceived: nothing,
    pushDone: nothing,
    refused: (reason) => void reasons.set(reason, (reasons.get(reason) ?? 0) + 1),
    discarded: nothing,
    acknowledged: nothing,
    durableSeconds: nothing,
    decodeSeconds: nothing,
    rowsStored: nothing,
    dbWriteSeconds: nothing,
  };
}
