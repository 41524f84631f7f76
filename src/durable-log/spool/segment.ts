import type { SpoolFile } from "./files.ts";
import { SEGMENT_HEADER } from "./record.ts";

/** `<first sequence>-<nonce>.spool`, so that names sort as sequences do. */
const NAME = /^(\d{16})-([0-9a-f]{8})\.spool$/;

export function segmentName(first: number, nonce: number): string {
  return `${String(first).padStart(16, "0")}-${nonce.toString(16).padStart(8, "0")}.spool`;
}

/** Null for what is no segment. */
export function readSegmentName(name: string): { first: number; nonce: number } | null {
  const match = NAME.exec(name);
  return match === null ? null : { first: Number(match[1]), nonce: Number.parseInt(match[2]!, 16) };
}

/** One file of the spool. */
export interface Segment {
  readonly name: string;
  readonly first: number;
  readonly nonce: number;
  readonly file: SpoolFile;
  /** Octets that are safe, and may be read. */
  end: number;
  /** Sequence after the last safe record. */
  next: number;
  /** Records that are safe and not trimmed. */
  untrimmed: number;
  /** Nothing is written to it any more. */
  sealed: boolean;
  /** How far it was read. */
  cursor: number;
  /** Whether it was there when the spool was opened: its records may be applied already. */
  readonly recovered: boolean;
  /** Whether octets of it belong to no record: it is kept aside when it is done with. */
  damaged: boolean;
}

/** Records that were written and synced together. */
export interface SyncedGroup {
  readonly segment: Segment;
  /** Where the first of them stands in it; they reach to its end. */
  readonly from: number;
  /** The sequence of the first. */
  readonly first: number;
  readonly records: readonly { readonly payload: Buffer }[];
}

export const FIRST_RECORD = SEGMENT_HEADER.length;

export const isRead = (segment: Segment) => segment.cursor >= segment.end;
