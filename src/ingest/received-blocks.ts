import { DecodeError } from "../dlms/bytes/errors.ts";
import { readApdu } from "../dlms/xdlms/apdu.ts";
import { BlockAssembly, type BlockOutcome } from "../dlms/xdlms/block-assembly.ts";
import type { Limits } from "../limits.ts";
import type { ReceivedApdu } from "./received-apdu.ts";

export type Unblocked =
  | { readonly kind: "complete"; readonly value: ReceivedApdu }
  | Exclude<BlockOutcome, { kind: "complete" }>;

const GENERAL_BLOCK_TRANSFER = 0xe0;
const BLOCK_LIMITS = { depthMax: 1, elementsMax: 1 };
/** Senders of one connection whose blocks are put together at the same time. */
const SENDERS_MAX = 32;

/** Joins the blocks among the APDUs of one connection, each sender's for themselves; what is no block passes through. */
export class ReceivedBlocks {
  readonly #limits: { readonly bytesMax: number; readonly timeoutMs: number };
  /** By sender, who was heard last comes last. */
  readonly #assemblies = new Map<string, BlockAssembly>();

  constructor(limits: Limits) {
    this.#limits = { bytesMax: limits.apduBytesMax, timeoutMs: limits.apduMs };
  }

  /** Octets of memory that blocks take which wait for others, about. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const assembly of this.#assemblies.values()) bytes += assembly.memoryBytes;
    return bytes;
  }

  /** Whether blocks wait for others. */
  get unfinished(): boolean {
    for (const assembly of this.#assemblies.values()) if (assembly.deadline() !== null) return true;
    return false;
  }

  /** Gives up a transfer that has waited too long; to be called again until none has. */
  handleTimeout(now: number): BlockOutcome {
    for (const assembly of this.#assemblies.values()) {
      const outcome = assembly.handleTimeout(now);
      if (outcome.kind === "discarded") return outcome;
    }
    return { kind: "need-more" };
  }

  take(received: ReceivedApdu, now: number): Unblocked {
    if (received.apdu[0] !== GENERAL_BLOCK_TRANSFER) return { kind: "complete", value: received };
    try {
      const block = readApdu(received.apdu, BLOCK_LIMITS);
      if (block.apdu !== "general-block-transfer") return { kind: "need-more" };
      const outcome = this.#assemblyOf(received).receive(block, now);
      if (outcome.kind === "complete") {
        return { kind: "complete", value: { ...received, apdu: outcome.apdu } };
      }
      return this.#makeRoom() ?? outcome;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { kind: "discarded", count: received.apdu.length, reason: "malformed", text: error.message };
    }
  }

  #assemblyOf(received: ReceivedApdu): BlockAssembly {
    const sender = senderOf(received);
    const assembly = this.#assemblies.get(sender) ?? new BlockAssembly(this.#limits);
    this.#assemblies.delete(sender);
    this.#assemblies.set(sender, assembly);
    return assembly;
  }

  /** All senders together may not take more memory than one could. Who was not heard for longest is given up. */
  #makeRoom(): Unblocked | null {
    let bytes = 0;
    for (const assembly of this.#assemblies.values()) bytes += assembly.bytes;
    if (bytes <= this.#limits.bytesMax && this.#assemblies.size <= SENDERS_MAX) return null;
    const [sender, oldest] = this.#assemblies.entries().next().value!;
    this.#assemblies.delete(sender);
    if (oldest.bytes === 0) return null;
    const text = `more than ${this.#limits.bytesMax} octets, or blocks of more than ${SENDERS_MAX} senders, at the same time`;
    return { kind: "discarded", count: oldest.bytes, reason: "limit", text };
  }
}

/** Who sends: behind a gateway or on one line there may be many. */
function senderOf({ sourceAddress, destinationAddress, gateway, hdlc }: ReceivedApdu): string {
  const behind =
    gateway === undefined ? "" : `${gateway.networkId}/${gateway.physicalAddress.toString("hex")}`;
  return `${behind} ${hdlc?.source.lower ?? ""} ${sourceAddress} ${destinationAddress}`;
}
