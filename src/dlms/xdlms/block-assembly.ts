import type { GeneralBlockTransfer } from "./general-block-transfer.ts";

/** What one more block of a general-block-transfer led to. */
export type BlockOutcome =
  /** The octets of the whole APDU, a buffer of its own. */
  | { readonly kind: "complete"; readonly apdu: Buffer }
  | { readonly kind: "need-more" }
  /** Blocks were given up, `count` octets of them. The block itself may have begun a new transfer. */
  | {
      readonly kind: "discarded";
      readonly count: number;
      readonly reason: "malformed" | "limit";
      readonly text: string;
    };

/** A transfer of more blocks than this is not meant to be put together; the format would allow 65,535. */
const BLOCKS_MAX = 4_096;
/** What a block costs besides its octets. */
const BLOCK_OVERHEAD_BYTES = 200;

/**
 * Puts the blocks of one unacknowledged general-block-transfer together. Over UI frames and pushes nothing can be asked
 * for again, so what arrives is all there is: a block that comes twice is passed over, a first block with other octets
 * begins anew, as do the same first blocks with others behind them, and where a block is missing or comes out of order the
 * whole transfer is given up. All blocks are of one sender.
 *
 * Knows no clock: who calls it says `now` with each block and asks for `deadline()`.
 */
export class BlockAssembly {
  readonly #bytesMax: number;
  readonly #timeoutMs: number;
  /** Copies, because what was received is a view. Block n at n − 1. */
  #blocks: Buffer[] = [];
  #bytes = 0;
  #startedAt: number | null = null;
  /** So many of the first blocks have come a second time, one behind the other. */
  #again = 0;
  /** The last block of the transfer before. */
  #previous: { readonly blockNumber: number; readonly blockData: Buffer } | null = null;

  /** `bytesMax`: octets of the whole APDU. `timeoutMs`: from the first block to the last. */
  constructor(limits: { readonly bytesMax: number; readonly timeoutMs: number }) {
    this.#bytesMax = limits.bytesMax;
    this.#timeoutMs = limits.timeoutMs;
  }

  /** Octets collected. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Octets of memory that it takes, about: blocks may be as small as an octet. */
  get memoryBytes(): number {
    return this.#bytes + this.#blocks.length * BLOCK_OVERHEAD_BYTES;
  }

  /** When what has been collected is to be given up; null while nothing is. */
  deadline(): number | null {
    return this.#startedAt === null ? null : this.#startedAt + this.#timeoutMs;
  }

  /** Gives up what has waited too long. */
  handleTimeout(now: number): BlockOutcome {
    const deadline = this.deadline();
    if (deadline === null || now < deadline) return { kind: "need-more" };
    return this.#discard("malformed", `the last block did not come within ${this.#timeoutMs / 1000} s`, 0);
  }

  receive(block: Omit<GeneralBlockTransfer, "apdu">, now: number): BlockOutcome {
    const { blockNumber, blockData } = block;
    const collected = this.#blocks.length;
    // Without data it only acknowledges what the other side sent.
    if (blockData.length === 0 && collected === 0) return { kind: "need-more" };
    const repeated = blockNumber > 0 && this.#blocks[blockNumber - 1]?.equals(blockData) === true;
    if (repeated) {
      if (blockNumber === this.#again + 1) this.#again++;
      return { kind: "need-more" };
    }
    if (collected === 0 && this.#isPreviousLast(block)) return { kind: "need-more" };
    if (this.#again > 0 && blockNumber === this.#again + 1 && blockNumber <= collected) {
      return this.#beginAnewBehind(this.#again, block, now);
    }
    if (blockNumber !== 1 && blockNumber !== collected + 1) {
      const wanted = collected === 0 ? "which none precedes" : `where block ${collected + 1} was to come`;
      return this.#discard("malformed", `block ${blockNumber} came ${wanted}`, blockData.length);
    }
    if (collected >= BLOCKS_MAX || this.#bytes + blockData.length > this.#bytesMax) {
      const text = `more than ${this.#bytesMax} octets or ${BLOCKS_MAX} blocks`;
      return this.#discard("limit", text, blockData.length);
    }
    const restart = collected > 0 && blockNumber === 1;
    const given = restart
      ? this.#discard("malformed", `block 1 came again after block ${collected}`, 0)
      : null;
    return this.#add(block, now) ?? given ?? { kind: "need-more" };
  }

  /** A transfer of one block may well come twice; a last block behind others that comes twice is a repetition. */
  #isPreviousLast({ blockNumber, blockData }: Omit<GeneralBlockTransfer, "apdu">): boolean {
    const previous = this.#previous;
    return blockNumber > 1 && previous?.blockNumber === blockNumber && previous.blockData.equals(blockData);
  }

  /** The first `same` blocks came again, and now another one than before: the transfer before was left unfinished. */
  #beginAnewBehind(same: number, block: Omit<GeneralBlockTransfer, "apdu">, now: number): BlockOutcome {
    const kept = this.#blocks.slice(0, same);
    const text = `block 1 came again after block ${this.#blocks.length}`;
    const given = this.#discard("malformed", text, 0);
    this.#blocks = kept;
    this.#bytes = kept.reduce((sum, { length }) => sum + length, 0);
    return this.#add(block, now) ?? given;
  }

  #add(
    { blockNumber, blockData, lastBlock }: Omit<GeneralBlockTransfer, "apdu">,
    now: number,
  ): BlockOutcome | null {
    this.#again = 0;
    this.#startedAt ??= now;
    this.#blocks.push(Buffer.from(blockData));
    this.#bytes += blockData.length;
    if (!lastBlock) return null;
    const apdu = Buffer.concat(this.#blocks);
    this.#previous = { blockNumber, blockData: this.#blocks.at(-1)! };
    this.#clear();
    return { kind: "complete", apdu };
  }

  #discard(reason: "malformed" | "limit", text: string, also: number): BlockOutcome {
    const count = this.#bytes + also;
    this.#clear();
    return { kind: "discarded", count, reason, text };
  }

  #clear(): void {
    this.#blocks = [];
    this.#bytes = 0;
    this.#startedAt = null;
    this.#again = 0;
  }
}
