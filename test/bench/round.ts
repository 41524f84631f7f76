import type { BareCopy } from "./bare-copy.ts";
import type { Measured } from "./send-load.ts";

/** A load as fast as it is taken, and the bare COPY of what it left behind, right after it. */
export interface Round {
  readonly full: Measured;
  readonly copy: BareCopy;
  readonly sizes: readonly { table: string; octets: number; rows: number }[];
  /** Octets of the APDUs with their framing. */
  readonly lineOctets: number;
  /** On disk, when every chunk is compressed; null without TimescaleDB. */
  readonly compressedOctets: number | null;
}

/** Rows a second of the load by those of the bare COPY. */
export const ratioOf = ({ full, copy }: Round) => copy.seconds / full.seconds;

/** Of rounds by their ratios. */
export const middleOf = (rounds: readonly Round[]): Round => rounds[Math.floor(rounds.length / 2)]!;
