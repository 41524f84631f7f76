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

/** The sequence before which everything is trimmed, whatever the order in which that happens. */
export class DrainedMark {
  private mark: number;
  private readonly ahead = new Set<number>();

  constructor(mark: number) {
    this.mark = mark;
  }

  get sequence(): number {
    return this.mark;
  }

  trimmed(sequence: number): void {
    if (sequence < this.mark) return;
    this.ahead.add(sequence);
    this.advance();
  }

  /** Nothing before this is to come: sequences of segments that were given up are not used. */
  skipTo(sequence: number): void {
    if (sequence <= this.mark) return;
    for (const one of this.ahead) if (one < sequence) this.ahead.delete(one);
    this.mark = sequence;
    this.advance();
  }

  private advance(): void {
    while (this.ahead.delete(this.mark)) this.mark++;
  }
}
