import type { Ingest } from "./ingest.ts";

/** A frame as the quarantine keeps it. */
export interface KeptFrame {
  readonly id: number;
  readonly receivedAtMs: number;
  readonly source: string;
  readonly framing: string;
  readonly clientSap: number | null;
  readonly serverSap: number | null;
  readonly apdu: Buffer;
}

export interface AdoptionReport {
  /** Ids of the frames that are stored now. */
  readonly stored: readonly number[];
  /** Ids of those that are refused still; metrics and security events say why. */
  readonly left: readonly number[];
}

/**
 * Sends frames that were kept while their meter or its keys were unknown through the same line as new ones, in the order in which
 * they came. Their counters are older than what the meter may have sent since: they move nothing backwards and are no replays.
 */
export async function adopt(ingest: Ingest, frames: readonly KeptFrame[]): Promise<AdoptionReport> {
  const stored: number[] = [];
  const left: number[] = [];
  for (const frame of frames) {
    const { id, apdu, framing, receivedAtMs, source, clientSap, serverSap } = frame;
    const isStored = await ingest.adopt({
      ...{ framing, apdu, receivedAtMs, peer: source, lastMeter: null, counterRule: "kept" },
      clientSap: clientSap ?? 0,
      serverSap: serverSap ?? 0,
    });
    (isStored ? stored : left).push(id);
  }
  return { stored, left };
}
