import type { DataLimits } from "../encoding/data-types.ts";
import { readApdu, writeApdu } from "../xdlms/apdu.ts";
import { PeerProtocolError } from "./errors.ts";
import { GeneralBlocks } from "./general-blocks.ts";

const BLOCK_HEADER_OCTETS = 9;
/** Blocks in a row that bring nothing new before an answer is given up: some meters repeat one without end. */
const FRUITLESS_MAX = 64;

export interface ClientLineOptions {
  /** Time for an answer; null: the link sees to it. */
  readonly responseMs: number | null;
  readonly repeats: number;
  readonly blockWindow: number;
  readonly bytesMax: number;
  readonly limits: DataLimits;
}

/**
 * The one request that is on its way: sent whole or by general block transfer, sent again where no answer comes, and its answer put
 * together from blocks. Knows octets only.
 */
export class ClientLine {
  readonly #options: ClientLineOptions;
  readonly #output: Buffer[] = [];
  #blocks: GeneralBlocks | null = null;
  #waiting = false;
  #deadline: number | null = null;
  #repeatsLeft = 0;
  #fruitless = 0;
  #last: Buffer | null = null;
  /** Octets of an APDU that the meter takes. */
  pduOctetsMax = 0xffff;

  constructor(options: ClientLineOptions) {
    this.#options = options;
  }

  /** Whether an answer is still to come. */
  get waiting(): boolean {
    return this.#waiting;
  }

  get deadline(): number | null {
    return this.#deadline;
  }

  /** `cut`: by general block transfer where it is too long. */
  send(apdu: Buffer, cut: boolean, now: number): void {
    this.#waiting = true;
    this.#repeatsLeft = this.#options.repeats;
    this.#startTimer(now);
    this.#fruitless = 0;
    const whole = !cut || apdu.length <= this.pduOctetsMax;
    this.#last = whole ? apdu : null;
    this.#blocks = null;
    if (whole) {
      this.#output.push(apdu);
      return;
    }
    this.#blocks = this.#newBlocks();
    this.#blocks.send(apdu);
    this.#flush();
  }

  /** One more block of the answer. The whole APDU, once it is there. @throws PeerProtocolError, DecodeError */
  takeBlock(octets: Buffer, now: number): Buffer | null {
    const block = readApdu(octets, this.#options.limits);
    if (block.apdu !== "general-block-transfer") return null;
    this.#blocks ??= this.#newBlocks();
    const before = this.#blocks.progress;
    const outcome = this.#blocks.receive(block);
    this.#flush();
    if (this.#blocks.progress > before) {
      this.#fruitless = 0;
      this.#startTimer(now);
    } else if (++this.#fruitless > FRUITLESS_MAX) {
      throw new PeerProtocolError("malformed", `${FRUITLESS_MAX} blocks in a row that bring nothing new`);
    }
    if (outcome.kind === "limit")
      throw new PeerProtocolError("limit", "an answer in blocks is over the limit");
    if (outcome.kind !== "complete") return null;
    this.#blocks = null;
    return outcome.apdu;
  }

  /** The answer has come, or nobody waits for it any more. */
  settle(): void {
    this.#waiting = false;
    this.#deadline = null;
    this.#blocks = null;
  }

  /** null: it is not time. */
  handleTimeout(now: number): "repeated" | "silent" | null {
    if (this.#deadline === null || now < this.#deadline) return null;
    if (this.#repeatsLeft === 0) return "silent";
    this.#repeatsLeft--;
    if (this.#blocks !== null) this.#blocks.repeat();
    else if (this.#last !== null) this.#output.push(this.#last);
    this.#flush();
    this.#startTimer(now);
    return "repeated";
  }

  takeOutput(): Buffer | null {
    return this.#output.shift() ?? null;
  }

  #startTimer(now: number): void {
    this.#deadline = this.#options.responseMs === null ? null : now + this.#options.responseMs;
  }

  #newBlocks(): GeneralBlocks {
    const { blockWindow, bytesMax } = this.#options;
    const blockOctets = Math.max(1, this.pduOctetsMax - BLOCK_HEADER_OCTETS);
    return new GeneralBlocks({ blockOctets, window: blockWindow, apduOctetsMax: bytesMax });
  }

  #flush(): void {
    for (let block = this.#blocks?.takeOutput() ?? null; block !== null; block = this.#blocks!.takeOutput()) {
      this.#output.push(writeApdu({ apdu: "general-block-transfer", ...block }));
    }
  }
}

/** Confirmed, high priority. */
const CONFIRMED_HIGH = 0xc0;

/** Numbers requests, 1 to 15, and knows answers by their number where the meter repeats it. */
export class InvokeIds {
  #last = 0;
  /** null until the meter has answered. */
  #repeated: boolean | null = null;

  /** Invoke-id-and-priority of the next request. */
  next(): number {
    this.#last = (this.#last % 15) + 1;
    return CONFIRMED_HIGH | this.#last;
  }

  /** Whether an answer is to the last request. Meters that number their answers in their own way are believed. */
  isAnswer(apdu: object): boolean {
    if (this.#last === 0) return true;
    const fields = apdu as { invokeIdAndPriority?: number; longInvokeId?: number };
    const id = fields.invokeIdAndPriority ?? fields.longInvokeId;
    if (id === undefined) return true;
    const same = (id & 0x0f) === this.#last;
    this.#repeated ??= same;
    return same || !this.#repeated;
  }
}
