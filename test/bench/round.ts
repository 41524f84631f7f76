import type { BareCopy } from "./bare-copy.ts";
import type { Measured } from "./send-load.ts";

/** A load as fast as it is taken, and bare COPYs of what it left behind, right after it. */
export interface Round {
  readonly full: Measured;
  /** One table after the other over one connection. */
  readonly copy: BareCopy;
  /** Two tables at a time: all that two cores give to nothing but COPY. */
  readonly copyByTwo: BareCopy;
  readonly sizes: readonly { table: string; octets: number; rows: number }[];
  /** Octets of the APDUs with their framing. */
  readonly lineOctets: number;
  /** On disk, when every chunk is compressed; null without TimescaleDB. */
  readonly compressedOctets: number | null;
}

/** Of the load's rows a second by those of a bare COPY. */
export const AIM_RATIO = 0.5;

/** Rows a second of the load by those of a bare COPY. */
export const ratioOf = ({ full, copy }: Round) => copy.seconds / full.seconds;
export const ratioByTwoOf = ({ full, copyByTwo }: Round) => copyByTwo.seconds / full.seconds;

/** Pushes a second: half of what the load had, and half of what is aimed at. */
export const halfRateOf = ({ full }: Round) => full.pushes / full.seconds / 2;
export const halfOfAimOf = ({ full, copy }: Round) => (AIM_RATIO * full.pushes) / copy.seconds / 2;

/** The one in the middle, of an odd number. */
export function middleOf<T>(list: readonly T[], by: (one: T) => number): T {
  return [...list].sort((a, b) => by(a) - by(b))[Math.floor(list.length / 2)]!;
}
