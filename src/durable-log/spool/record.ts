import { crc32 } from "node:zlib";

/*
 * A segment of the spool, all numbers big-endian:
 *
 *     "HESSPOOL" 8 · version 4
 *     then records: "HESR" 4 · payload octets 4 · sequence 8 · CRC-32 4 · payload
 *
 * The CRC-32 (that of zlib, IEEE 802.3) is over payload octets, sequence and payload, and goes on from the segment's nonce, a random number
 * that stands in the file's name: what a meter sends can't pass for a record. Sequences grow by one from record to record and from
 * segment to segment, with gaps where a segment was given up. A record stands whole or not at all: what has another CRC, or ends too
 * early, is no record, and the next one is looked for by its mark.
 */

export const SEGMENT_HEADER = Buffer.from("48455353504f4f4c00000001", "hex");
const MARK = Buffer.from("HESR");
const MARK_NUMBER = MARK.readUInt32BE();
const HEADER_OCTETS = 20;
const AT_LENGTH = 4;
const AT_SEQUENCE = 8;
const AT_CRC = 16;

/** A payload is an APDU of 256 KiB at most and a little about it. */
export const PAYLOAD_OCTETS_MAX = 1 << 20;
export const RECORD_OCTETS_MAX = HEADER_OCTETS + PAYLOAD_OCTETS_MAX;

export const recordOctets = (payload: Buffer) => HEADER_OCTETS + payload.length;

/** Writes a record at `at`; returns where the next one begins. */
export function writeRecord(
  into: Buffer,
  at: number,
  nonce: number,
  sequence: number,
  payload: Buffer,
): number {
  MARK.copy(into, at);
  into.writeUInt32BE(payload.length, at + AT_LENGTH);
  into.writeBigUInt64BE(BigInt(sequence), at + AT_SEQUENCE);
  payload.copy(into, at + HEADER_OCTETS);
  into.writeUInt32BE(checksum(into, at, nonce, payload), at + AT_CRC);
  return at + HEADER_OCTETS + payload.length;
}

function checksum(octets: Buffer, at: number, nonce: number, payload: Buffer): number {
  return crc32(payload, crc32OfFew(octets, at + AT_LENGTH, at + AT_CRC, nonce));
}

/** CRC-32 of each octet alone. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The same as zlib's: for a dozen octets a call out of JavaScript costs more than the sum itself. */
function crc32OfFew(octets: Buffer, from: number, to: number, start: number): number {
  let crc = ~start;
  for (let at = from; at < to; at++) crc = CRC_TABLE[(crc ^ octets[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

export interface StoredRecord {
  readonly sequence: number;
  /** A view. */
  readonly payload: Buffer;
}

export interface ParsedRecords {
  readonly records: readonly StoredRecord[];
  /** Where to go on: the start of a record that isn't whole yet, or the end. */
  readonly next: number;
  /** Octets that belong to no record. */
  readonly damaged: number;
}

/**
 * The whole records of `octets` from `at`, `max` at most. `isEnd`: nothing follows, so that a started record never becomes whole.
 */
export function parseRecords(
  octets: Buffer,
  nonce: number,
  max: number,
  isEnd: boolean,
  at = 0,
): ParsedRecords {
  const records: StoredRecord[] = [];
  let next = at;
  let damaged = 0;
  while (records.length < max && next < octets.length) {
    const record = recordAt(octets, next, nonce);
    if (record === "need-more" && !isEnd) break;
    if (typeof record === "object") {
      records.push(record);
      next += recordOctets(record.payload);
      continue;
    }
    const found = octets.indexOf(MARK, next + 1);
    // The last octets may be the beginning of a mark.
    const resume =
      found >= 0 ? found : isEnd ? octets.length : Math.max(next + 1, octets.length - MARK.length + 1);
    damaged += resume - next;
    next = resume;
  }
  return { records, next, damaged };
}

function recordAt(octets: Buffer, at: number, nonce: number): StoredRecord | "need-more" | "invalid" {
  const left = octets.length - at;
  if (left < HEADER_OCTETS) {
    const seen = Math.min(left, MARK.length);
    return octets.compare(MARK, 0, seen, at, at + seen) === 0 ? "need-more" : "invalid";
  }
  if (octets.readUInt32BE(at) !== MARK_NUMBER) return "invalid";
  const length = octets.readUInt32BE(at + AT_LENGTH);
  if (length > PAYLOAD_OCTETS_MAX) return "invalid";
  if (left < HEADER_OCTETS + length) return "need-more";
  const payload = octets.subarray(at + HEADER_OCTETS, at + HEADER_OCTETS + length);
  if (checksum(octets, at, nonce, payload) !== octets.readUInt32BE(at + AT_CRC)) return "invalid";
  // As a BigInt it would cost more than all that is read of the record besides.
  const sequence =
    octets.readUInt32BE(at + AT_SEQUENCE) * 2 ** 32 + octets.readUInt32BE(at + AT_SEQUENCE + 4);
  if (!Number.isSafeInteger(sequence)) return "invalid";
  return { sequence, payload };
}
