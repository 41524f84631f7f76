import { DecodeError } from "../dlms/bytes/errors.ts";
import { readApdu } from "../dlms/xdlms/apdu.ts";
import { BlockAssembly, type BlockOutcome } from "../dlms/xdlms/block-assembly.ts";
import type { Limits } from "../limits.ts";
import type { ReceivedApdu } from "./deframer.ts";

export type Unblocked =
  | { readonly kind: "complete"; readonly value: ReceivedApdu }
  | Exclude<BlockOutcome, { kind: "complete" }>;

const GENERAL_BLOCK_TRANSFER = 0xe0;
const BLOCK_LIMITS = { depthMax: 1, elementsMax: 1 };

/** Joins the blocks among the APDUs of one connection; what is no block passes through. */
export class ReceivedBlocks {
  readonly #assembly: BlockAssembly;

  constructor(limits: Limits) {
    this.#assembly = new BlockAssembly({ bytesMax: limits.apduBytesMax, timeoutMs: limits.apduMs });
  }

  /** Whether blocks wait for others. */
  get unfinished(): boolean {
    return this.#assembly.deadline() !== null;
  }

  handleTimeout(now: number): BlockOutcome {
    return this.#assembly.handleTimeout(now);
  }

  take(received: ReceivedApdu, now: number): Unblocked {
    if (received.apdu[0] !== GENERAL_BLOCK_TRANSFER) return { kind: "complete", value: received };
    try {
      const block = readApdu(received.apdu, BLOCK_LIMITS);
      if (block.apdu !== "general-block-transfer") return { kind: "need-more" };
      const outcome = this.#assembly.receive(block, now);
      return outcome.kind === "complete"
        ? { kind: "complete", value: { ...received, apdu: outcome.apdu } }
        : outcome;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { kind: "discarded", count: received.apdu.length, reason: "malformed", text: error.message };
    }
  }
}
