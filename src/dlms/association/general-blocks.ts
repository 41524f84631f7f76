import type { GeneralBlockTransfer } from "../xdlms/general-block-transfer.ts";

/**
 * One exchange by general block transfer (Green Book 9.4.6.13), as either end sees it: what it sends in blocks, and what it receives in
 * blocks. A sender sends as many blocks as the other side's window allows, all but the last of them "streaming"; the receiver answers
 * the last one with what has arrived in sequence, and the sender goes on behind that, so that lost blocks are sent again.
 */
export interface GeneralBlockOptions {
  /** Octets of data in a block of ours. */
  readonly blockOctets: number;
  /** Blocks that may be sent to us without waiting, 1 … 63. */
  readonly window: number;
  /** Longest APDU to be received. */
  readonly apduOctetsMax: number;
}

export type GeneralBlockOutcome =
  /** The whole APDU has come. */
  | { readonly kind: "complete"; readonly apdu: Buffer }
  /** Nothing whole; there may be something to send. */
  | { readonly kind: "need-more" }
  | { readonly kind: "limit" };

type Block = Omit<GeneralBlockTransfer, "apdu">;

const EMPTY = Buffer.alloc(0);
const BLOCK_NUMBER_MAX = 0xffff;

export class GeneralBlocks {
  readonly #options: GeneralBlockOptions;
  readonly #output: Block[] = [];
  #sending: Buffer | null = null;
  /** Blocks of ours that have arrived, and that were sent at most. */
  #acknowledged = 0;
  #sent = 0;
  #peerWindow = 1;
  /** Block number of what we send beside data: acknowledgements are counted, too. */
  #ownNumber = 0;
  readonly #received = new Map<number, Buffer>();
  /** Blocks received in sequence, and their octets with those that came too early. */
  #inSequence = 0;
  #octets = 0;
  #last: number | null = null;
  #delivered = false;

  constructor(options: GeneralBlockOptions) {
    this.#options = options;
  }

  /** Begins to send an APDU; `peerWindow`: blocks that may be on their way at once, 1 until the other side has told. */
  send(apdu: Buffer, peerWindow = this.#peerWindow): void {
    this.#sending = apdu;
    this.#acknowledged = 0;
    this.#sent = 0;
    this.#peerWindow = Math.max(1, peerWindow);
    this.#sendWindow();
  }

  /** Whether part of what was sent is not known to have arrived. */
  get sending(): boolean {
    return this.#sending !== null && this.#acknowledged < this.#blockCount();
  }

  /** Whether the other side's APDU has come whole: a first block then begins another exchange. */
  get delivered(): boolean {
    return this.#delivered;
  }

  /** Grows with every block that is new, and with every one of ours that has arrived. */
  get progress(): number {
    return this.#acknowledged + this.#received.size;
  }

  /** Nothing has come for a while: says what is missing, or sends again what was not acknowledged. */
  repeat(): void {
    if (this.sending) this.#sendWindow();
    else this.#acknowledge();
  }

  receive(block: Block): GeneralBlockOutcome {
    if (block.window > 0) this.#peerWindow = block.window;
    if (this.#sending !== null && block.blockNumberAcknowledged > this.#acknowledged) {
      this.#acknowledged = Math.min(block.blockNumberAcknowledged, this.#sent);
    }
    if (block.blockData.length === 0) {
      // It only acknowledges.
      if (this.sending && !block.streaming) this.#sendWindow();
      return { kind: "need-more" };
    }
    // With its first data the other side answers, and thereby has all of ours.
    if (this.#sending !== null && this.#inSequence === 0) this.#acknowledged = this.#blockCount();
    return this.#take(block);
  }

  takeOutput(): Block | null {
    return this.#output.shift() ?? null;
  }

  #take({ blockNumber, blockData, lastBlock, streaming }: Block): GeneralBlockOutcome {
    if (this.#delivered) {
      // A repetition, because our answer was lost.
      if (this.sending && !streaming) this.#sendWindow();
      return { kind: "need-more" };
    }
    const ahead = blockNumber - this.#inSequence;
    if (ahead > 0 && ahead <= this.#options.window * 2 && !this.#received.has(blockNumber)) {
      this.#octets += blockData.length;
      if (this.#octets > this.#options.apduOctetsMax) return { kind: "limit" };
      this.#received.set(blockNumber, Buffer.from(blockData));
      if (lastBlock) this.#last = blockNumber;
    }
    while (this.#received.has(this.#inSequence + 1)) this.#inSequence++;
    if (this.#last !== null && this.#inSequence === this.#last) return this.#complete();
    if (!streaming) this.#acknowledge();
    return { kind: "need-more" };
  }

  #complete(): GeneralBlockOutcome {
    this.#delivered = true;
    const parts = Array.from({ length: this.#inSequence }, (_, at) => this.#received.get(at + 1)!);
    return { kind: "complete", apdu: Buffer.concat(parts, this.#octets) };
  }

  #acknowledge(): void {
    this.#ownNumber = Math.max(this.#ownNumber, this.#sent) + 1;
    this.#output.push({
      lastBlock: true,
      streaming: false,
      window: this.#options.window,
      blockNumber: Math.min(this.#ownNumber, BLOCK_NUMBER_MAX),
      blockNumberAcknowledged: this.#inSequence,
      blockData: EMPTY,
    });
  }

  #blockCount(): number {
    return Math.max(1, Math.ceil(this.#sending!.length / this.#options.blockOctets));
  }

  #sendWindow(): void {
    const apdu = this.#sending!;
    const { blockOctets, window } = this.#options;
    const count = this.#blockCount();
    const until = Math.min(this.#acknowledged + this.#peerWindow, count);
    for (let number = this.#acknowledged + 1; number <= until; number++) {
      this.#output.push({
        lastBlock: number === count,
        streaming: number < until,
        window,
        blockNumber: number,
        blockNumberAcknowledged: this.#inSequence,
        blockData: apdu.subarray((number - 1) * blockOctets, number * blockOctets),
      });
    }
    this.#sent = Math.max(this.#sent, until);
  }
}
