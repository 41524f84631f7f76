import { crc32 } from "node:zlib";
import type { SpoolFiles } from "./files.ts";

/*
 * How far the spool is drained: every record before the mark is applied. Written after the fact and not synced, so it may lag behind; a
 * record that is drained twice for that reason is recognised by its digest. 8 octets sequence, 4 octets CRC-32 over them.
 */

const NAME = "drained";
const OCTETS = 12;

/** Zero where there is none, or none that can be read. */
export async function readDrainedMark(files: SpoolFiles): Promise<number> {
  if (!(await files.list()).includes(NAME)) return 0;
  const file = await files.open(NAME);
  try {
    const octets = Buffer.alloc(OCTETS);
    if ((await file.read(octets, 0)) < OCTETS) return 0;
    if (crc32(octets.subarray(0, 8)) !== octets.readUInt32BE(8)) return 0;
    return Number(octets.readBigUInt64BE(0));
  } finally {
    await file.close();
  }
}

export async function writeDrainedMark(files: SpoolFiles, sequence: number): Promise<void> {
  const octets = Buffer.alloc(OCTETS);
  octets.writeBigUInt64BE(BigInt(sequence), 0);
  octets.writeUInt32BE(crc32(octets.subarray(0, 8)), 8);
  await files.replace(NAME, octets);
}

/** Sequences from `from` on, before `to`. */
interface Stretch {
  from: number;
  to: number;
}

/** The sequence before which everything is trimmed, whatever the order in which that happens. */
export class DrainedMark {
  private mark: number;
  /** Trimmed beyond the mark: in order, and none touches the next. Few, because a transaction takes what stands side by side. */
  private readonly ahead: Stretch[] = [];

  constructor(mark: number) {
    this.mark = mark;
  }

  get sequence(): number {
    return this.mark;
  }

  trimmed(sequence: number): void {
    if (sequence < this.mark) return;
    if (sequence === this.mark) {
      this.skipTo(sequence + 1);
      return;
    }
    const { ahead } = this;
    // The last of those that begin before it.
    const at = ahead.findLastIndex(({ from }) => from <= sequence);
    const before = ahead[at];
    if (before !== undefined && sequence < before.to) return;
    const after = ahead[at + 1];
    const touchesBefore = before?.to === sequence;
    const touchesAfter = after?.from === sequence + 1;
    if (touchesBefore && touchesAfter) {
      before!.to = after!.to;
      ahead.splice(at + 1, 1);
    } else if (touchesBefore) before!.to = sequence + 1;
    else if (touchesAfter) after!.from = sequence;
    else ahead.splice(at + 1, 0, { from: sequence, to: sequence + 1 });
  }

  /** Nothing before this is to come: sequences of segments that were given up are not used. */
  skipTo(sequence: number): void {
    if (sequence <= this.mark) return;
    this.mark = sequence;
    const { ahead } = this;
    while (ahead.length > 0 && ahead[0]!.from <= this.mark) {
      this.mark = Math.max(this.mark, ahead.shift()!.to);
    }
  }
}
