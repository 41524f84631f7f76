import type { IngestObserver } from "../ingest/observer.ts";

export interface CommandObserver extends IngestObserver {
  /** How many were refused, by reason. */
  readonly reasons: ReadonlyMap<string, number>;
  /** How many were accepted and could not be mapped. */
  quarantined(): number;
}

/** What a command wants to know of the line that it sends frames through: why something was refused. */
export function commandObserver(): CommandObserver {
  const reasons = new Map<string, number>();
  let quarantined = 0;
  const nothing = () => {};
  return {
    reasons,
    quarantined: () => quarantined,
    connectionOpened: nothing,
    connectionClosed: nothing,
    frameReceived: nothing,
    pushDone: (verdict) => {
      if (verdict === "quarantined") quarantined += 1;
    },
    refused: (reason) => void reasons.set(reason, (reasons.get(reason) ?? 0) + 1),
    discarded: nothing,
    acknowledged: nothing,
    durableSeconds: nothing,
    decodeSeconds: nothing,
    rowsStored: nothing,
    dbWriteSeconds: nothing,
  };
}
