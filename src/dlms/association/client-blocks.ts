import { DecodeError } from "../bytes/errors.ts";
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import type { Codec } from "../encoding/codec.ts";
import { type Apdu, writeApdu } from "../xdlms/apdu.ts";
import { type Exchange, type ServiceMeans, unexpected } from "./client-exchange.ts";
import { LocalProtocolError, PeerProtocolError } from "./errors.ts";
import { CONFORMANCE } from "./mechanisms.ts";

/** Blocks of a long answer, in their order. */
export class AnswerBlocks {
  readonly #parts: Buffer[] = [];
  readonly #means: ServiceMeans;
  readonly #request: number;
  #octets = 0;

  constructor(means: ServiceMeans, request: number) {
    this.#means = means;
    this.#request = request;
  }

  /** @throws PeerProtocolError where it isn't the next one, or all together are too long */
  add(blockNumber: number, rawData: Buffer): void {
    if (blockNumber !== this.#parts.length + 1) {
      const text = `block ${blockNumber} came in place of ${this.#parts.length + 1}`;
      throw new PeerProtocolError("malformed", text);
    }
    this.#octets += rawData.length;
    if (this.#octets > this.#means.bytesMax) {
      throw new PeerProtocolError("limit", `an answer of more than ${this.#means.bytesMax} octets`);
    }
    this.#parts.push(rawData);
    this.#means.onProgress({ request: this.#request, octets: this.#octets, blocks: this.#parts.length });
  }

  whole(): Buffer {
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#octets);
  }
}

/** What the blocks of an answer are together. @throws PeerProtocolError */
export function decoded<T>(codec: Codec<T>, octets: Buffer, { limits }: ServiceMeans): T {
  try {
    const reader = new Reader(octets);
    const value = codec.read(reader, limits);
    reader.expectEnd();
    return value;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const reason = error.code === "limit" ? "limit" : "malformed";
    throw new PeerProtocolError(reason, `the meter's answer makes no sense: ${error.message}`, {
      cause: error,
    });
  }
}

/** What is cut into blocks. */
export function encoded<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new Writer();
  codec.write(writer, value);
  return writer.finish();
}

/** Whether a request has to be cut by its service's own blocks. @throws LocalProtocolError where there is no way to cut it */
export function isTooLong(octets: number, blockTransfer: number, means: ServiceMeans): boolean {
  if (octets <= means.requestOctetsMax) return false;
  if ((means.conformance & blockTransfer) !== 0) return true;
  // General block transfer cuts whole APDUs.
  if ((means.conformance & CONFORMANCE.generalBlockTransfer) !== 0) return false;
  throw new LocalProtocolError(
    `a request of ${octets} octets, and the meter takes ${means.requestOctetsMax} and no blocks`,
  );
}

/** One block of a request. */
export interface RequestBlock {
  readonly lastBlock: boolean;
  readonly blockNumber: number;
  readonly rawData: Buffer;
}

/** How a service sends a value in blocks. */
export interface BlockForms {
  /** The first block says what it is all about. */
  readonly first: (block: RequestBlock) => Apdu;
  readonly next: (block: RequestBlock) => Apdu;
  /** The number of the block that this acknowledges; null: it is another answer. */
  readonly acknowledged: (response: Apdu) => number | null;
}

/** The length in front of a block's octets may have three octets, of which an empty one has one. */
const LENGTH_OCTETS = 2;
const NO_BLOCK: RequestBlock = { lastBlock: false, blockNumber: 1, rawData: Buffer.alloc(0) };

/**
 * Sends the value of a request block by block. Gives the answer to the last one, or the one by which the meter puts an end to it before.
 * @throws PeerProtocolError where it acknowledges another block than it was sent
 */
export function* sendInBlocks(octets: Buffer, forms: BlockForms, means: ServiceMeans): Exchange<Apdu> {
  const room = (form: (block: RequestBlock) => Apdu) =>
    Math.max(1, means.requestOctetsMax - writeApdu(form(NO_BLOCK)).length - LENGTH_OCTETS);
  const firstOctets = room(forms.first);
  const nextOctets = room(forms.next);
  for (let at = 0, blockNumber = 1; ; blockNumber++) {
    const rawData = octets.subarray(at, at + (blockNumber === 1 ? firstOctets : nextOctets));
    at += rawData.length;
    const block = { lastBlock: at >= octets.length, blockNumber, rawData };
    const response = yield blockNumber === 1 ? forms.first(block) : forms.next(block);
    const acknowledged = forms.acknowledged(response);
    if (block.lastBlock || acknowledged === null) return response;
    if (acknowledged !== blockNumber)
      throw unexpected(response, `the acknowledgement of block ${blockNumber}`);
  }
}
