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

/**
 * Puts the blocks of one unacknowledged general-block-transfer together. Over UI frames and pushes nothing can be asked
 * for again, so what arrives is all there is: a block that comes twice is ignored, a first block begins anew, blocks
 * that overtake each other wait for those that are missing, up to the limits.
 *
 * Knows no clock: who calls it says `now` with each block and asks for `deadline()`.
 */
export class BlockAssembly {
  readonly #bytesMax: number;
  readonly #timeoutMs: number;
  /** Block number → octets; copies, because what was received is a view. */
  readonly #blocks = new Map<number, Buffer>();
  #bytes = 0;
  #lastBlock: number | null = null;
  #startedAt: number | null = null;

  /** `bytesMax`: octets of the whole APDU. `timeoutMs`: from the first block to the last. */
  constructor(limits: { readonly bytesMax: number; readonly timeoutMs: number }) {
    this.#bytesMax = limits.bytesMax;
    this.#timeoutMs = limits.timeoutMs;
  }

  /** When what has been collected is to be given up; null while nothing is. */
  deadline(): number | null {
    return this.#startedAt === null ? null : this.#startedAt + this.#timeoutMs;
  }

  /** Gives up what has waited too long. */
  handleTimeout(now: number): BlockOutcome {
    const deadline = this.deadline();
    if (deadline === null || now < deadline) return { kind: "need-more" };
    return this.#discard("malformed", `blocks are missing after ${this.#timeoutMs} ms`);
  }

  receive(block: Omit<GeneralBlockTransfer, "apdu">, now: number): BlockOutcome {
    const { blockNumber, blockData, lastBlock } = block;
    if (blockNumber === 0) return this.#discard("malformed", "blocks count from 1, not from 0");
    const known = this.#blocks.get(blockNumber);
    if (known?.equals(blockData) && (this.#lastBlock === blockNumber) === lastBlock)
      return { kind: "need-more" };
    const restart = this.#restarts(blockNumber, known, lastBlock);
    const given = restart === null ? null : this.#discard("malformed", restart);
    if (blockData.length === 0 && !lastBlock) return given ?? { kind: "need-more" };
    if (this.#bytes + blockData.length > this.#bytesMax || this.#blocks.size >= BLOCKS_MAX) {
      return this.#discard("limit", `more than ${this.#bytesMax} octets or ${BLOCKS_MAX} blocks`);
    }
    this.#startedAt ??= now;
    this.#blocks.set(blockNumber, Buffer.from(blockData));
    this.#bytes += blockData.length;
    if (lastBlock) this.#lastBlock = blockNumber;
    const whole = this.#whole();
    if (whole !== null) return { kind: "complete", apdu: whole };
    return given ?? { kind: "need-more" };
  }

  /** Why a block can't belong to what has been collected, or null where it can. */
  #restarts(blockNumber: number, known: Buffer | undefined, lastBlock: boolean): string | null {
    if (this.#blocks.size === 0) return null;
    if (known !== undefined) return `block ${blockNumber} came again with other octets`;
    if (this.#lastBlock !== null && (blockNumber > this.#lastBlock || lastBlock)) {
      return `block ${blockNumber} came after block ${this.#lastBlock}, which was the last`;
    }
    return null;
  }

  #whole(): Buffer | null {
    if (this.#lastBlock === null || this.#blocks.size !== this.#lastBlock) return null;
    const parts: Buffer[] = [];
    for (let number = 1; number <= this.#lastBlock; number++) {
      const part = this.#blocks.get(number);
      if (part === undefined) return null;
      parts.push(part);
    }
    this.#clear();
    return Buffer.concat(parts);
  }

  #discard(reason: "malformed" | "limit", text: string): BlockOutcome {
    const count = this.#bytes;
    this.#clear();
    return { kind: "discarded", count, reason, text };
  }

  #clear(): void {
    this.#blocks.clear();
    this.#bytes = 0;
    this.#lastBlock = null;
    this.#startedAt = null;
  }
}
