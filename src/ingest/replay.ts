import type { Row } from "../mapping/rows.ts";
import type { QuarantineReason } from "../storage/accepted-push.ts";
import type { Ingest } from "./ingest.ts";

/** A row of `raw_frames`: an APDU as it was accepted. */
export interface StoredFrame {
  readonly id: number;
  readonly receivedAtMs: number;
  readonly meterId: string;
  readonly peer: string;
  readonly framing: string;
  readonly clientSap: number;
  readonly apdu: Buffer;
}

/** What a stored frame means under the present configuration. */
export type Reread =
  | {
      readonly kind: "rows";
      readonly frame: StoredFrame;
      readonly rows: readonly Row[];
      readonly valueCount: number;
    }
  /** Still not to be mapped, or no longer to be opened: its key has gone. */
  | { readonly kind: "left"; readonly frame: StoredFrame; readonly reason: QuarantineReason };

/** Where stored frames come from and corrected rows go. */
export interface ReplayStore {
  /** In the order in which they were received. */
  frames(): AsyncIterable<readonly StoredFrame[]>;
  /**
   * Puts the rows in place of what the same frames gave before, in one transaction: a cell that differs is overwritten and the old row kept
   * in `reading_conflicts`; a quarantined frame that has rows now is adopted. Returns how many rows changed.
   */
  correct(
    reread: readonly (Reread & { kind: "rows" })[],
  ): Promise<{ rowsAdded: number; rowsCorrected: number }>;
}

export interface ReplayReport {
  readonly frames: number;
  readonly rowsAdded: number;
  readonly rowsCorrected: number;
  readonly left: readonly { readonly frameId: number; readonly reason: string; readonly text: string }[];
}

/** Decodes stored frames again, after a mapping row, a scaler or a list has changed, and corrects the rows that they gave. */
export async function replay(ingest: Ingest, store: ReplayStore): Promise<ReplayReport> {
  const report = { frames: 0, rowsAdded: 0, rowsCorrected: 0 };
  const left: { frameId: number; reason: string; text: string }[] = [];
  for await (const frames of store.frames()) {
    const reread: (Reread & { kind: "rows" })[] = [];
    for (const frame of frames) {
      const again = await ingest.reread(frame);
      if (again.kind === "rows") reread.push(again);
      else left.push({ frameId: frame.id, reason: again.reason.reason, text: again.reason.text });
    }
    const corrected = await store.correct(reread);
    report.frames += frames.length;
    report.rowsAdded += corrected.rowsAdded;
    report.rowsCorrected += corrected.rowsCorrected;
  }
  return { ...report, left };
}
